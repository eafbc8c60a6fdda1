"""Decay without memory: what steps leave that each multiply the weight by a number.

:class:`Product` steps multiply it by ``1 - number * rate``, :class:`Proximal` ones
divide it by ``1 + number * rate``, and ASGD's rates fall by themselves. Everything is
summed as logarithms, because a product of 1 - 1e-15 keeps no digit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from dwindle.decay.half_life import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.long_runs import (
    LONGEST_SWING,
    LONGEST_WALK,
    Left,
    Rates,
    Stretch,
    left_by,
    path_of,
)
from dwindle.decay.root import increasing_root
from dwindle.decay.run import Run
from dwindle.errors import RangeError

# The decay that torch.optim.ASGD has on by default, and the power of its falling step.
ASGD_LAMBD = 1e-4
_ASGD_ALPHA = 0.75


@dataclass(frozen=True, kw_only=True)
class Product:
    """Step t multiplies the weight by ``1 - (number + extra) * rates[t]``.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run, at most ``peak``.
        extra: A decay that is on at every number.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run], Rates]
    extra: float = 0.0

    def shrink_per_step(self, number: float, run: Run, /) -> float:
        """Return the fraction that a step at the peak lr takes off."""
        return checked_shrink((checked_knob(number) + self.extra) * self.peak(run))

    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float:
        """Return the number with this shrink at the peak lr."""
        return self._less_extra(checked_shrink(shrink_per_step) / self.peak(run))

    def left(self, number: float, run: Run, /) -> Left:
        """Return what the run leaves."""
        return _left(self, checked_knob(number), run)

    def path(self, number: float, run: Run, /) -> list[float]:
        """Return what 0, 1, … steps leave."""
        return path_of(self.shrinks(checked_knob(number), run))

    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float:
        """Return the number with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return self._less_extra(0.0)
        rates, peak = self.rates(run), self.peak(run)
        is_walked = rates.steps <= LONGEST_WALK
        top = max(rates.listed) if is_walked else peak
        # The first is the answer if all rates are alike; the log is convex, which puts
        # the answer below the second, and below the third even one step loses too much.
        mean = rates.mean
        guess = min(
            -math.expm1(-e_folds / rates.steps) / mean,
            e_folds / (mean * rates.steps),
            -math.expm1(-e_folds) / top,
        )
        total = increasing_root(
            # From 1/top on a step takes everything.
            lambda total: _lost(total, rates) if total * top < 1 else math.inf,
            e_folds,
            guess=guess,
            ceiling=1 / top,
        )
        return self._less_extra(total)

    def shrinks(self, number: float, run: Run) -> list[float]:
        """Return the fraction that each step takes off."""
        total = number + self.extra
        return [total * rate for rate in self.rates(run).listed]

    def _less_extra(self, total: float) -> float:
        if total < self.extra:
            must = f"at least 0 on top of the decay of {self.extra:g} that is always on"
            raise RangeError("weight_decay", total - self.extra, must)
        return total - self.extra


# Many questions are asked of one setting, and each answer walks through the run.
@lru_cache(maxsize=256)
def _left(product: Product, number: float, run: Run) -> Left:
    total, steps = number + product.extra, run.total_steps
    swings = total * product.peak(run) >= 1
    if steps <= (LONGEST_SWING if swings else LONGEST_WALK):
        return left_by(product.shrinks(number, run))
    # Too long to be walked: refuse it if it swings.
    checked_shrink(total * product.peak(run))
    return Left(e_folds=_lost(total, product.rates(run)))


def _lost(total: float, rates: Rates) -> float:
    """-ln of what steps leave none of which takes everything."""
    return rates.total(lambda rate: -math.log1p(-total * rate))


@dataclass(frozen=True, kw_only=True)
class Proximal:
    """Step t divides the weight by ``1 + number * rates[t]``; it never swings.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run.

    Reference:
        Xie et al. 2022, Adan (arXiv 2208.06677), algorithm 1.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run], Rates]

    def shrink_per_step(self, number: float, run: Run, /) -> float:
        """Return the fraction that a step at the peak lr takes off: a/(1 + a)."""
        taken = checked_knob(number) * self.peak(run)
        return checked_shrink(taken / (1 + taken))

    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float:
        """Return the number with this shrink at the peak lr."""
        shrink = checked_shrink(shrink_per_step)
        return shrink / (1 - shrink) / self.peak(run)

    def left(self, number: float, run: Run, /) -> Left:
        """Return what the run leaves."""
        checked_knob(number)
        lost = self.rates(run).total(lambda rate: math.log1p(number * rate))
        return Left(e_folds=lost)

    def path(self, number: float, run: Run, /) -> list[float]:
        """Return what 0, 1, … steps leave."""
        checked_knob(number)
        lost = (math.log1p(number * rate) for rate in self.rates(run).listed)
        return [math.exp(-e_folds) for e_folds in accumulate(lost, initial=0.0)]

    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float:
        """Return the number with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return 0.0
        rates = self.rates(run)
        mean = rates.mean
        return increasing_root(
            lambda number: rates.total(lambda rate: math.log1p(number * rate)),
            e_folds,
            # Exact where all rates are alike, else below the answer: log1p is concave.
            guess=math.expm1(e_folds / rates.steps) / mean,
            ceiling=math.inf,
        )


def lr_of(run: Run) -> float:
    """Return the peak lr of the run, for a decay that is multiplied by it."""
    return run.require("lr", "The shrink of a decay that is multiplied by the lr")


def rates_under_lr(power: int) -> Callable[[Run], Rates]:
    """Rates lr * m**power: what a decay sees that follows the schedule m so often.

    A schedule of the decay itself multiplies them.
    """

    def rates(run: Run) -> Rates:
        lr = lr_of(run)  # once: a long run has half a million steps
        return run.decay_rates(power).map(lambda m: lr * m)

    return rates


def asgd_decay(*, lambd: float = ASGD_LAMBD, alpha: float = _ASGD_ALPHA) -> Product:
    """Both decays of torch.optim.ASGD, whose step size falls by itself.

    Step t multiplies the weight by ``1 - (lambd + weight_decay) e_t`` with ``e_0`` the
    first step's lr and ``e_t = lr' / (1 + lambd lr' t) ** alpha``, where ``lr'`` is the
    lr of the step before: a new lr acts one step late. The shrink is that of a first
    step at the peak lr; later ones are smaller. ``lambd`` also decays where
    weight_decay is 0.

    Args:
        lambd: The decay that torch has on by default, at least 0.
        alpha: Power of the falling step size.

    Reference:
        torch 2.13.0, ``torch/optim/asgd.py``; it keeps ``e_t`` in the default dtype.

    """

    def rates(run: Run) -> Rates:
        first, *_ = lrs = rates_under_lr(1)(run).stretches
        late = (_one_step_late(each, run.total_steps) for each in lrs)
        # e_0 is the lr of the first step itself: no step stands before it.
        started = Stretch(start=0, stop=1, at=lambda _: first.at(0))
        return Rates((started, *(each for each in late if each.steps)))

    def _one_step_late(lrs: Stretch, steps: int) -> Stretch:
        def falling(step: float) -> float:
            lr = lrs.at(step - 1)
            return lr / math.pow(1 + lambd * lr * step, alpha)

        return Stretch(start=lrs.start + 1, stop=min(lrs.stop + 1, steps), at=falling)

    return Product(peak=lr_of, rates=rates, extra=lambd)


class LambdDecay:
    """The number is ASGD's ``lambd``, which also slows the step size it acts by."""

    def shrink_per_step(self, number: float, run: Run, /) -> float:
        """Return what a first step at the peak lr takes off: ``lr * lambd``."""
        return checked_shrink(checked_knob(number) * lr_of(run))

    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float:
        """Return ``lambd`` with this shrink in a first step at the peak lr."""
        return checked_shrink(shrink_per_step) / lr_of(run)

    def left(self, number: float, run: Run, /) -> Left:
        """Return what the run leaves."""
        return asgd_decay(lambd=checked_knob(number)).left(0.0, run)

    def path(self, number: float, run: Run, /) -> list[float]:
        """Return what 0, 1, … steps leave."""
        return asgd_decay(lambd=checked_knob(number)).path(0.0, run)

    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float:
        """Return ``lambd`` with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return 0.0
        ceiling = 1 / lr_of(run)
        # As if the step size did not fall. From the ceiling on a step takes all.
        guess = min(e_folds / (lr_of(run) * run.total_steps), ceiling / 2)
        return increasing_root(
            lambda number: self.left(number, run).e_folds,
            e_folds,
            guess=guess,
            ceiling=ceiling,
        )
