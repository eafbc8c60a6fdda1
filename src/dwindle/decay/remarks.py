"""Remarks beside a number: what it depends on, and what it does not show."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from dwindle.decay.coordinates import (
    decays_by_size,
    divides_by_gradients,
    penalty_convention_of,
)
from dwindle.decay.equilibrium import MOST_THAT_STAYS
from dwindle.decay.families import FAMILIES, Family, course_of, family_of
from dwindle.decay.knob import Knob
from dwindle.decay.number_formats import (
    DEAD_BELOW,
    STALLING,
    Rounding,
    half_left_after,
    rounded_half_life_steps,
    rounding_of,
)
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.shapes import SHAPES
from dwindle.plain import Plain, table_beside
from dwindle.wording import listed

# A schedule has one shape at every length, so it is sampled at so many steps.
_SAMPLED_STEPS = 1000
# A decay fades if its last step has less than this share of the peak.
_FADED = 0.1
# A share of the steps that is worth a sentence.
_NOTABLE = 0.01
# Remarks that change the meaning of the number first, then its effects on the training,
# then what is not known; remarks that change no number are last.
_ORDER = (
    *("no-optimizer", *(each.name for each in FAMILIES.values() if not each.decay)),
    *("impossible", "oscillation", "growth", "swing", "nothing-left"),
    *("dead-zone", "stalls", "no-lr", "per-layer", "approximate"),
    *(each.caution_code for each in FAMILIES.values() if each.caution),
    *("own-rule", "summed-loss", "library-default", "longer-than-the-run"),
    *("shorter-than-an-epoch", "fading-decay", "late-dead-zone", "rounding"),
    *("no-decay", "first-step", "equilibrium-noise", "missing-fact"),
    *("no-equilibrium", "no-penalty", "unused-fact"),
)


@dataclass(frozen=True)
class Remark(Plain):
    """A remark.

    Args:
        code: Its subject, the same in every version.
        seen: What was found, in a sentence or two.
        advice: What to do about it; may be empty.

    """

    IN_JSON = ("code", "text")

    code: str
    seen: str
    advice: str = ""

    @property
    def text(self) -> str:
        """Both texts."""
        return f"{self.seen} {self.advice}" if self.advice else self.seen

    @classmethod
    def of(cls, name: str, /, **values: object) -> Self:
        """Return a remark by its name in ``remarks.toml``, with its texts filled in."""
        text = _TEXTS[name]
        seen = text["seen"].format(**values)
        return cls(text.get("code", name), seen, text.get("advice", ""))


_TEXTS = table_beside(__file__)


def sentence(name: str, /, **values: object) -> str:
    """Return a text of ``remarks.toml`` by its name, where it needs no code."""
    return Remark.of(name, **values).text


def by_importance(found: Iterable[Remark]) -> tuple[Remark, ...]:
    """Return remarks with the most important first, each once."""
    return tuple(sorted(dict.fromkeys(found), key=lambda each: _ORDER.index(each.code)))


def of_setting(knob: Knob, number: float, run: Run) -> Iterator[Remark]:
    """Yield remarks on the knob itself."""
    name, family = knob.name, family_of(knob)
    if knob.options.dampening_is_flag and run.dampening:
        yield Remark.of("first-step", name=name)
    if knob.caution:
        yield Remark("own-rule", knob.caution.format(name=name))
    if run.lr == 0 and not knob.is_rate:
        yield Remark.of("no-lr")
    if number == 0 and not (family and family.always_on):
        yield Remark.of("no-decay")
    if family is None:
        kind = "rate-without-optimizer" if knob.is_rate else "no-optimizer"
        yield Remark.of(kind, name=name)
    else:
        yield from _of_family(knob, family, run)


def _of_family(knob: Knob, family: Family, run: Run) -> Iterator[Remark]:
    name = knob.name
    if decays_by_size(knob, run):
        yield assumed_noise(knob, run)
    elif not family.has_half_life:
        yield Remark(family.name, family.reason(name, knob), instead_of(knob))
    elif family.caution:
        yield Remark(family.caution_code, family.caution.format(name=name))
    if knob.penalty is None:
        yield Remark.of("no-penalty", name=name)
    if knob.equilibrium is None:
        yield Remark.of("unknown-equilibrium", name=name)
    convention = penalty_convention_of(knob)
    if run.loss == "sum" and convention is not None and not convention.over:
        yield Remark.of("summed-loss", name=name)


def assumed_noise(knob: Knob, run: Run) -> Remark:
    """Return the assumption of a rate by the gradients' size."""
    return Remark.of("approximate", name=knob.name, rms=run.gradient_rms)


def instead_of(knob: Knob) -> str:
    """Return what to do where the number of a knob sets no rate."""
    family, size = family_of(knob), for_gradient_rms(knob)
    instead = family.instead if family else ""
    return f"{instead} {size}" if size else instead


def for_gradient_rms(knob: Knob) -> str:
    """Return the fact that makes it a rate, where only gradients divide the decay."""
    return sentence("for-gradient-rms") if divides_by_gradients(knob) else ""


def of_unused(facts: Mapping[str, str]) -> Iterator[Remark]:
    """Yield one remark on all facts that change nothing, grouped by reason."""
    alike: dict[str, list[str]] = {}
    for fact, why in facts.items():
        alike.setdefault(why, []).append(fact)
    named = [f"{listed(names)} ({why})" for why, names in alike.items()]
    if named:
        yield Remark.of("unused-fact", facts=listed(named))


def of_noise(rms_per_noise: float, at_end: float | None, run: Run) -> Remark:
    """Return the remark on an equilibrium in units of the gradient noise."""
    falls = not run.is_constant
    settle = "would settle, at the peak lr," if falls else "settle"
    end = ""
    if falls and at_end is not None:
        end = f" At the end of this run it is {at_end:.4g} times that deviation."
    return Remark.of("equilibrium-noise", settle=settle, rms=rms_per_noise, end=end)


def of_short_run(kept: float, shrink: float) -> Remark:
    """Return the remark on a run that ends before its weights settle."""
    steps = -math.log(MOST_THAT_STAYS) / -math.log1p(-shrink)
    return Remark.of("short-run", kept=100 * kept, steps=steps)


def of_decay(
    shrink: float | None,
    at_peak: Mapping[str, float | None],
    average: Mapping[str, float | None],
    run: Run,
    knob: Knob | None = None,
) -> Iterator[Remark]:
    """Yield remarks on the size of the decay."""
    yield from of_rounding(shrink, run, knob)
    share, epochs = average["run"], at_peak["epochs"]
    if share is not None and share > 1:
        yield Remark.of("longer-than-the-run", runs=share)
    if epochs is not None and epochs < 1 and (run.epochs is None or run.epochs > 1):
        yield Remark.of("shorter-than-an-epoch", epochs=epochs)


def of_run(e_folds: float | None, kept: float | None) -> Iterator[Remark]:
    """Yield remarks on what the run leaves."""
    if kept is not None and kept < 0:
        yield Remark.of("swing")
    if e_folds is not None and e_folds < 0 and kept is not None:
        yield Remark.of("growth")
    if e_folds == math.inf:
        yield Remark.of("nothing-left")


# Codes by the effect of rounding.
_ROUNDED: Mapping[Rounding, str] = {
    "dead": "dead-zone",
    "stalls": "stalls",
    "coarse": "rounding",
}


def of_rounding(
    shrink: float | None, run: Run, knob: Knob | None = None
) -> Iterator[Remark]:
    """Yield a remark if the number format of the weights rounds a shrink per step."""
    rounding = rounding_of(shrink, run.dtype) if shrink else "fine"
    if not shrink or rounding == "fine":
        return
    dead, kept = DEAD_BELOW[run.dtype], ""
    # The half-life is that of steps that multiply a weight by 1 - s, as torch's do; in
    # a wide format another order of operations rounds differently.
    family = None if knob is None or knob.library != "torch" else family_of(knob)
    is_torch = family is not None and family.multiplies
    if rounding == "coarse" and (run.dtype in STALLING or is_torch):
        steps = rounded_half_life_steps(shrink, run.dtype)
        kept = f" Kept in {run.dtype}, {half_left_after(steps, shrink)}."
    size = {"shrink": shrink, "dead": dead, "units": shrink / dead}
    yield Remark.of(_ROUNDED[rounding], dtype=run.dtype, kept=kept, **size)


def of_schedule(knob: Knob, shrink: float | None, run: Run) -> Iterator[Remark]:
    """Yield remarks on a decay that fades with the lr or by its own schedule."""
    power, own = course_of(knob).lr_power, _sampled(run.decay_schedule)
    sides = zip(_sampled(run.schedule), own, strict=True)
    decays = [m**power * k for m, k in sides]
    if not shrink or decays[-1] > _FADED:
        return
    late = sum(decays[-_SAMPLED_STEPS // 10 :]) / sum(decays)
    falls = f"The lr falls to {_last(run.schedule)} of its peak and takes the decay"
    falls += " with it"
    if own[-1] <= _FADED:
        falls = f"The decay falls by itself, to {_last(run.decay_schedule)} of its peak"
    yield Remark.of("fading-decay", falls=falls, late=100 * late)
    dead = sum(shrink * each < DEAD_BELOW[run.dtype] for each in decays)
    share = dead / _SAMPLED_STEPS
    if _NOTABLE < share < 1:
        dead_below = DEAD_BELOW[run.dtype]
        size = {"share": 100 * share, "dead": dead_below}
        yield Remark.of("late-dead-zone", dtype=run.dtype, **size)


# A rescale samples two schedules some fifty times, which took most of its time.
@lru_cache(maxsize=8)
def _sampled(schedule: Schedule) -> tuple[float, ...]:
    return tuple(schedule.multipliers(_SAMPLED_STEPS))


def _last(schedule: Schedule) -> str:
    """Return the end of a schedule: its final value, or that of its last step."""
    heads_for = "final" in SHAPES[schedule.shape].reads and not schedule.gamma
    return f"{schedule.final:g}" if heads_for else f"{_sampled(schedule)[-1]:.2g}"
