"""Legs: a run under a scheduler of which only the options that it sets are known.

A leg is a row of steps with the same options. Once two successive steps are equal, the
rest of the leg is computed at once, so the cost grows with the legs, not the steps.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dwindle.decay.long_runs import Left, log_lost
from dwindle.decay.momentum import HARDLY, walked

# Buffers that differ by less count as equal: what is left has twelve digits.
_SAME = 1e-14


class Leg(NamedTuple):
    """A row of steps, maybe a million, with the same options."""

    steps: int
    lr: float
    weight_decay: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False


def merged(legs: Iterable[Leg]) -> Iterator[Leg]:
    """Yield legs of which no two neighbours have the same options."""
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
    """Return what is left if each step takes lr·weight_decay of a weight."""
    lost, turns = [], 0
    for leg in legs:
        shrink = leg.lr * leg.weight_decay
        lost.append(leg.steps * log_lost(shrink))
        turns += leg.steps * (shrink > 1)
    return Left(e_folds=math.fsum(lost), sign=-1 if turns % 2 else 1)


def left_by_powers(
    legs: Iterable[Leg], *, shrink: float, lr: float, power: float
) -> Left:
    """Return what is left if a step's share goes with the knob and a power of the lr.

    Args:
        legs: The run; the knob is that of the first leg where ``shrink`` was measured.
        shrink: Share that a step takes at ``lr``.
        lr: Where it was measured, above 0.
        power: Of the lr: 0 where the share is the same at every lr.

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
    """
    lost: list[float] = []
    turns, buffer = 0, None
    for leg in legs:
        for rest in range(leg.steps, 0, -1):
            before = math.nan if buffer is None else buffer
            steps = ((leg.lr, 1.0, leg.momentum),)
            (shrink,), buffer = walked(leg.weight_decay, leg, steps, buffer)
            # The buffer, not the shrink: under an lr of 0 the buffer goes on.
            alike = rest if abs(buffer - before) <= _SAME * abs(buffer) else 1
            if shrink == 1 and leg.momentum:  # the buffer carries it on from zero
                shrink -= HARDLY
            lost.append(alike * log_lost(shrink))
            turns += alike * (shrink > 1)
            if alike == rest:
                break
    return Left(e_folds=math.fsum(lost), sign=-1 if turns % 2 else 1)
