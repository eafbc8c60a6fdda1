"""Whether the number format of the weights can hold a half-life: yes, nearly, or no."""

import math

from dwindle.decay.dtypes import (
    DEAD_BELOW,
    STALLING,
    rounded_half_life_steps,
    rounding_of,
)
from dwindle.decay.half_life import half_life_from_shrink
from dwindle.errors import RefusedError

# A half-life that is off by less is not worth a warning.
_HARDLY = 0.02
_WIDER = dict.fromkeys(STALLING, "float32")
_AFTER = {
    "dead": "no weight would change",
    "stalls": "each weight would stop before it has halved",
}


def longest_half_life_steps(dtype: str) -> float:
    """Longest half-life, in steps, that weights of this format can decay with.

    Args:
        dtype: A key of :data:`dwindle.decay.dtypes.DIGITS`.

    Example:
        >>> round(longest_half_life_steps("bfloat16"))
        177

    """
    least = DEAD_BELOW[dtype] * (2 if dtype in STALLING else 1)
    return half_life_from_shrink(least)


def rounding_remark(shrink_per_step: float, *, dtype: str) -> str:
    """Return a warning where rounding changes the half-life; else an empty text.

    Args:
        shrink_per_step: Fraction that a step takes off; 0 decays nothing and is fine.
        dtype: Number format that the weights are kept in; of one that is no key of
            :data:`dwindle.decay.dtypes.DIGITS` nothing is said.

    Raises:
        RefusedError: If the weights would not halve at all; it says what can be had.

    Example:
        >>> rounding_remark(1e-3, dtype="float32")
        ''
        >>> print(rounding_remark(4.07e-3, dtype="bfloat16"))
        bfloat16 rounds a shrink of 0.00407 per step: half of a weight is left after \
about 128 steps instead of 170. A wider format (float32) holds it.

    """
    if dtype not in DEAD_BELOW or shrink_per_step == 0:
        return ""
    rounding = rounding_of(shrink_per_step, dtype)
    if rounding in _AFTER:
        raise _refused(shrink_per_step, dtype, _AFTER[rounding])
    asked = half_life_from_shrink(shrink_per_step)
    comes = rounded_half_life_steps(shrink_per_step, dtype, owes=True)
    if rounding == "fine" or math.isclose(comes, asked, rel_tol=_HARDLY):
        return ""
    return (
        f"{dtype} rounds a shrink of {shrink_per_step:.3g} per step: half of a weight "
        f"is left after about {comes:.3g} steps instead of {asked:.4g}. A wider format "
        f"({_WIDER.get(dtype, 'float64')}) holds it."
    )


def _refused(shrink_per_step: float, dtype: str, after: str) -> RefusedError:
    asked = half_life_from_shrink(shrink_per_step)
    return RefusedError(
        f"A half-life of {asked:.4g} steps of weights in {dtype}",
        f"A step would take {shrink_per_step:.3g} of a weight, which {dtype} rounds "
        f"away: {after}.",
        f"Keep the weights in a wider format (float32), or ask for at most "
        f"{longest_half_life_steps(dtype):.4g} steps.",
    )
