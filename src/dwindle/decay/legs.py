"""Legs: what a run leaves of a weight whose lr stays the same for some steps at a time.

A schedule that steps once an epoch has one lr for thousands of steps, and any other
schedule is a run of short legs. A leg is passed over in one go once its step has become
the same as the one before, so a run of a million steps costs what its legs cost.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dwindle.decay.survival import Left

# Two pushes that differ by less are one: what is left is told to twelve digits.
_SAME = 1e-14


class Leg(NamedTuple):
    """Some steps in a row with the same options; there may be a million of them.

    Args:
        steps: How many, at least 1.
        lr: Learning rate of each.
        weight_decay: The knob.
        momentum: Momentum of SGD; 0 where there is none.
        dampening: Its dampening.
        nesterov: Whether it is Nesterov's.

    """

    steps: int
    lr: float
    weight_decay: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False


def merged(legs: Iterable[Leg]) -> Iterator[Leg]:
    """Yield legs of which no two neighbours have the same options.

    Example:
        >>> legs = [Leg(steps=2, lr=0.1, weight_decay=0.01)] * 3
        >>> [leg.steps for leg in merged(legs)]
        [6]

    """
    last: Leg | None = None
    for leg in legs:
        if last is not None and last[1:] == leg[1:]:
            last = last._replace(steps=last.steps + leg.steps)
            continue
        if last is not None:
            yield last
        last = leg
    if last is not None:
        yield last


def left_by_decoupled(legs: Iterable[Leg]) -> Left:
    """Return what steps leave that each take lr·weight_decay of a weight.

    Example:
        >>> round(left_by_decoupled([Leg(steps=2, lr=0.1, weight_decay=1)]).survival, 9)
        0.81

    """
    lost, turns = [], 0
    for leg in legs:
        shrink = leg.lr * leg.weight_decay
        lost.append(leg.steps * _log_lost(shrink))
        turns += leg.steps * (shrink > 1)
    return Left(e_folds=math.fsum(lost), sign=-1 if turns % 2 else 1)


def left_by_powers(
    legs: Iterable[Leg], *, shrink: float, lr: float, power: float
) -> Left:
    """Return what steps leave whose share goes with the knob and a power of the lr.

    Args:
        legs: The run; the knob is that of the first leg where ``shrink`` was measured.
        shrink: Share that a step takes at ``lr``.
        lr: Where it was measured, above 0.
        power: Of the lr: 0 where the share is the same at every lr.

    Example:
        >>> half = [Leg(steps=2, lr=0.05, weight_decay=1)]
        >>> round(left_by_powers(half, shrink=0.2, lr=0.1, power=1).survival, 9)
        0.81

    """
    legs = list(legs)
    knob = next((leg.weight_decay for leg in legs if leg.weight_decay), 1.0)
    shares = [
        Leg(
            steps=leg.steps,
            lr=shrink * (leg.lr / lr) ** power,
            weight_decay=leg.weight_decay / knob,
        )
        for leg in legs
    ]
    return left_by_decoupled(shares)


def left_by_sgd(legs: Iterable[Leg]) -> Left:
    """Return what torch.optim.SGD leaves of a weight with zero gradient.

    The recurrence of :mod:`dwindle.decay.momentum`, with options that may change from
    leg to leg, as OneCycleLR changes the momentum. The first step is not dampened.

    Example:
        >>> round(left_by_sgd([Leg(steps=2, lr=0.1, weight_decay=1)]).survival, 9)
        0.81

    """
    state = _Sgd()
    for leg in legs:
        state.go_along(leg)
    return Left(e_folds=math.fsum(state.lost), sign=state.sign)


class _Sgd:
    """Weight and buffer; the buffer is counted per unit of weight.

    So no digit is lost where a step takes 1e-15. That has no meaning once a weight is
    exactly zero, which is then nudged to the smallest weight that there is.
    """

    def __init__(self) -> None:
        self.lost: list[float] = []
        self.sign = 1
        self._buffer = 0.0
        self._is_first = True

    def go_along(self, leg: Leg) -> None:
        """Take the steps of a leg, all at once where they have become alike."""
        before = math.nan
        for done in range(leg.steps):
            push = self._step(leg)
            # The push, not the shrink: under an lr of 0 the buffer goes on.
            if abs(push - before) <= _SAME * abs(push):
                rest, shrink = leg.steps - done - 1, leg.lr * push
                self.lost.append(rest * _log_lost(shrink) if rest else 0.0)
                self.sign *= -1 if shrink > 1 and rest % 2 else 1
                return
            before = push

    def _step(self, leg: Leg) -> float:
        """Take one step and return what it subtracts per unit of lr and weight."""
        share = 1 - leg.dampening if leg.momentum and not self._is_first else 1.0
        self._is_first = False
        self._buffer = leg.momentum * self._buffer + share * leg.weight_decay
        push = self._buffer
        if leg.nesterov:
            push = leg.weight_decay + leg.momentum * self._buffer
        shrink = leg.lr * push
        left = 1 - shrink or math.ulp(1.0)
        self.lost.append(_log_lost(shrink) if shrink != 1 else -math.log(left))
        self.sign *= -1 if left < 0 else 1
        self._buffer /= left
        return push


def _log_lost(shrink: float) -> float:
    if shrink < 1:
        return -math.log1p(-shrink)
    return math.inf if shrink == 1 else -math.log(shrink - 1)
