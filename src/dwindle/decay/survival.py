"""What a list of per-step shrinks leaves of a weight, without losing small digits."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate


def log_lost(shrink: float) -> float:
    """-ln |1 - shrink| of one step; a step that takes everything loses ``inf``."""
    if shrink < 1:
        return -math.log1p(-shrink)
    return math.inf if shrink == 1 else -math.log(shrink - 1)


def e_folds_of(shrinks: Iterable[float]) -> float:
    """-ln of what is left in size, as a sum: a product of 1 - 1e-15 keeps no digit."""
    return math.fsum(map(log_lost, shrinks))


def survival_of(shrinks: Sequence[float]) -> float:
    """Return what is left; a shrink above 1 turns the sign."""
    return _sign(sum(shrink > 1 for shrink in shrinks)) * math.exp(-e_folds_of(shrinks))


def path_of(shrinks: Sequence[float]) -> list[float]:
    """Return what is left after 0, 1, … steps."""
    lost = accumulate(map(log_lost, shrinks), initial=0.0)
    turns = accumulate((shrink > 1 for shrink in shrinks), initial=0)
    return [
        _sign(turned) * math.exp(-e_folds)
        for turned, e_folds in zip(turns, lost, strict=True)
    ]


def _sign(turns: int) -> int:
    return -1 if turns % 2 else 1
