"""Solve an increasing positive function for its argument, to the last digits."""

import math
from collections.abc import Callable

from dwindle.errors import RangeError

# The most that was seen is 195, of power laws (exponents .2 to 4) from guesses up to
# twenty decades off; a run's own guess is near, and takes a few.
_MOST_EVALUATIONS = 300
# Two units in the last place of a number near 1.
_LAST_DIGIT = 4e-16
_NEAR = 1e-6  # error of the logarithm of the value
_Point = tuple[float, float]  # argument, value


def increasing_root(
    function: Callable[[float], float], target: float, *, guess: float, ceiling: float
) -> float:
    """Return the argument in (0, ceiling) at which the function reaches the target.

    The e-folds of a run are nearly proportional to its weight decay, so secants in
    log-log coordinates land after a few evaluations, each of which walks through the
    whole run. A bracket keeps them safe: where a pole at the ceiling bends the line
    so that a step does not halve the error, the next one halves the bracket.

    Args:
        function: Increasing, from 0 at 0; ``inf`` is allowed towards the ceiling.
        target: Value to reach, finite and above 0.
        guess: First argument, in (0, ceiling).
        ceiling: Upper end of the search; may be ``inf``.

    """
    low, high = 0.0, ceiling
    here, last_error = guess, math.inf
    best = (math.inf, guess)
    before: _Point = (0.0, 0.0)
    for _ in range(_MOST_EVALUATIONS):
        value = function(here)
        error = abs(math.log(value / target)) if 0 < value < math.inf else math.inf
        best = min(best, (error, here))
        low, high = (here, high) if value < target else (low, here)
        there = _secant((here, value), before, target)
        if error <= _LAST_DIGIT or abs(there - here) <= _LAST_DIGIT * here:
            break
        is_inside = low < there < high
        # The error that a secant step leaves is about the product of the last two.
        if is_inside and error < _NEAR and error * last_error < _LAST_DIGIT / 100:
            return there
        if not is_inside or error > last_error / 2:
            # In the logs far from the ceiling, which may be infinite.
            there = 2 * low
            if not math.isinf(high):
                there = math.sqrt(low * high) if low > high / 4 else (low + high) / 2
        if there in (low, high):
            break
        before, here, last_error = (here, value), there, error
    error, argument = best
    if error > _NEAR:
        must = "so few that a weight decay of 16 digits gives them in this run"
        remedy = "Ask for fewer e-folds or for more steps."
        raise RangeError("e_folds", target, must, remedy)
    return argument


def _secant(here: _Point, before: _Point, target: float) -> float:
    """Next argument on the line through two points, or of slope 1 through one."""
    argument, value = here
    if not 0 < value < math.inf:
        return math.nan
    slope = 1.0
    if 0 < before[1] < math.inf and before[0] != argument:
        slope = math.log(value / before[1]) / math.log(argument / before[0])
    return argument * math.exp(math.log(target / value) / slope) if slope else math.nan
