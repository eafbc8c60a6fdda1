"""Families without memory: each step multiplies the weight by 1 - knob * rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from dwindle.decay.half_life import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.long_runs import LONGEST_SWING, LONGEST_WALK, Rates
from dwindle.decay.root import increasing_root
from dwindle.decay.run import Run
from dwindle.decay.survival import Left, left_by, path_of
from dwindle.errors import RangeError


@dataclass(frozen=True, kw_only=True)
class Product:
    """Step t multiplies the weight by ``1 - (knob + extra) * rates[t]``.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run, at most ``peak``.
        extra: A decay that is on whatever the knob says.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run], Rates]
    extra: float = 0.0

    def shrink_per_step(self, knob: float, run: Run) -> float:
        """Return the fraction that a step at the peak lr takes off."""
        return checked_shrink((checked_knob(knob) + self.extra) * self.peak(run))

    def knob_for_shrink(self, shrink_per_step: float, run: Run) -> float:
        """Return the knob with this shrink at the peak lr."""
        return self._less_extra(checked_shrink(shrink_per_step) / self.peak(run))

    def e_folds(self, knob: float, run: Run) -> float:
        """Return -ln of what the run leaves."""
        return _left(self, checked_knob(knob), run).e_folds

    def survival(self, knob: float, run: Run) -> float:
        """Return what the run leaves."""
        return _left(self, checked_knob(knob), run).survival

    def survival_path(self, knob: float, run: Run) -> list[float]:
        """Return what 0, 1, … steps leave."""
        return path_of(self.shrinks(checked_knob(knob), run))

    def knob_for_e_folds(self, e_folds: float, run: Run) -> float:
        """Return the knob with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return self._less_extra(0.0)
        rates, peak = self.rates(run), self.peak(run)
        is_walked = rates.steps <= LONGEST_WALK
        top = max(rates.listed) if is_walked else peak
        # The first is the answer if all rates are alike; the log is convex, which puts
        # the answer below the second, and below the third even one step loses too much.
        mean = rates.total(float) / rates.steps
        guess = min(
            -math.expm1(-e_folds / rates.steps) / mean,
            e_folds / (mean * rates.steps),
            -math.expm1(-e_folds) / top,
        )
        total = increasing_root(
            lambda knob: _e_folds_below_pole(knob, rates, top),
            e_folds,
            guess=guess,
            ceiling=1 / top,
        )
        return self._less_extra(total)

    def shrinks(self, knob: float, run: Run) -> list[float]:
        """Return the fraction that each step takes off."""
        total = knob + self.extra
        return [total * rate for rate in self.rates(run).listed]

    def _less_extra(self, total: float) -> float:
        if total < self.extra:
            must = f"at least 0 on top of the decay of {self.extra:g} that is always on"
            raise RangeError("weight_decay", total - self.extra, must)
        return total - self.extra


# Many questions are asked of one setting, and each answer walks through the run.
@lru_cache(maxsize=256)
def _left(product: Product, knob: float, run: Run) -> Left:
    total, steps = knob + product.extra, run.total_steps
    swings = total * product.peak(run) >= 1
    if steps <= (LONGEST_SWING if swings else LONGEST_WALK):
        return left_by(product.shrinks(knob, run))
    checked_shrink(total * product.peak(run))
    return Left(e_folds=_lost_below_pole(total, product.rates(run)))


def _e_folds_below_pole(knob: float, rates: Rates, top: float) -> float:
    return _lost_below_pole(knob, rates) if knob * top < 1 else math.inf


def _lost_below_pole(knob: float, rates: Rates) -> float:
    return rates.total(lambda rate: -math.log1p(-knob * rate))
