"""Number formats: what rounding does to a decay, and how to decay exactly despite it.

A weight in few digits does not change when a step takes too little of it. The rounded
half-life of a format is computed here, and the shrink that a format has exactly, with
the residual carried over to the next step.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.decay.refusals import refused
from dwindle.errors import UnknownNameError

Rounding = Literal["fine", "coarse", "stalls", "dead"]

# Significant binary digits of a weight, the leading one included.
DIGITS: Mapping[str, int] = MappingProxyType(
    {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
)
# As options of trainers and programs write them.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("bf16", "brain"), "bfloat16"),
        **dict.fromkeys(("fp16", "f16", "half", "16"), "float16"),
        **dict.fromkeys(("fp32", "f32", "float", "single", "32"), "float32"),
        **dict.fromkeys(("fp64", "f64", "double", "64"), "float64"),
    }
)
_MIXED = "Under mixed precision weights stay in float32: give that."
# Half a unit in the last place just below 1: a step that takes less is rounded away.
DEAD_BELOW: Mapping[str, float] = MappingProxyType(
    {dtype: 2.0 ** -(digits + 1) for dtype, digits in DIGITS.items()}
)
# Below twice that, weights in the lower part between two powers of 2 do not change, and
# a decaying weight gets there before it has halved.
_STALLS_BELOW = 2
# From here on rounding changes the decay by less than two percent (measured).
_COARSE_BELOW = 32
# In these, decaying weights stopped in measurements (torch.optim.SGD and AdamW); in
# wider ones the factor 1 − s is rounded first.
STALLING = frozenset({"bfloat16", "float16"})
# A half-life with a smaller relative error has no warning.
_HARDLY = 0.02
# Formats that hold a decay that those round away.
_WIDER = dict.fromkeys(STALLING, "float32")
_AFTER = {
    "dead": "no weight would change",
    "stalls": "each weight would stop before it has halved",
}


def dtype_named(dtype: object) -> str:
    """Return the name of a number format, given as text or as a library's object.

    Example:
        >>> dtype_named("bf16"), dtype_named("torch.half"), dtype_named(float)
        ('bfloat16', 'float16', 'float64')

    """
    if dtype is float:  # Python's own
        return "float64"
    text = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
    name = text.strip().rpartition(".")[2].casefold()
    name = _OTHER_NAMES.get(name, name)
    if name not in DIGITS:
        hint = _MIXED if "mixed" in name or "amp" in name else ""
        raise UnknownNameError.among("dtype", text, DIGITS, hint)
    return name


def rounding_of(shrink_per_step: float, dtype: str) -> Rounding:
    """Return what rounding does to a weight in ``dtype`` that only decays.

    Args:
        shrink_per_step: Fraction of a weight that one step takes off, above 0.
        dtype: A key of :data:`DIGITS`.

    Returns:
        ``dead`` where no weight changes at all, ``stalls`` where each stops before it
        has halved, ``coarse`` where the rate is off by more than two percent, else
        ``fine``.

    """
    units = shrink_per_step / DEAD_BELOW[dtype]
    if units < 1:
        return "dead"
    if units < _STALLS_BELOW and dtype in STALLING:
        return "stalls"
    return "coarse" if units < _COARSE_BELOW else "fine"


def rounded_half_life_steps(
    shrink: float, dtype: str, *, carries_residual: bool = False
) -> float:
    """Steps until weights kept in ``dtype`` have halved, rounded at every step.

    A step takes ``k(m) = round(m * s)`` units in the last place off a weight of ``m``
    units, so a power of two is crossed in ``Σ 1 / k(m)`` steps, over all ``m`` from
    ``2 ** (digits - 1)`` to ``2 ** digits``. ``s / -ln(1 - s)`` of that counts the
    weight at the begin of each step. Right to one percent for weights of all sizes, as
    normal ones are (measured: bfloat16 and float16, half-lives from 20 steps on).

    Args:
        shrink: Fraction of a weight that one step is meant to take off, in (0, 1).
        dtype: A key of :data:`DIGITS`.
        carries_residual: Whether what rounding ``1 - s`` to a factor of the program
            leaves over goes into the next step, as a controller does it.

    Returns:
        Half-life in steps; ``inf`` where weights stop on their way.

    """
    meant = math.log(2) / -math.log1p(-shrink)
    if shrink >= _COARSE_BELOW * DEAD_BELOW[dtype]:
        return meant  # rounding evens out
    # Programs multiply 16-bit weights by a factor in float32.
    grid = 2.0 ** -max(DIGITS["float32"], DIGITS[dtype])
    below, part = divmod(shrink / grid, 1)
    if not carries_residual:
        below, part = below + round(part), 0.0
    mixed = ((below * grid, 1 - part), ((below + 1) * grid, part))
    least = 2.0 ** (DIGITS[dtype] - 1)
    # Where a step begins to take one unit more, between two powers of two.
    turns = {least, 2 * least}
    for each in (each for each, _ in mixed if each):
        units = range(math.floor(least * each), math.ceil(2 * least * each) + 1)
        turns.update((unit + 0.5) / each for unit in units)
    steps = 0.0
    inside = sorted(turn for turn in turns if least <= turn <= 2 * least)
    for low, high in pairwise(inside):
        middle = (low + high) / 2
        taken = math.fsum(share * round(middle * each) for each, share in mixed)
        steps += (high - low) / taken if taken else math.inf
    return steps * shrink / -math.log1p(-shrink)


def longest_half_life_steps(dtype: str) -> float:
    """Longest half-life, in steps, that weights of this format can decay with."""
    least = DEAD_BELOW[dtype] * (_STALLS_BELOW if dtype in STALLING else 1)
    return half_life_from_shrink(least)


def rounding_remark(shrink_per_step: float, *, dtype: str) -> str:
    """Return a warning where rounding changes the half-life; else an empty text.

    Raises:
        RefusedError: If the weights would not halve at all; it names what does work.

    """
    if dtype not in DEAD_BELOW or shrink_per_step == 0:
        return ""
    rounding = rounding_of(shrink_per_step, dtype)
    half_life = half_life_from_shrink(shrink_per_step)
    if rounding in _AFTER:
        values = {
            "steps": half_life,
            "shrink": shrink_per_step,
            "after": _AFTER[rounding],
        }
        longest = longest_half_life_steps(dtype)
        raise refused("rounded-away", dtype=dtype, longest=longest, **values)
    comes = rounded_half_life_steps(shrink_per_step, dtype, carries_residual=True)
    if rounding == "fine" or math.isclose(comes, half_life, rel_tol=_HARDLY):
        return ""
    return (
        f"{dtype} rounds a shrink of {shrink_per_step:.3g} per step: "
        f"{half_left_after(comes, shrink_per_step)}. A wider format "
        f"({_WIDER.get(dtype, 'float64')}) holds it."
    )


def half_left_after(steps: float, shrink_per_step: float) -> str:
    """Return a clause on the rounded half-life of a shrink.

    Example:
        >>> half_left_after(128.2, 4.07e-3)
        'half of a weight is left after about 128 steps instead of 170'

    """
    meant = half_life_from_shrink(shrink_per_step)
    return (
        f"half of a weight is left after about {steps:.3g} steps instead of {meant:.4g}"
    )


def steps_between_factors(dtype: str) -> float:
    """Return how many factors between 0 and 1 a multiplication in ``dtype`` has.

    A weight in bfloat16 or float16 is multiplied in float32 and rounded afterwards.
    """
    return 2.0 ** max(DIGITS["float32"], DIGITS[dtype])


def exact_shrink(residual: float, steps_between: float) -> float:
    """Fraction to take off now, such that one minus it is a number of the format.

    ``1 - s`` has a fixed number of digits: at ``s = 1e-5`` a float32 program
    multiplies by a factor whose ``s`` is wrong by up to 0.3 %, equally in every step.
    Taking the nearest ``s`` whose factor is exact, and carrying the residual over to
    the next step, keeps the product of all factors within half a digit of what was
    requested, in a run of any length.

    Args:
        residual: Sum of ``log1p(-shrink)`` over the steps so far, less that of the
            fractions that were taken.
        steps_between: From :func:`steps_between_factors`.

    Returns:
        A fraction in [0, 1); the new residual is ``residual - log1p(-fraction)``.

    """
    # It may be above 0 by half a digit after a step that took a little too much.
    nearest = round(-math.expm1(min(residual, 0.0)) * steps_between) / steps_between
    # A factor of 0 would end the weight, and it has no logarithm.
    return min(nearest, 1 - 1 / steps_between)
