"""Proximal decay: each step divides the weight by 1 + knob * rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from dwindle.decay.half_life import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.long_runs import Rates
from dwindle.decay.root import increasing_root
from dwindle.decay.run import Run


@dataclass(frozen=True, kw_only=True)
class Proximal:
    """Step t divides the weight by ``1 + knob * rates[t]``; it never swings.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run.

    Reference:
        Xie et al. 2022, Adan (arXiv 2208.06677), algorithm 1.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run], Rates]

    def shrink_per_step(self, knob: float, run: Run) -> float:
        """Return the fraction that a step at the peak lr takes off: a/(1 + a)."""
        taken = checked_knob(knob) * self.peak(run)
        return checked_shrink(taken / (1 + taken))

    def knob_for_shrink(self, shrink_per_step: float, run: Run) -> float:
        """Return the knob with this shrink at the peak lr."""
        shrink = checked_shrink(shrink_per_step)
        return shrink / (1 - shrink) / self.peak(run)

    def e_folds(self, knob: float, run: Run) -> float:
        """Return -ln of what the run leaves."""
        checked_knob(knob)
        return self.rates(run).total(lambda rate: math.log1p(knob * rate))

    def survival(self, knob: float, run: Run) -> float:
        """Return what the run leaves."""
        return math.exp(-self.e_folds(knob, run))

    def survival_path(self, knob: float, run: Run) -> list[float]:
        """Return what 0, 1, … steps leave."""
        checked_knob(knob)
        lost = (math.log1p(knob * rate) for rate in self.rates(run).listed)
        return [math.exp(-e_folds) for e_folds in accumulate(lost, initial=0.0)]

    def knob_for_e_folds(self, e_folds: float, run: Run) -> float:
        """Return the knob with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return 0.0
        rates = self.rates(run)
        mean = rates.total(float) / rates.steps
        return increasing_root(
            lambda knob: rates.total(lambda rate: math.log1p(knob * rate)),
            e_folds,
            guess=math.expm1(e_folds / rates.steps) / mean,
            ceiling=math.inf,
        )
