"""Families without memory: each step multiplies the weight by 1 - knob * rate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dwindle.decay.ranges import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.root import increasing_root
from dwindle.decay.run import Run
from dwindle.decay.survival import e_folds_of, path_of, survival_of
from dwindle.errors import RangeError


@dataclass(frozen=True, kw_only=True)
class Product:
    """Step t multiplies the weight by ``1 - (knob + extra) * rates[t]``.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run.
        extra: A decay that is on whatever the knob says.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run], Sequence[float]]
    extra: float = 0.0

    def shrink_per_step(self, knob: float, run: Run) -> float:
        """Return the fraction that a step at the peak lr takes off."""
        return checked_shrink((checked_knob(knob) + self.extra) * self.peak(run))

    def knob_for_shrink(self, shrink_per_step: float, run: Run) -> float:
        """Return the knob with this shrink at the peak lr."""
        return self._less_extra(checked_shrink(shrink_per_step) / self.peak(run))

    def e_folds(self, knob: float, run: Run) -> float:
        """Return -ln of what the run leaves."""
        return e_folds_of(self._shrinks(knob, run))

    def survival(self, knob: float, run: Run) -> float:
        """Return what the run leaves."""
        return survival_of(self._shrinks(knob, run))

    def survival_path(self, knob: float, run: Run) -> list[float]:
        """Return what 0, 1, … steps leave."""
        return path_of(self._shrinks(knob, run))

    def knob_for_e_folds(self, e_folds: float, run: Run) -> float:
        """Return the knob with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return self._less_extra(0.0)
        rates = self.rates(run)
        # The first is the answer if all rates are alike; the log is convex, which puts
        # the answer below the second, and below the third even one step loses too much.
        mean, top = math.fsum(rates) / len(rates), max(rates)
        guess = min(
            -math.expm1(-e_folds / len(rates)) / mean,
            e_folds / (mean * len(rates)),
            -math.expm1(-e_folds) / top,
        )
        total = increasing_root(
            lambda knob: _e_folds_below_pole(knob, rates),
            e_folds,
            guess=guess,
            ceiling=1 / top,
        )
        return self._less_extra(total)

    def _shrinks(self, knob: float, run: Run) -> list[float]:
        total = checked_knob(knob) + self.extra
        return [total * rate for rate in self.rates(run)]

    def _less_extra(self, total: float) -> float:
        if total < self.extra:
            must = f"at least 0 on top of the decay of {self.extra:g} that is always on"
            raise RangeError("weight_decay", total - self.extra, must)
        return total - self.extra


def _e_folds_below_pole(knob: float, rates: Sequence[float]) -> float:
    if knob * max(rates) >= 1:
        return math.inf
    return math.fsum(-math.log1p(-knob * rate) for rate in rates)
