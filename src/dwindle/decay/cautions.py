"""Cautions beside an explanation: what to know before one believes its numbers."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dwindle.decay.coordinates import decays_by_size, divides_by_gradients
from dwindle.decay.equilibrium import MOST_THAT_STAYS
from dwindle.decay.families import course_of, family_of, has_no_rate
from dwindle.decay.half_life import half_life_from_shrink
from dwindle.decay.knob import Knob
from dwindle.decay.number_formats import (
    DEAD_BELOW,
    STALLING,
    Rounding,
    rounded_half_life_steps,
    rounding_of,
)
from dwindle.decay.own_facts import unused_facts
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, OscillationError

# A schedule has one shape at every length: so many steps show a tenth of it.
_SAMPLED_STEPS = 1000
# A decay is told to fade where its last step has less than this of the peak.
_FADED = 0.1
_WORTH_TELLING = 0.01

_BARE = (
    "{name} is a term of an objective: an optimizer and its lr make it a decay. "
    "Convert it to torch.optim.SGD, for example, and explain that."
)
_RATE = "{name} names no optimizer: it has no penalty, and weights settle anywhere."
_NO_PENALTY = (
    "{name} takes its decay off the weights, beside the gradient: it is the penalty of "
    "no objective."
)
_FIRST_STEP = (
    "{name} dampens the first step too, as torch does not: e-folds and what the run "
    "leaves are those of torch's first step."
)
_NO_LR = (
    "At an lr of 0 gradients move nothing, and a decay that is multiplied by the lr "
    "takes nothing off either; one that is not, as that of tfa.optimizers.AdamW, goes "
    "on."
)


@dataclass(frozen=True)
class Caution:
    """One warning: a stable code and a sentence or two."""

    code: str
    text: str


def of_setting(knob: Knob, number: float, run: Run) -> Iterator[Caution]:
    """Yield what the knob itself warns of."""
    yield from _of_family(knob, run)
    if knob.options.dampening_is_flag and run.dampening:
        yield Caution("first-step", _FIRST_STEP.format(name=knob.name))
    if knob.caution:
        yield Caution("own-rule", knob.caution.format(name=knob.name))
    if knob.family is None:
        text = _RATE if knob.is_rate else _BARE
        yield Caution("no-optimizer", text.format(name=knob.name))
    elif knob.penalty is None:
        yield Caution("no-penalty", _NO_PENALTY.format(name=knob.name))
    family = family_of(knob)
    if number == 0 and not (family and family.always_on):
        yield Caution("no-decay", "Nothing decays: the half-life is infinite.")
    if knob.equilibrium is None and knob.family is not None:
        text = f"What size of weights {knob.name} settles at is not known here."
        yield Caution("no-equilibrium", text)
    if knob.family is not None:
        yield from _of_unused(knob, run)


def _of_unused(knob: Knob, run: Run) -> Iterator[Caution]:
    why = "sets no rate" if has_no_rate(knob) else "does not pass through one"
    for name in unused_facts(knob, run):
        told = f"the decay of {knob.name} {why}"
        if name != "momentum" and getattr(knob.options, name) is None:
            told = f"{knob.name} has none"
        text = f"The {name} that was given changes nothing: {told}."
        yield Caution("unused-fact", text)


def _of_family(knob: Knob, run: Run) -> Iterator[Caution]:
    family = family_of(knob)
    if family is None:
        return
    if decays_by_size(knob, run):
        yield Caution("approximate", assumed_noise(knob, run))
    elif not family.has_half_life:
        why = family.reason(knob.name, knob)
        yield Caution(family.name, f"{why} {instead_of(knob)}")
    elif family.caution:
        yield Caution(family.caution_code, family.caution.format(name=knob.name))


def assumed_noise(knob: Knob, run: Run) -> str:
    """Return the sentence that a rate by the gradients' size assumes.

    Example:
        >>> from dwindle.decay.knobs import KNOBS
        >>> adam = KNOBS["torch.optim.Adam"]
        >>> assumed_noise(adam, Run(gradient_rms=0.01)).partition(";")[0]
        'torch.optim.Adam: its decay is divided by the size of the gradients, 0.01'

    """
    return (
        f"{knob.name}: its decay is divided by the size of the gradients, "
        f"{run.gradient_rms:g}; this holds for weights whose gradients are mostly "
        "noise of that RMS, large beside the decay's own part. Others decay at another "
        "rate, and as gradients get smaller over the run all decay faster."
    )


def instead_of(knob: Knob) -> str:
    """Return what to do where the number of a knob sets no rate."""
    family = family_of(knob)
    instead = family.instead if family else ""
    if not divides_by_gradients(knob):
        return instead
    return (
        f"{instead} Or give --gradient-rms G, the root mean square of a weight's "
        "gradient (√v̂ of Adam's state), for an approximate rate: a step takes about "
        "lr·λ/G of a weight, as AdamW does with weight_decay = λ/G."
    )


def of_lr(knob: Knob, run: Run) -> Iterator[Caution]:
    """Yield what an lr of 0 means."""
    if run.lr == 0 and not knob.is_rate:
        yield Caution("no-lr", _NO_LR)


def of_default(said: str) -> Iterator[Caution]:
    """Yield that a library's default stands in for a momentum that was not given."""
    if said:
        yield Caution("library-default", said)


def of_error(error: DwindleError) -> Caution:
    """Turn an impossible rate into a warning beside what can be told."""
    code = "oscillation" if isinstance(error, OscillationError) else "impossible"
    return Caution(code, str(error))


def of_underflow(what: str) -> Caution:
    """Say that a number is smaller than any that a computer holds."""
    return Caution("impossible", f"These facts make {what} too small to be told.")


def of_noise(rms_per_noise: float, at_end: float | None, run: Run) -> Caution:
    """Say the equilibrium that depends on how noisy the gradients are."""
    falls = not run.schedule.is_constant
    settle = "would settle, at the peak lr," if falls else "settle"
    end = ""
    if falls and at_end is not None:
        end = f" At the end of this run it is {at_end:.4g} times that deviation."
    text = (
        f"Decay and noise {settle} at weights with an RMS of {rms_per_noise:.4g} times "
        f"the standard deviation of a weight's gradient, which is not known here.{end}"
    )
    return Caution("equilibrium-noise", text)


def of_short_run(kept: float, shrink: float) -> Caution:
    """Say that a run ends before its weights settle."""
    steps = -math.log(MOST_THAT_STAYS) / -math.log1p(-shrink)
    text = (
        f"No equilibrium is reached: the run leaves {100 * kept:.3g}% of the initial "
        f"weights. At the peak lr it would take about {steps:,.0f} steps."
    )
    return Caution("no-equilibrium", text)


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
    knob: Knob | None = None,
) -> Iterator[Caution]:
    """Yield what the size of the decay warns of."""
    yield from of_rounding(shrink, run, knob)
    share, epochs = average["run"], at_peak["epochs"]
    if share is not None and share > 1:
        text = (
            f"Averaged over the run, the half-life is {share:.3g} runs: most of the "
            "initial weights stay."
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


_DEAD = (
    "One step takes {shrink:.3g} off a weight, and {dtype} rounds all below {dead:.3g} "
    "away: kept in {dtype}, a weight with zero gradient stays as it is. Keep weights "
    "in a wider format, or round stochastically."
)
_STALLS = (
    "One step takes {shrink:.3g} off a weight, only {units:.3g} times what {dtype} "
    "rounds away: kept in {dtype}, a weight with zero gradient stops before it has "
    "halved. Keep weights in a wider format, or round stochastically."
)
_COARSE = (
    "One step takes {shrink:.3g} off a weight, only {units:.3g} times what {dtype} "
    "rounds away: weights decay faster or slower than this, each by its own digits."
)
_COMES = (
    " Kept in {dtype}, half of them is left after about {comes:.3g} steps instead of "
    "{meant:.4g}."
)
_ROUNDED: Mapping[Rounding, tuple[str, str]] = {
    "dead": ("dead-zone", _DEAD),
    "stalls": ("stalls", _STALLS),
    "coarse": ("rounding", _COARSE),
}


def of_rounding(
    shrink: float | None, run: Run, knob: Knob | None = None
) -> Iterator[Caution]:
    """Yield what the number format of the weights does to a shrink per step.

    How long a half takes then is said of steps that are rounded as the count is.
    """
    rounding = rounding_of(shrink, run.dtype) if shrink else "fine"
    if not shrink or rounding == "fine":
        return
    code, text = _ROUNDED[rounding]
    # A wide format rounds another order of operations otherwise.
    family = None if knob is None or knob.library != "torch" else family_of(knob)
    is_torch = family is not None and family.multiplies
    if rounding == "coarse" and (run.dtype in STALLING or is_torch):
        text += _COMES
    dead = DEAD_BELOW[run.dtype]
    yield Caution(
        code,
        text.format(
            shrink=shrink,
            dead=dead,
            units=shrink / dead,
            dtype=run.dtype,
            comes=rounded_half_life_steps(shrink, run.dtype),
            meant=half_life_from_shrink(shrink),
        ),
    )


def of_schedule(knob: Knob, shrink: float | None, run: Run) -> Iterator[Caution]:
    """Yield what a falling lr does to a decay that follows it."""
    power = course_of(knob).lr_power
    last = run.schedule.multipliers(_SAMPLED_STEPS)[-1] ** power if power else 1.0
    if not shrink or last > _FADED:
        return
    decays = [each**power for each in run.schedule.multipliers(_SAMPLED_STEPS)]
    late = sum(decays[-_SAMPLED_STEPS // 10 :]) / sum(decays)
    text = (
        f"The lr falls to {run.schedule.final:g} of its peak and takes the decay with "
        f"it: the last tenth of the run does {100 * late:.2g}% of the decay."
    )
    yield Caution("fading-decay", text)
    dead = sum(shrink * each < DEAD_BELOW[run.dtype] for each in decays)
    share = dead / _SAMPLED_STEPS
    if _WORTH_TELLING < share < 1:
        text = (
            f"For {100 * share:.2g}% of the steps the lr is so low that a step takes "
            f"less than {DEAD_BELOW[run.dtype]:.3g} off a weight, which {run.dtype} "
            f"rounds away: kept in {run.dtype}, nothing decays then."
        )
        yield Caution("late-dead-zone", text)


def of_missing(lacking: Mapping[str, list[str]]) -> Iterator[Caution]:
    """Yield, fact by fact, what one would be told."""
    for option, told in lacking.items():
        text = f"Give {option} for {', '.join(told)}."
        yield Caution("missing-fact", text)
