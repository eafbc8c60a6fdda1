"""Solve an increasing positive function for its argument, to the last digits."""

import math
from collections.abc import Callable

_MOST_STEPS = 300
_LAST_DIGIT = 4e-16


def increasing_root(
    function: Callable[[float], float], target: float, *, guess: float, ceiling: float
) -> float:
    """Return the argument in (0, ceiling) at which the function reaches the target.

    The e-folds of a run are nearly proportional to its weight decay, so secants in
    log-log coordinates land after a few evaluations; a bracket keeps them honest, and
    every third step halves it, because a pole at the ceiling bends the line.

    Args:
        function: Increasing, from 0 at 0; ``inf`` is allowed towards the ceiling.
        target: Value to reach, finite and above 0.
        guess: First argument, in (0, ceiling).
        ceiling: Upper end of the search; may be ``inf``.

    """
    low, high = 0.0, ceiling
    here, before = guess, (0.0, 0.0)
    for count in range(_MOST_STEPS):
        value = function(here)
        if value == target:
            return here
        low, high = (here, high) if value < target else (low, here)
        there = _secant((here, value), before, target)
        before = (here, value)
        if not low < there < high or count % 3 == 2:  # noqa: PLR2004
            there = _middle(low, high)
        if abs(there - here) <= _LAST_DIGIT * here:
            return there
        here = there
    return here


def _secant(
    here: tuple[float, float], before: tuple[float, float], target: float
) -> float:
    """Next argument on the line through two points, or of slope 1 through one."""
    argument, value = here
    if not 0 < value < math.inf:
        return math.nan
    slope = 1.0
    if 0 < before[1] < math.inf and before[0] != argument and before[1] != value:
        slope = math.log(value / before[1]) / math.log(argument / before[0])
    return argument * math.exp(math.log(target / value) / slope) if slope else math.nan


def _middle(low: float, high: float) -> float:
    if math.isinf(high):
        return 2 * low
    return math.sqrt(low * high) if low > high / 4 else (low + high) / 2
