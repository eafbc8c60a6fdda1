"""Which class of training a run is: from its facts, or as somebody says."""

from collections.abc import Mapping
from typing import Literal

from dwindle.decay.evidence.records import KINDS, EvidenceFamily, KindOfRun
from dwindle.decay.families import ADAPTIVE, family_of
from dwindle.decay.knob import Knob
from dwindle.decay.run import Run
from dwindle.errors import UnknownNameError

Regime = Literal["single-pass", "many-epochs", "fine-tuning"]
REGIMES: tuple[Regime, ...] = ("single-pass", "many-epochs", "fine-tuning")

# With Adam's kind, whole networks are fine-tuned at 5e-5 or less, but for three; from
# scratch the largest language model of the recipes peaks at 8e-5.
_LR_FROM_SCRATCH = 6e-5
# Pre-trainings of the recipes see 2.2e9 tokens or more, and no fine-tune of them.
_TOKENS_FROM_SCRATCH = 2e9
TUNED_BY_ITS_LR = (
    f"An lr below {_LR_FROM_SCRATCH:g} is usual only where training goes on from "
    "trained weights: compared with fine-tunes. If it starts from scratch, say "
    "--regime many-epochs or --regime single-pass."
)

# scikit-learn has no normalization layers, and its estimators train to convergence.
_KINDS_OF_LIBRARIES: Mapping[str, KindOfRun] = {"sklearn": "many-epochs-plain"}

# Optimizers whose step is the gradient's, decoupled or not.
_SGDS = {"sgd", "sgdw", "keras-sgd"}


def regime_of(run: Run) -> Regime | None:
    """Return what the facts of a run tell of its regime; None where they do not.

    Up to one epoch is a single pass, and so is a length in tokens alone.

    Example:
        >>> regime_of(Run(epochs=1)), regime_of(Run(epochs=90)), regime_of(Run())
        ('single-pass', 'many-epochs', None)

    """
    known = run.quantities()
    if "epochs" in known:
        return "single-pass" if known["epochs"] <= 1 else "many-epochs"
    return "single-pass" if "tokens" in known else None


def kinds_of_run(
    run: Run, *, regime: str | None = None, normalized: bool | None = None
) -> tuple[KindOfRun, ...]:
    """Return the classes that a training may belong to; several where nothing tells.

    Args:
        run: Its facts.
        regime: What somebody says; it counts more than the facts. A class is one too.
        normalized: Whether the network has normalization layers.

    Raises:
        UnknownNameError: If there is no such regime.

    Example:
        >>> kinds_of_run(Run(epochs=90), normalized=True)
        ('many-epochs-normalized',)
        >>> kinds_of_run(Run(epochs=90))
        ('many-epochs-normalized', 'many-epochs-plain')

    """
    for kind in KINDS:
        if kind == regime:
            return (kind,)
    if regime is not None and regime not in REGIMES:
        raise UnknownNameError.among("regime", regime, (*REGIMES, *KINDS))
    plain_or_not: tuple[KindOfRun, ...] = (
        ("many-epochs-normalized", "many-epochs-plain")
        if normalized is None
        else ("many-epochs-normalized" if normalized else "many-epochs-plain",)
    )
    known = regime or regime_of(run)
    if known == "many-epochs":
        return plain_or_not
    if known == "single-pass":
        return ("single-pass",)
    return (*plain_or_not, "single-pass")


def regime_told(
    knob: Knob, *runs: Run, regime: str | None, normalized: bool | None
) -> str | None:
    """Return the regime or class that somebody says, or that knob and lr tell.

    An lr tells it where it is one that only fine-tunes with Adam's kind have, and not
    more tokens are read than they read; a library where all that it trains is of one
    class. None: lengths and layers decide.

    Example:
        >>> from dwindle.decay.knobs import KNOBS
        >>> adamw, ridge = (
        ...     KNOBS["torch.optim.AdamW"],
        ...     KNOBS["sklearn.linear_model.Ridge"],
        ... )
        >>> regime_told(adamw, Run(lr=2e-5), regime=None, normalized=None)
        'fine-tuning'
        >>> regime_told(ridge, Run(), regime=None, normalized=None)
        'many-epochs-plain'
        >>> regime_told(adamw, Run(lr=1e-3), regime=None, normalized=None)

    """
    if regime is not None:
        return regime
    is_adaptive = not knob.is_rate and family_of_evidence(knob) == "adaptive"
    if is_adaptive and all(
        0 < (run.lr or 0) < _LR_FROM_SCRATCH
        and run.quantities().get("tokens", 0) < _TOKENS_FROM_SCRATCH
        for run in runs
    ):
        return "fine-tuning"
    return _KINDS_OF_LIBRARIES.get(knob.library) if normalized is None else None


def family_of_evidence(knob: Knob) -> EvidenceFamily:
    """Return the family of optimizers whose measurements are about a knob.

    A bare penalty is read as of SGD, as scaling rules read it; a half-life or a shrink,
    which has no optimizer, as of AdamW, for which there is more evidence.

    Example:
        >>> from dwindle.decay.knobs import KNOBS
        >>> [family_of_evidence(KNOBS[name]) for name in ("torch.optim.SGD", "shrink")]
        ['sgd', 'adaptive']

    """
    family = family_of(knob)
    if family is None:
        return "adaptive" if knob.is_rate else "sgd"
    is_penalty = family.is_penalty and family is not ADAPTIVE
    return "sgd" if is_penalty or knob.algorithm in _SGDS else "adaptive"
