"""Which half-lives a number format can hold: weights that step, in numpy's formats."""

import numpy as np
import pytest
from tolerance import digits

from dwindle.decay.half_life import half_life_from_shrink, shrink_from_half_life
from dwindle.decay.held_dtypes import longest_half_life_steps, rounding_remark
from dwindle.errors import RefusedError


def _left(shrink, dtype, steps):
    """Weights of all sizes between two powers of 2 that take ``w − s·w`` each step."""
    start = np.linspace(1, 2, 200, endpoint=False).astype(dtype)
    weight = start.copy()
    for _ in range(steps):
        taken = shrink * weight.astype(np.float64)
        weight = (weight.astype(np.float64) - taken).astype(dtype)
    return weight.astype(np.float64) / start


def test_a_little_longer_than_the_longest_stalls():
    """In float16 the limit is where weights stop: just beyond it some never halve."""
    limit = longest_half_life_steps("float16")
    left = _left(shrink_from_half_life(1.2 * limit), "float16", int(6 * limit))
    assert left.max() > 0.5
    left = _left(shrink_from_half_life(limit / 1.1), "float16", int(6 * limit))
    assert left.max() < 0.5


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_said_to_be_fine_is_within_two_percent(dtype):
    """Without a remark a weight halves when it should, to two percent."""
    # 33 units of rounding; in float32 one step shows it: halving takes a million.
    shrink = 33 * 2.0 ** -{"float16": 12, "float32": 25}[dtype]
    assert rounding_remark(shrink, dtype=dtype) == ""
    steps = {"float16": round(half_life_from_shrink(shrink)), "float32": 100}[dtype]
    rate = -np.log(_left(shrink, dtype, steps)).mean() / steps
    assert rate == digits(-np.log1p(-shrink), rel=0.02)  # the promise


@pytest.mark.parametrize(
    ("dtype", "longest"), [("bfloat16", 177), ("float16", 1419), ("float32", 2.3e7)]
)
def test_the_refusal_says_what_can_be_had(dtype, longest):
    """Beyond the longest half-life there is an error with that number in it."""
    assert longest_half_life_steps(dtype) == digits(longest, rel=0.02)  # as printed
    shrink = shrink_from_half_life(2.5 * longest)
    with pytest.raises(RefusedError, match=rf"in {dtype}.*at most [\d.e+]+ steps"):
        rounding_remark(shrink, dtype=dtype)


def test_between_fine_and_refused_there_is_a_remark():
    """A half-life that rounding moves is held, with a warning."""
    said = rounding_remark(shrink_from_half_life(100), dtype="bfloat16")
    assert "off by more than two percent" in said


def test_of_other_formats_nothing_is_said():
    """What was not measured is not judged; and nothing is no decay to lose."""
    assert rounding_remark(1e-9, dtype="float8_e4m3fn") == ""
    assert rounding_remark(0.0, dtype="bfloat16") == ""
