"""What a list of per-step shrinks leaves of a weight, without losing small digits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import neg


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of a weight: its size as e-folds, and its sign."""

    e_folds: float
    sign: int = 1

    @property
    def survival(self) -> float:
        """The weight that is left of 1."""
        return self.sign * math.exp(-self.e_folds)


def left_by(shrinks: Sequence[float]) -> Left:
    """Return what such steps leave; a shrink above 1 turns the sign.

    The e-folds are a sum, because a product of 1 - 1e-15 keeps no digit.
    """
    if max(shrinks) < 1:
        # All in C: a run may have a million steps, and a command has 0.3 seconds.
        return Left(e_folds=0.0 - math.fsum(map(math.log1p, map(neg, shrinks))))
    turns = sum(shrink > 1 for shrink in shrinks)
    return Left(e_folds=math.fsum(map(_log_lost, shrinks)), sign=_sign(turns))


def path_of(shrinks: Sequence[float]) -> list[float]:
    """Return what is left after 0, 1, … steps."""
    lost = accumulate(map(_log_lost, shrinks), initial=0.0)
    turns = accumulate((shrink > 1 for shrink in shrinks), initial=0)
    return [
        _sign(turned) * math.exp(-e_folds)
        for turned, e_folds in zip(turns, lost, strict=True)
    ]


def _log_lost(shrink: float) -> float:
    """-ln |1 - shrink| of one step; a step that takes everything loses ``inf``."""
    if shrink < 1:
        return -math.log1p(-shrink)
    return math.inf if shrink == 1 else -math.log(shrink - 1)


def _sign(turns: int) -> int:
    return -1 if turns % 2 else 1
