"""Cautions beside an explanation: what to know before one believes its numbers."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dwindle.decay.knob import Knob
from dwindle.decay.no_rate import NO_RATE
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, OscillationError

# Half a unit in the last place just below 1: a step that takes less is rounded away.
DEAD_BELOW: Mapping[str, float] = {
    "bfloat16": 2.0**-9,
    "float16": 2.0**-12,
    "float32": 2.0**-25,
    "float64": 2.0**-54,
}
# From here on rounding changes the decay by less than two percent (measured).
_COARSE_BELOW = 32

_BARE = (
    "{name} is a term of an objective: an optimizer and its lr make it a decay. "
    "Convert it to torch.optim.SGD, for example, and explain that."
)
_RATE = "{name} names no optimizer: it has no penalty, and weights settle anywhere."
_NO_PENALTY = (
    "{name} takes its decay off the weights, beside the gradient: it is the penalty of "
    "no objective."
)
_ASGD = (
    "{name} has a second decay, lambd = 1e-4, that is on by default; it is counted "
    "in here. Its step size also falls by itself: the half-life is that of the first "
    "step."
)
_LAMBD = (
    "{name} slows the step size that it acts by: the half-life is that of the first "
    "step. weight_decay is taken to be 0."
)


@dataclass(frozen=True)
class Caution:
    """One warning: a stable code and a sentence or two."""

    code: str
    text: str


_BY_FAMILY: Mapping[str | None, tuple[str, str]] = {
    **{name: (name, f"{each.why} {each.instead}") for name, each in NO_RATE.items()},
    "asgd": ("second-decay", _ASGD),
    "asgd-lambd": ("falling-step", _LAMBD),
}


def of_setting(knob: Knob, number: float, run: Run) -> Iterator[Caution]:
    """Yield what the knob itself warns of."""
    if knob.family in _BY_FAMILY:
        code, text = _BY_FAMILY[knob.family]
        yield Caution(code, text.format(name=knob.name))
    if knob.family is None:
        text = _RATE if knob.is_rate else _BARE
        yield Caution("no-optimizer", text.format(name=knob.name))
    elif knob.penalty is None:
        yield Caution("no-penalty", _NO_PENALTY.format(name=knob.name))
    if number == 0 and knob.family != "asgd":
        yield Caution("no-decay", "Nothing decays: the half-life is infinite.")
    if knob.equilibrium is None and knob.family is not None:
        text = f"What size of weights {knob.name} settles at is not known here."
        yield Caution("no-equilibrium", text)
    if run.momentum and knob.family not in {None, "coupled-sgd"}:
        text = f"{knob.name} has no momentum of SGD's kind; it is left out."
        yield Caution("unused-fact", text)


def of_error(error: DwindleError) -> Caution:
    """Turn an impossible rate into a warning beside what can be told."""
    code = "oscillation" if isinstance(error, OscillationError) else "impossible"
    return Caution(code, str(error))


def of_underflow(what: str) -> Caution:
    """Say that a number is smaller than any that a computer holds."""
    return Caution("impossible", f"These facts make {what} too small to be told.")


def of_noise(rms_per_noise: float) -> Caution:
    """Say the equilibrium that depends on how noisy the gradients are."""
    text = (
        f"Decay and noise settle at weights with an RMS of {rms_per_noise:.4g} times "
        "the standard deviation of a weight's gradient, which is not known here."
    )
    return Caution("equilibrium-noise", text)


def of_layers(knob: Knob) -> Caution:
    """Say that a normalized penalty is no single number."""
    text = (
        f"{knob.name} is another penalty for every layer: convert it, with the units, "
        "to see them."
    )
    return Caution("per-layer", text)


def of_decay(
    shrink: float | None,
    at_peak: Mapping[str, float | None],
    average: Mapping[str, float | None],
    run: Run,
) -> Iterator[Caution]:
    """Yield what the size of the decay warns of."""
    yield from _of_rounding(shrink, run)
    share, epochs = average["run"], at_peak["epochs"]
    if share is not None and share > 1:
        text = (
            f"Averaged over the run, the half-life is {share:.3g} runs: most of the "
            "initial weights stay, and no equilibrium is reached."
        )
        yield Caution("longer-than-the-run", text)
    if epochs is not None and epochs < 1 and (run.epochs is None or run.epochs > 1):
        text = (
            f"The half-life is {epochs:.3g} epochs: a weight forgets examples before "
            "it meets them again."
        )
        yield Caution("shorter-than-an-epoch", text)


GROWTH = Caution(
    "growth",
    "Steps take more than twice a weight off it: it grows instead of decaying.",
)


def of_run(e_folds: float | None, kept: float | None) -> Iterator[Caution]:
    """Yield what the end of the run warns of."""
    if kept is not None and kept < 0:
        text = (
            "The weight swings through zero: what is left at the end tells no average."
        )
        yield Caution("swing", text)
    if e_folds is not None and e_folds < 0 and kept is not None:
        yield GROWTH
    if e_folds == math.inf:
        text = "Nothing is left of a weight that only decays: the e-folds are infinite."
        yield Caution("nothing-left", text)


def _of_rounding(shrink: float | None, run: Run) -> Iterator[Caution]:
    if not shrink:
        return
    dead = DEAD_BELOW[run.dtype]
    if shrink < dead:
        text = (
            f"One step takes {shrink:.3g} off a weight, and {run.dtype} rounds all "
            f"below {dead:.3g} away: kept in {run.dtype}, a weight with zero gradient "
            "stays as it is. Keep weights in a wider format, or round stochastically."
        )
        yield Caution("dead-zone", text)
    elif shrink < _COARSE_BELOW * dead:
        text = (
            f"One step takes {shrink:.3g} off a weight, only {shrink / dead:.3g} times "
            f"what {run.dtype} rounds away: weights decay faster or slower than this, "
            "each by its own digits."
        )
        yield Caution("rounding", text)


def of_missing(lacking: Mapping[str, list[str]]) -> Iterator[Caution]:
    """Yield, fact by fact, what one would be told."""
    for option, told in lacking.items():
        text = f"Give {option} for {', '.join(told)}."
        yield Caution("missing-fact", text)
