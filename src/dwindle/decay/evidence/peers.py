"""Which class of training a run is, and the published recipes that it is beside."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dwindle.decay.evidence.recipes import PublishedRecipe, recipes
from dwindle.decay.evidence.records import (
    FAMILIES_OF_EVIDENCE,
    KINDS,
    EvidenceFamily,
    KindOfRun,
)
from dwindle.decay.families import ADAPTIVE, family_of
from dwindle.decay.knob import Knob
from dwindle.decay.run import Run
from dwindle.errors import UnknownNameError
from dwindle.wording import counted, number

Regime = Literal["single-pass", "many-epochs", "fine-tuning"]
REGIMES: tuple[Regime, ...] = ("single-pass", "many-epochs", "fine-tuning")

# With Adam's kind, whole networks are fine-tuned at 5e-5 or less, but for three; from
# scratch the largest language model of the recipes peaks at 8e-5.
_LR_FROM_SCRATCH = 6e-5
# Pre-trainings of the recipes see 2.2e9 tokens or more, and no fine-tune of them.
_TOKENS_FROM_SCRATCH = 2e9
TUNED_BY_ITS_LR = (
    f"An lr below {_LR_FROM_SCRATCH:g} is usual only where training goes on from "
    "trained weights: compared with fine-tunes. If it starts from scratch, give "
    "--regime many-epochs or --regime single-pass."
)

# scikit-learn has no normalization layers, and its estimators train to convergence.
_KINDS_OF_LIBRARIES: Mapping[str, KindOfRun] = {"sklearn": "many-epochs-plain"}

# Optimizers whose step is the gradient's, decoupled or not.
_SGDS = {"sgd", "sgdw", "keras-sgd"}


def regime_of(run: Run) -> Regime | None:
    """Infer the regime of a run from its facts; None where they do not determine it.

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
    """Return the classes that a training may belong to: one, or all that are open."""
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


def resolve_regime(
    knob: Knob, *runs: Run, regime: str | None, normalized: bool | None
) -> str | None:
    """Return the given regime or class, else the one inferred from knob and lr.

    It is fine-tuning where the lr is one that only fine-tunes with Adam's kind have,
    and the tokens are no more than theirs; some libraries train one class only. None:
    lengths and layers decide.
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
    """
    family = family_of(knob)
    if family is None:
        return "adaptive" if knob.is_rate else "sgd"
    is_penalty = family.is_penalty and family is not ADAPTIVE
    return "sgd" if is_penalty or knob.algorithm in _SGDS else "adaptive"


# Fewer are no range: then the next wider group of recipes is taken.
ENOUGH = 3
# A regime, with low-rank factors beside frozen weights.
LORA = "lora"


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Recipes of one kind, and how the kind was inferred if it was not given."""

    kind_of_run: KindOfRun
    title: str
    recipes: tuple[PublishedRecipe, ...]
    notes: tuple[str, ...] = ()


def peers_of(
    knob: Knob,
    run: Run,
    *,
    regime: str | None = None,
    normalized: bool | None = None,
    domain: str | None = None,
) -> Peers | None:
    """Return the recipes that a run may be compared with.

    Its class decides, then optimizer family and domain, as long as three are left.
    A fine-tune has fine-tunes beside it only, and one of low-rank factors only those.
    """
    domains = sorted({each.domain for each in recipes()})
    if domain is not None and domain not in domains:
        raise UnknownNameError.among("domain", domain, domains)
    kind, how = _kind(knob, run, regime, normalized=normalized)
    if kind is None:
        return None
    is_tuned, is_lora = kind == "fine-tuning", regime == LORA
    found = [each for each in recipes() if each.kind_of_run == kind]
    if is_tuned:
        found = [each for each in found if each.lora is is_lora]
    title, notes = "LoRA fine-tunes" if is_lora else _TITLES[kind], list(how)
    counts_examples = run.dataset_size is not None and not is_tuned
    if domain is None and run.tokens_per_example is not None:
        domain = "language"
    for words, fits in _filters(knob, domain, counts_examples=counts_examples):
        kept = [each for each in found if fits(each)]
        if len(kept) >= min(ENOUGH, len(found)):
            found, title = kept, f"{title} {words}"
        else:
            many = counted(len(kept), "recipe") if kept else "No recipe"
            notes.append(f"{many} {words} of this kind: others are beside it.")
    if knob.algorithm not in {"", *(each.knob.algorithm for each in found)}:
        notes.append(f"None of them trains by {knob.algorithm}, as {knob.name} does.")
    return Peers(kind_of_run=kind, title=title, recipes=tuple(found), notes=(*notes,))


def _filters(
    knob: Knob, domain: str | None, *, counts_examples: bool
) -> Iterator[tuple[str, Callable[[PublishedRecipe], bool]]]:
    """Yield what recipes should have in common with a run: its name, and the test."""
    if domain is not None:
        yield f"in {domain}", lambda each: each.domain == domain
    elif counts_examples:
        # Who counts examples, not tokens, trains no language model.
        yield "outside of language", lambda each: each.domain != "language"
    if not knob.is_rate:
        family = family_of_evidence(knob)
        words = f"with {FAMILIES_OF_EVIDENCE[family]}"
        yield words, lambda each: family_of_evidence(each.knob) == family


_TITLES: Mapping[KindOfRun, str] = {
    "single-pass": "single-pass runs",
    "many-epochs-normalized": "runs over many epochs",
    "many-epochs-plain": "plain small networks",
    "fine-tuning": "fine-tunes",
}


def _kind(
    knob: Knob, run: Run, regime: str | None, *, normalized: bool | None
) -> tuple[KindOfRun | None, tuple[str, ...]]:
    if regime == LORA:
        return "fine-tuning", ()
    resolved = resolve_regime(knob, run, regime=regime, normalized=normalized)
    if resolved == "fine-tuning":
        return "fine-tuning", (TUNED_BY_ITS_LR,) if regime is None else ()
    kinds = kinds_of_run(run, regime=resolved, normalized=normalized)
    # One pass or many: the facts leave it open.
    if len({kind == "single-pass" for kind in kinds}) > 1:
        return None, ()
    return kinds[0], ()


def _nearest_in_length(found: tuple[PublishedRecipe, ...], run: Run) -> PublishedRecipe:
    """Return the recipe nearest in length, on the best clock that it has too."""
    here = run.quantities()

    def apart(name: str, recipe: PublishedRecipe) -> float:
        there = recipe.run.quantities()
        if name not in there or name not in here:
            return math.inf
        return abs(_log(there[name]) - _log(here[name]))

    # Of those that are as long, it is the one whose data are as many.
    for clock in ("tokens", "epochs", "steps"):
        far = [(apart(clock, each), apart("dataset_size", each)) for each in found]
        if not math.isinf(min(far)[0]):
            return found[far.index(min(far))]
    return found[0]


def _log(length: float) -> float:
    """Return the log of a length, also of one that no float can hold."""
    return math.log(min(max(length, sys.float_info.min), sys.float_info.max))


def middle(values: Sequence[float]) -> list[float]:
    """Return values in order, of five or more without a tenth of them at each end.

    One published outlier, as DETR's decay of 1e-4, is then no end of a range.

    Example:
        >>> middle([3, 1, 2]), middle([5, 1, 4, 2, 3])
        ([1, 2, 3], [2, 3, 4])

    """
    ordered, few = sorted(values), 5
    ends = 0 if len(ordered) < few else math.ceil(len(ordered) / 10)
    return ordered[ends : len(ordered) - ends]


@dataclass(frozen=True, kw_only=True)
class Among:
    """Where a total decay lies among recipes of its kind.

    Args:
        e_folds: The total decay.
        title: What the recipes are.
        recipes: How many of them there are.
        low: Total decay of those that decay little, without the least tenth.
        high: Of those that decay much, without the tenth that decays most.
        nearest: Name of the one that is nearest in length.
        nearest_e_folds: Its total decay.
        source: Where its numbers stand.

    """

    e_folds: float
    title: str
    recipes: int
    low: float
    high: float
    nearest: str
    nearest_e_folds: float
    source: str

    @property
    def text(self) -> str:
        """It in a line."""
        low, high, near, here = (
            number(each, digits=2)
            for each in (self.low, self.high, self.nearest_e_folds, self.e_folds)
        )
        return (
            f"{self.nearest} {near} e-folds, yours {here} "
            f"({self.recipes} {self.title}: most {low} to {high})"
        )


def placed(e_folds: float, peers: Peers, run: Run) -> Among:
    """Return where a total decay lies among its peers."""
    decays = middle([each.e_folds for each in peers.recipes])
    nearest = _nearest_in_length(peers.recipes, run)
    return Among(
        e_folds=e_folds,
        title=peers.title,
        recipes=len(peers.recipes),
        low=decays[0],
        high=decays[-1],
        nearest=nearest.name,
        nearest_e_folds=nearest.e_folds,
        source=nearest.source,
    )
