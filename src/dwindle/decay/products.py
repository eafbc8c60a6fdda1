"""Decay without memory: each step multiplies the weight by a number.

A step multiplies it by ``1 - number * rate``, or divides it by ``1 + number * rate``;
ASGD's rates fall by themselves. Logarithms are summed, because a product of 1 - 1e-15
keeps no digit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from dwindle.decay.half_life import checked_e_folds, checked_knob, checked_shrink
from dwindle.decay.long_runs import (
    LONGEST_SWING,
    LONGEST_WALK,
    Left,
    Rates,
    Stretch,
    increasing_root,
    left_by,
)
from dwindle.decay.run import Run
from dwindle.errors import RangeError

# The decay that torch.optim.ASGD has on by default, and the power of its falling step.
ASGD_LAMBD = 1e-4
_ASGD_ALPHA = 0.75


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step does to a weight, by the product a of number and rate.

    Args:
        shrink: Fraction that it takes off.
        taken: The way back, from that fraction to a.
        lost: -ln of what it leaves, below ``most``.
        product: The way back, from that to a.
        most: The a from which on it takes everything.

    """

    shrink: Callable[[float], float]
    taken: Callable[[float], float]
    lost: Callable[[float], float]
    product: Callable[[float], float]
    most: float


TIMES = Step(
    shrink=lambda a: a,
    taken=lambda shrink: shrink,
    lost=lambda a: -math.log1p(-a),
    product=lambda e_folds: -math.expm1(-e_folds),
    most=1.0,
)
# Xie et al. 2022, Adan (arXiv 2208.06677), algorithm 1; it never swings.
OVER = Step(
    shrink=lambda a: a / (1 + a),
    taken=lambda shrink: shrink / (1 - shrink),
    lost=math.log1p,
    product=math.expm1,
    most=math.inf,
)


@dataclass(frozen=True, kw_only=True)
class Product:
    """A decay whose step t acts by ``(number + extra) * rates[t]`` on the weight.

    Args:
        peak: Rate at the peak lr.
        rates: Rate of every step of a run, at most ``peak``; ASGD's ``lambd`` is a
            number that slows its own rates.
        step: Multiplication by 1 - a, or division by 1 + a.
        extra: A decay that is on at every number.

    """

    peak: Callable[[Run], float]
    rates: Callable[[Run, float], Rates]
    step: Step = TIMES
    extra: float = 0.0

    def shrink_per_step(self, number: float, run: Run, /) -> float:
        """Return the fraction that a step at the peak lr takes off."""
        a = (checked_knob(number) + self.extra) * self.peak(run)
        return checked_shrink(self.step.shrink(a))

    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float:
        """Return the number with this shrink at the peak lr."""
        a = self.step.taken(checked_shrink(shrink_per_step))
        return self._less_extra(a / self.peak(run))

    def left(self, number: float, run: Run, /) -> Left:
        """Return what the run leaves."""
        return _left(self, checked_knob(number), run)

    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float:
        """Return the number with these e-folds over the run."""
        if checked_e_folds(e_folds) == 0:
            return self._less_extra(0.0)
        rates, most = self.rates(run, 0.0), self.step.most
        top = max(rates.listed) if rates.steps <= LONGEST_WALK else self.peak(run)
        # Exact if all rates are equal; the second bound is what the largest rate alone
        # would need.
        guess = self.step.product(e_folds / rates.steps) / rates.mean
        if most == 1:
            guess = min(guess, self.step.product(e_folds) / top)
        total = increasing_root(
            lambda total: self.lost(total, run) if total * top < most else math.inf,
            e_folds,
            guess=guess,
            ceiling=most / top,
        )
        return self._less_extra(total)

    def shrinks(self, number: float, run: Run) -> list[float]:
        """Return the fraction that each step takes off."""
        total = checked_knob(number) + self.extra
        rates = self.rates(run, number).listed
        return [self.step.shrink(total * rate) for rate in rates]

    def lost(self, total: float, run: Run) -> float:
        """Return the e-folds of the run, where no step takes the whole weight."""
        rates = self.rates(run, total - self.extra)
        return rates.total(lambda rate: self.step.lost(total * rate))

    def _less_extra(self, total: float) -> float:
        if total < self.extra:
            must = f"at least 0 on top of the decay of {self.extra:g} that is always on"
            raise RangeError("weight_decay", total - self.extra, must)
        return total - self.extra


# One setting is evaluated several times, each time over the whole run.
@lru_cache(maxsize=256)
def _left(product: Product, number: float, run: Run) -> Left:
    # The length first: where it is missing, the remark names it before the lr.
    total, steps = number + product.extra, run.total_steps
    if total * product.peak(run) < product.step.most:
        return Left(e_folds=product.lost(total, run))
    if steps > LONGEST_SWING:  # too long to compute each step
        checked_shrink(product.step.shrink(total * product.peak(run)))
    return left_by(product.shrinks(number, run))


def lr_of(run: Run) -> float:
    """Return the peak lr of the run, for a decay that is multiplied by it."""
    return run.require("lr", "The shrink of a decay that is multiplied by the lr")


def rates_under(*, power: int, lr: bool) -> Callable[[Run, float], Rates]:
    """Return the rates of a decay that follows a power of the lr's schedule, m**power.

    They include the peak lr if ``lr``, and the schedule of the decay itself.
    """
    return lambda run, _: _rates(run, power, lr=lr)


# A search for a root evaluates one run several times, each time over all steps.
@lru_cache(maxsize=2)
def _rates(run: Run, power: int, *, lr: bool) -> Rates:
    if not lr:
        return run.decay_rates(power)
    peak = lr_of(run)  # once: a long run has half a million steps
    return run.decay_rates(power).map(lambda m: peak * m)


def asgd_rates(run: Run, lambd: float) -> Rates:
    """Step sizes of torch.optim.ASGD, which fall by themselves.

    ``e_0`` is the first step's lr and ``e_t = lr' / (1 + lambd lr' t) ** 0.75``, where
    ``lr'`` is the lr of the step before: a new lr acts one step late. Step t multiplies
    the weight by ``1 - (lambd + weight_decay) e_t``; ``lambd`` also decays where
    weight_decay is 0. The shrink is that of a first step at the peak lr.

    Reference:
        torch 2.13.0, ``torch/optim/asgd.py``; it keeps ``e_t`` in the default dtype.

    """
    first, *_ = lrs = _rates(run, 1, lr=True).stretches
    # e_0 is the lr of the first step itself, which has none before it.
    parts = [Stretch(start=0, stop=1, at=lambda _: first.at(0))]
    for each in lrs:

        def falling(step: float, at: Callable[[float], float] = each.at) -> float:
            lr = at(step - 1)
            return lr / math.pow(1 + lambd * lr * step, _ASGD_ALPHA)

        stop = min(each.stop + 1, run.total_steps)
        parts.append(Stretch(start=each.start + 1, stop=stop, at=falling))
    return Rates(tuple(each for each in parts if each.steps))
