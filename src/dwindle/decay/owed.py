"""Decay that a number format can write exactly, with the rest owed to the next step."""

import math

from dwindle.decay.dtypes import DIGITS


def steps_between_factors(dtype: str) -> float:
    """Return how many factors between 0 and 1 a multiplication in ``dtype`` can tell.

    A weight in bfloat16 or float16 is multiplied in float32 and rounded afterwards.

    Args:
        dtype: A key of :data:`dwindle.decay.dtypes.DIGITS`.

    Example:
        >>> steps_between_factors("bfloat16") == steps_between_factors(
        ...     "float32"
        ... ) == 2**24
        True

    """
    return 2.0 ** max(DIGITS["float32"], DIGITS[dtype])


def exact_shrink(owed: float, steps_between: float) -> float:
    """Fraction to take off now, such that one minus it is a number of the format.

    ``1 - s`` has a fixed number of digits: at ``s = 1e-5`` a float32 program
    multiplies by a factor whose ``s`` is wrong by up to 0.3 %, at every step the same
    way. Taking the nearest ``s`` whose factor is exact and owing the rest to the next
    step keeps the product of all factors within half a digit of what was asked,
    however long the run.

    Args:
        owed: ln of what should be left of a weight and is not yet, at most 0; what a
            step owes is ``log1p(-shrink)``.
        steps_between: From :func:`steps_between_factors`.

    Returns:
        A fraction in [0, 1); ``owed - log1p(-fraction)`` is owed afterwards.

    Example:
        >>> owed = taken = 0.0
        >>> for _ in range(1000):
        ...     owed += math.log1p(-1e-5)
        ...     shrink = exact_shrink(owed, 2.0**24)
        ...     owed -= math.log1p(-shrink)
        ...     taken -= math.log1p(-shrink)
        >>> round(taken / 1000, 9)  # the nearest float32 factor alone gives 1.0014e-05
        1e-05

    """
    # Owed may be above 0 by half a digit after a step that took a little too much.
    nearest = round(-math.expm1(min(owed, 0.0)) * steps_between) / steps_between
    return min(nearest, 1 - 1 / steps_between)
