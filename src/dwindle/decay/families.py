"""The update families: the rules by which weights decay.

A family is one record. Every knob of every optimizer is a number that one of them
reads; ``FAMILIES["decoupled"].shrink_per_step(0.1, run)`` is AdamW's. A new family is
one more table of ``families.toml`` and its check against a real optimizer.

Survival and e-folds are those of a weight with zero gradient from a fresh optimizer,
step by step under the schedule, and keep their digits down to a shrink of 1e-15.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from dwindle.decay import momentum
from dwindle.decay.knob import Knob
from dwindle.decay.long_runs import Left
from dwindle.decay.products import (
    ASGD_LAMBD,
    OVER,
    Product,
    asgd_rates,
    lr_of,
    rates_under,
)
from dwindle.decay.run import Run
from dwindle.errors import RefusedError
from dwindle.plain import table_beside


class _Decay(Protocol):
    """What a family computes, see :class:`Family`: a module, or an object."""

    def shrink_per_step(self, number: float, run: Run, /) -> float: ...
    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float: ...
    def left(self, number: float, run: Run, /) -> Left: ...
    def shrinks(self, number: float, run: Run, /) -> list[float]: ...
    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float: ...


@dataclass(frozen=True)
class DecayCourse:
    """How a decay changes as the lr leaves its peak.

    Args:
        text: What it does, as a predicate.
        lr_power: Power of the lr's schedule that it follows.
        is_of_schedule: Whether the schedule is all that it depends on.

    """

    text: str
    lr_power: int = 1
    is_of_schedule: bool = True


# The texts are in conversions between knobs that differ under one schedule.
FOLLOWS, STAYS = DecayCourse("follows the lr"), DecayCourse("stays", lr_power=0)


@dataclass(frozen=True)
class Written:
    """An update in formulas, as templates; ``{x}`` is the number.

    Args:
        line: What one step does to a weight w with gradient g, in the parts that
            :mod:`dwindle.decay.formulas` fills in.
        shrink: From the number to the shrink s at the peak lr; empty without a rate.
        number: The way back.

    """

    line: str
    shrink: str = ""
    number: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """An update rule.

    Args:
        name: Key in :data:`FAMILIES`.
        title: Name in texts, as scaling rules state it.
        source: What was read or measured for it.
        decay: What it computes; None where the number sets no rate.
        written: The update in formulas; that with momentum, where it has one.
        without_momentum: The same without momentum; only where it goes through one.
        nesterov: The same with Nesterov's.
        course: What the decay does when the lr leaves its peak.
        reads_lr: Whether the number is multiplied by the lr, not by lr over its peak.
        is_penalty: Whether scaling rules about a term of an objective are meant for it.
        is_decoupled: Whether those about decoupled decay are.
        practice: Optimizer of the published recipes that decay by the same rule.
        own_options: Further options of its optimizer that change the decay.
        multiplies: Whether torch's form multiplies a weight by 1 − s, rounded once.
        caution: Remark beside every number; ``{name}`` is the knob.
        caution_code: Code of that; of a family without rate, its name.
        objective_note: Assumption where two numbers minimize one objective.
        why_no_rate: Why the number sets no half-life, about ``{name}``, with
            ``{at_zero}`` in it; empty where it sets one.
        at_zero: What a step takes off a weight with zero gradient, of an optimizer that
            :data:`AT_ZERO_GRADIENT` does not have.
        instead: What to do about it.

    """

    name: str
    title: str
    source: str
    decay: _Decay | None = None
    written: Written
    without_momentum: Written | None = None
    nesterov: Written | None = None
    course: DecayCourse = FOLLOWS
    reads_lr: bool = True
    is_penalty: bool = False
    is_decoupled: bool = False
    practice: str = ""
    own_options: Sequence[str] = ()
    multiplies: bool = False
    caution: str = ""
    caution_code: str = ""
    objective_note: str = ""
    why_no_rate: str = ""
    at_zero: str = ""
    instead: str = ""

    @property
    def always_on(self) -> float:
        """A decay that adds to every number."""
        return float(getattr(self.decay, "extra", 0.0))

    @property
    def has_half_life(self) -> bool:
        """Whether the number sets a half-life."""
        return self.decay is not None

    @property
    def is_over_peak(self) -> bool:
        """Whether the number is multiplied by the lr over its peak."""
        return not self.reads_lr and self.course.lr_power > 0

    @property
    def has_momentum(self) -> bool:
        """Whether the optimizer's momentum acts on the decay."""
        return self.nesterov is not None

    def shrink_per_step(self, number: float, run: Run) -> float:
        """Return the fraction that a step at the peak lr takes off, asymptotically."""
        return self._decay().shrink_per_step(number, run)

    def knob_for_shrink(self, shrink_per_step: float, run: Run) -> float:
        """Return the number with this shrink: the exact inverse."""
        return self._decay().knob_for_shrink(shrink_per_step, run)

    def survival(self, number: float, run: Run) -> float:
        """Return what the run leaves of a weight, up to 10⁶ steps if it swings."""
        return self._decay().left(number, run).survival

    def e_folds(self, number: float, run: Run) -> float:
        """Return -ln of the size of what the run leaves."""
        return self._decay().left(number, run).e_folds

    def knob_for_e_folds(self, e_folds: float, run: Run) -> float:
        """Return the number with these e-folds: the exact inverse."""
        return self._decay().knob_for_e_folds(e_folds, run)

    def written_for(self, run: Run) -> Written:
        """Return the formulas of the update with the momentum of this run."""
        if self.nesterov is None or self.without_momentum is None:
            return self.written
        if run.momentum == 0:
            return self.without_momentum
        return self.nesterov if run.nesterov else self.written

    def reason(self, name: str, knob: Knob | None = None) -> str:
        """Return why the number sets no rate, of a knob of this family.

        Args:
            name: Subject of the sentences.
            knob: The knob, whose optimizer may have been measured at zero gradient.

        """
        # By the update first: variants of one algorithm may differ at zero.
        known = knob and (
            AT_ZERO_GRADIENT.get(knob.update) or AT_ZERO_GRADIENT.get(knob.algorithm)
        )
        return self.why_no_rate.format(name=name, at_zero=known or self.at_zero)

    def beside_lr(self, lr: float, peak: float) -> float:
        """Return what the lr of a step and the number must be multiplied by.

        The product is the decay of that step; 1 for a decay that follows the lr.
        """
        if self.reads_lr:
            return (lr / peak) ** (self.course.lr_power - 1)
        return 1 / (peak if self.is_over_peak else lr)

    def _decay(self) -> _Decay:
        if self.decay is None:
            request = f"The half-life that a number gives under {self.title}"
            raise RefusedError(request, self.reason("The optimizer"), self.instead)
        return self.decay


# What each family computes: from the number to the shrink of a step and back, and what
# a run leaves. The others set no rate.
_DECAYS: Mapping[str, _Decay] = {
    "coupled-sgd": momentum,
    "decoupled": Product(peak=lr_of, rates=rates_under(power=1, lr=True)),
    "schedule-only": Product(peak=lambda _: 1.0, rates=rates_under(power=1, lr=False)),
    "constant": Product(peak=lambda _: 1.0, rates=rates_under(power=0, lr=False)),
    # lr²/peak: once as an lr, once over the peak.
    "corrected": Product(peak=lr_of, rates=rates_under(power=2, lr=True)),
    "proximal": Product(peak=lr_of, rates=rates_under(power=1, lr=True), step=OVER),
    "proximal-schedule-only": Product(
        peak=lambda _: 1.0, rates=rates_under(power=1, lr=False), step=OVER
    ),
    "asgd": Product(
        peak=lr_of, rates=lambda run, _: asgd_rates(run, ASGD_LAMBD), extra=ASGD_LAMBD
    ),
    # The number is lambd itself, which also shrinks the step size it is multiplied by.
    "asgd-lambd": Product(peak=lr_of, rates=asgd_rates),
}


def _family(cells: dict[str, Any]) -> Family:  # Any: texts, flags and lists
    for name in {"written", "without_momentum", "nesterov"} & cells.keys():
        cells[name] = Written(*cells[name])
    if "course" in cells:
        cells["course"] = DecayCourse(**cells["course"])
    return Family(**cells, decay=_DECAYS.get(cells["name"]))


_FILE = table_beside(__file__)
# By update: what a step takes off a weight with zero gradient.
AT_ZERO_GRADIENT: Mapping[str, str] = MappingProxyType(_FILE["at_zero"])
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {each.name: each for each in map(_family, _FILE["family"])}
)

# Families that code refers to: those of SGD, Adam, AdamW and a bare rate of decay.
SGD, ADAPTIVE = FAMILIES["coupled-sgd"], FAMILIES["coupled-adaptive"]
DECOUPLED = FAMILIES["decoupled"]
# A half-life or a shrink holds at the peak lr, and then follows the schedule.
OF_A_RATE = FAMILIES["schedule-only"]


def family_of(knob: Knob) -> Family | None:
    """Return the update rule that reads the knob; None for a bare penalty or a rate."""
    return None if knob.family is None else FAMILIES[knob.family]


def has_no_rate(knob: Knob) -> bool:
    """Return whether an optimizer reads the number and it sets no half-life."""
    family = family_of(knob)
    return family is not None and not family.has_half_life


def has_momentum(knob: Knob) -> bool:
    """Return whether the optimizer's momentum, if any, acts on the decay."""
    family = family_of(knob)
    return family is not None and family.has_momentum


def course_of(knob: Knob) -> DecayCourse:
    """Return the course of a knob's decay; a rate follows the schedule."""
    family = family_of(knob)
    return FOLLOWS if family is None else family.course
