"""Remarks beside a number: what to know before one believes it."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dwindle.decay.coordinates import (
    decays_by_size,
    divides_by_gradients,
    penalty_convention_of,
)
from dwindle.decay.equilibrium import MOST_THAT_STAYS
from dwindle.decay.families import FAMILIES, Family, course_of, family_of, has_no_rate
from dwindle.decay.knob import Knob
from dwindle.decay.number_formats import (
    DEAD_BELOW,
    STALLING,
    Rounding,
    half_left_after,
    rounded_half_life_steps,
    rounding_of,
)
from dwindle.decay.own_facts import unused_facts
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.shapes import SHAPES
from dwindle.errors import DwindleError, OscillationError

# A schedule has one shape at every length: so many steps show a tenth of it.
_SAMPLED_STEPS = 1000
# A decay fades where its last step has less than this of the peak.
_FADED = 0.1
# A share of the steps that is worth a sentence.
_NOTABLE = 0.01
# What makes the number mean something else stands before what it does to training, and
# that before what is only not known.
_ORDER = (
    *("no-optimizer", *(each.name for each in FAMILIES.values() if not each.decay)),
    *("impossible", "oscillation", "growth", "swing", "nothing-left"),
    *("dead-zone", "stalls", "no-lr", "per-layer", "approximate"),
    *(each.caution_code for each in FAMILIES.values() if each.caution),
    *("own-rule", "summed-loss", "library-default", "longer-than-the-run"),
    *("shorter-than-an-epoch", "fading-decay", "late-dead-zone", "rounding"),
    *("no-decay", "first-step", "unused-fact", "equilibrium-noise", "missing-fact"),
    *("no-equilibrium", "no-penalty"),
)


@dataclass(frozen=True)
class Remark:
    """One thing to know.

    Args:
        code: What it is about, the same in every version.
        seen: What is so, in a sentence or two.
        advice: What to do about it, where there is something.

    """

    code: str
    seen: str
    advice: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.seen} {self.advice}" if self.advice else self.seen


def by_importance(found: Iterable[Remark]) -> tuple[Remark, ...]:
    """Return remarks with the most important first, each once."""
    return tuple(sorted(dict.fromkeys(found), key=lambda each: _ORDER.index(each.code)))


def of_setting(knob: Knob, number: float, run: Run) -> Iterator[Remark]:
    """Yield what the knob itself warns of."""
    name, family = knob.name, family_of(knob)
    if knob.options.dampening_is_flag and run.dampening:
        text = (
            f"{name} dampens the first step too, as torch does not: e-folds and what "
            "the run leaves are those of torch's first step."
        )
        yield Remark("first-step", text)
    if knob.caution:
        yield Remark("own-rule", knob.caution.format(name=name))
    if run.lr == 0 and not knob.is_rate:
        text = (
            "At an lr of 0 gradients move nothing, and a decay that is multiplied by "
            "the lr takes nothing off either; one that is not, as that of "
            "tfa.optimizers.AdamW, goes on."
        )
        yield Remark("no-lr", text)
    if number == 0 and not (family and family.always_on):
        yield Remark("no-decay", "Nothing decays: the half-life is infinite.")
    if family is None:
        yield _without_optimizer(knob)
    else:
        yield from _of_family(knob, family, run)


def _without_optimizer(knob: Knob) -> Remark:
    if knob.is_rate:
        text = (
            f"{knob.name} names no optimizer: it has no penalty, and weights settle "
            "anywhere."
        )
        return Remark("no-optimizer", text)
    return Remark(
        "no-optimizer",
        f"{knob.name} is a term of an objective: an optimizer and its lr make it a "
        "decay.",
        "Convert it to torch.optim.SGD, for example, and explain that.",
    )


def _of_family(knob: Knob, family: Family, run: Run) -> Iterator[Remark]:
    name = knob.name
    if decays_by_size(knob, run):
        yield Remark("approximate", assumed_noise(knob, run))
    elif not family.has_half_life:
        yield Remark(family.name, family.reason(name, knob), instead_of(knob))
    elif family.caution:
        yield Remark(family.caution_code, family.caution.format(name=name))
    if knob.penalty is None:
        text = (
            f"{name} takes its decay off the weights, beside the gradient: it is the "
            "penalty of no objective."
        )
        yield Remark("no-penalty", text)
    if knob.equilibrium is None:
        text = f"What size of weights {name} settles at is not known here."
        yield Remark("no-equilibrium", text)
    convention = penalty_convention_of(knob)
    if run.loss == "sum" and convention is not None and not convention.over:
        text = (
            f"{name} stands beside a loss that is summed over the batch: λ is what it "
            "is beside the mean. A step takes off what it would beside either."
        )
        yield Remark("summed-loss", text)
    for fact in unused_facts(knob, run):
        text = f"The {fact} that was given changes nothing: {_why_unused(knob, fact)}."
        yield Remark("unused-fact", text)


def _why_unused(knob: Knob, fact: str) -> str:
    if fact != "momentum" and getattr(knob.options, fact) is None:
        return f"{knob.name} has none"
    why = "sets no rate" if has_no_rate(knob) else "does not pass through one"
    return f"the decay of {knob.name} {why}"


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
    family, size = family_of(knob), for_gradient_rms(knob)
    instead = family.instead if family else ""
    return f"{instead} {size}" if size else instead


def for_gradient_rms(knob: Knob) -> str:
    """Return which fact makes it a rate, where gradients alone divide the decay."""
    if not divides_by_gradients(knob):
        return ""
    return (
        "With --gradient-rms G, the RMS of a weight's gradient (√v̂ of Adam's state), "
        "it is about AdamW with λ/G."
    )


def of_defaults(*sentences: str) -> Iterator[Remark]:
    """Yield that defaults of a library or a trainer stand in for what was not given."""
    for sentence in filter(None, sentences):
        yield Remark("library-default", sentence)


def of_error(error: DwindleError) -> Remark:
    """Turn an impossible rate into a remark beside what is known."""
    code = "oscillation" if isinstance(error, OscillationError) else "impossible"
    return Remark(code, str(error))


def of_underflow(what: str) -> Remark:
    """Return that a number is smaller than any that a computer holds."""
    return Remark("impossible", f"These facts make {what} too small to be computed.")


def of_noise(rms_per_noise: float, at_end: float | None, run: Run) -> Remark:
    """Return the equilibrium that depends on how noisy the gradients are."""
    falls = not run.is_constant
    settle = "would settle, at the peak lr," if falls else "settle"
    end = ""
    if falls and at_end is not None:
        end = f" At the end of this run it is {at_end:.4g} times that deviation."
    text = (
        f"Decay and noise {settle} at weights with an RMS of {rms_per_noise:.4g} times "
        f"the standard deviation of a weight's gradient, which is not known here.{end}"
    )
    return Remark("equilibrium-noise", text)


def of_short_run(kept: float, shrink: float) -> Remark:
    """Return that a run ends before its weights settle."""
    steps = -math.log(MOST_THAT_STAYS) / -math.log1p(-shrink)
    text = (
        f"No equilibrium is reached: the run leaves {100 * kept:.3g}% of the initial "
        f"weights. At the peak lr it would take about {steps:,.0f} steps."
    )
    return Remark("no-equilibrium", text)


def of_layers(knob: Knob) -> Remark:
    """Return that a normalized penalty is no single number."""
    text = (
        f"{knob.name} is another penalty for every layer: convert it, with the units, "
        "to see them."
    )
    return Remark("per-layer", text)


def of_decay(
    shrink: float | None,
    at_peak: Mapping[str, float | None],
    average: Mapping[str, float | None],
    run: Run,
    knob: Knob | None = None,
) -> Iterator[Remark]:
    """Yield what the size of the decay warns of."""
    yield from of_rounding(shrink, run, knob)
    share, epochs = average["run"], at_peak["epochs"]
    if share is not None and share > 1:
        text = (
            f"Averaged over the run, the half-life is {share:.3g} runs: most of the "
            "initial weights stay."
        )
        yield Remark("longer-than-the-run", text)
    if epochs is not None and epochs < 1 and (run.epochs is None or run.epochs > 1):
        text = (
            f"The half-life is {epochs:.3g} epochs: a weight forgets examples before "
            "it meets them again."
        )
        yield Remark("shorter-than-an-epoch", text)


GROWTH = Remark(
    "growth",
    "Steps take more than twice a weight off it: it grows instead of decaying.",
)


def of_run(e_folds: float | None, kept: float | None) -> Iterator[Remark]:
    """Yield what the end of the run warns of."""
    if kept is not None and kept < 0:
        text = (
            "The weight swings through zero: what is left at the end gives no average."
        )
        yield Remark("swing", text)
    if e_folds is not None and e_folds < 0 and kept is not None:
        yield GROWTH
    if e_folds == math.inf:
        text = "Nothing is left of a weight that only decays: the e-folds are infinite."
        yield Remark("nothing-left", text)


_DEAD = (
    "and {dtype} rounds all below {dead:.3g} away: kept in {dtype}, a weight with zero "
    "gradient stays as it is."
)
_STALLS = (
    "only {units:.3g} times what {dtype} rounds away: kept in {dtype}, a weight with "
    "zero gradient stops before it has halved."
)
_COARSE = (
    "only {units:.3g} times what {dtype} rounds away: weights decay faster or slower "
    "than this, each by its own digits."
)
_WIDER = "Keep weights in a wider format, or round stochastically."
# By what rounding does to a step: the code, what is so, and what to do.
_ROUNDED: Mapping[Rounding, tuple[str, str, str]] = {
    "dead": ("dead-zone", _DEAD, _WIDER),
    "stalls": ("stalls", _STALLS, _WIDER),
    "coarse": ("rounding", _COARSE, ""),
}


def of_rounding(
    shrink: float | None, run: Run, knob: Knob | None = None
) -> Iterator[Remark]:
    """Yield what the number format of the weights does to a shrink per step."""
    rounding = rounding_of(shrink, run.dtype) if shrink else "fine"
    if not shrink or rounding == "fine":
        return
    (code, template, advice), dead = _ROUNDED[rounding], DEAD_BELOW[run.dtype]
    seen = template.format(dtype=run.dtype, dead=dead, units=shrink / dead)
    # The count is of steps that multiply a weight by 1 - s, as torch's do; a wide
    # format rounds another order of operations otherwise.
    family = None if knob is None or knob.library != "torch" else family_of(knob)
    is_torch = family is not None and family.multiplies
    if rounding == "coarse" and (run.dtype in STALLING or is_torch):
        steps = rounded_half_life_steps(shrink, run.dtype)
        seen += f" Kept in {run.dtype}, {half_left_after(steps, shrink)}."
    yield Remark(code, f"One step takes {shrink:.3g} off a weight, {seen}", advice)


def of_schedule(knob: Knob, shrink: float | None, run: Run) -> Iterator[Remark]:
    """Yield what a falling lr, or a schedule of the decay itself, does to a decay."""
    power, lr = course_of(knob).lr_power, run.schedule.multipliers(_SAMPLED_STEPS)
    own = run.decay_schedule.multipliers(_SAMPLED_STEPS)
    decays = [m**power * k for m, k in zip(lr, own, strict=True)]
    if not shrink or decays[-1] > _FADED:
        return
    late = sum(decays[-_SAMPLED_STEPS // 10 :]) / sum(decays)
    falls = f"The lr falls to {_last(run.schedule)} of its peak and takes the decay"
    falls += " with it"
    if own[-1] <= _FADED:
        falls = f"The decay falls by itself, to {_last(run.decay_schedule)} of its peak"
    text = f"{falls}: the last tenth of the run does {100 * late:.2g}% of the decay."
    yield Remark("fading-decay", text)
    dead = sum(shrink * each < DEAD_BELOW[run.dtype] for each in decays)
    share = dead / _SAMPLED_STEPS
    if _NOTABLE < share < 1:
        text = (
            f"For {100 * share:.2g}% of the steps the lr is so low that a step takes "
            f"less than {DEAD_BELOW[run.dtype]:.3g} off a weight, which {run.dtype} "
            f"rounds away: kept in {run.dtype}, nothing decays then."
        )
        yield Remark("late-dead-zone", text)


def _last(schedule: Schedule) -> str:
    """Return what a schedule ends at: what it heads for, or where its last step is."""
    heads_for = "final" in SHAPES[schedule.shape].reads and not schedule.gamma
    last = schedule.multipliers(_SAMPLED_STEPS)[-1]
    return f"{schedule.final:g}" if heads_for else f"{last:.2g}"


def of_missing(lacking: Mapping[str, list[str]]) -> Iterator[Remark]:
    """Yield, fact by fact, what it would add."""
    for option, what in lacking.items():
        text = f"Give {option} for {', '.join(what)}."
        yield Remark("missing-fact", text)
