"""Which half-lives a number format can hold: weights that step, in numpy's formats."""

import math
from itertools import repeat

import numpy as np
import pytest
from tolerance import digits

from dwindle.decay.half_life import half_life_from_shrink, shrink_from_half_life
from dwindle.decay.number_formats import (
    DIGITS,
    longest_half_life_steps,
    rounded_half_life_steps,
    rounding_remark,
)
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
    """A half-life that rounding moves is held, with a warning that says how far."""
    said = rounding_remark(shrink_from_half_life(100), dtype="bfloat16")
    assert "about 108 steps instead of 100" in said
    said = rounding_remark(shrink_from_half_life(170), dtype="bfloat16")
    assert "about 128 steps instead of 170" in said


def test_where_rounding_evens_out_nothing_is_said():
    """128 steps are 128 in bfloat16, which loses one unit per step from 2 to 1."""
    assert rounding_remark(shrink_from_half_life(128), dtype="bfloat16") == ""


def _normal_half_life(shrink, digits_of_it, *, steps):
    """Half-life of normal weights that are rounded to so many digits at every step."""
    start = np.random.default_rng(0).standard_normal(20_000)
    weight = start = _rounded(start, digits_of_it)
    for _ in range(steps):
        weight = _rounded(weight * (1 - next(shrink)), digits_of_it)
    moved = (start != 0) & (weight != 0)
    return steps * np.log(2) / -np.log(weight[moved] / start[moved]).mean()


def _rounded(values, digits_of_it):
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, digits_of_it)), exponent - digits_of_it)


@pytest.mark.parametrize("steps", [20, 33, 50, 64, 77, 90, 100, 127, 150, 170, 177])
def test_the_sum_over_mantissas_is_what_normal_weights_do_in_bfloat16(steps):
    """Computed in advance: the half-life that weights rounded at every step have."""
    shrink = shrink_from_half_life(steps)
    measured = _normal_half_life(repeat(shrink), DIGITS["bfloat16"], steps=steps)
    computed = rounded_half_life_steps(shrink, "bfloat16")
    assert computed == digits(measured, rel=0.01)  # the promise


@pytest.mark.parametrize("steps", [120, 700, 1000, 1400])
def test_the_sum_over_mantissas_is_what_normal_weights_do_in_float16(steps):
    """The same with eleven digits."""
    shrink = shrink_from_half_life(steps)
    measured = _normal_half_life(repeat(shrink), DIGITS["float16"], steps=steps)
    computed = rounded_half_life_steps(shrink, "float16")
    assert computed == digits(measured, rel=0.01)  # the promise


@pytest.mark.parametrize("units", [1.5, 2.7, 3.3, 5.0, 9.1])
@pytest.mark.parametrize("owes", [False, True])
def test_factors_are_rounded_too(units, owes, monkeypatch):
    """Where 1 - s has no more digits than a weight, as in float32; here with twelve.

    What a factor cannot say is left out, or owed to the next step.
    """
    few = {"float32": 12}
    monkeypatch.setattr("dwindle.decay.number_formats.DIGITS", few)
    monkeypatch.setattr(
        "dwindle.decay.number_formats.DEAD_BELOW", {"float32": 2.0**-13}
    )
    shrink, grid = units * 2.0**-13, 2.0**-12

    def factors():
        owed = 0.0
        while True:
            owed = (owed if owes else 0.0) + shrink
            taken = np.round(owed / grid) * grid
            owed -= taken
            yield taken

    steps = round(half_life_from_shrink(shrink))
    measured = _normal_half_life(factors(), 12, steps=steps)
    computed = rounded_half_life_steps(shrink, "float32", owes=owes)
    assert computed == digits(measured, rel=0.02)  # weights that step in one rhythm


def test_what_stops_never_halves():
    """Below the limit the sum has no end, and a fine decay has the half-life asked."""
    assert math.isinf(rounded_half_life_steps(shrink_from_half_life(200), "bfloat16"))
    assert rounded_half_life_steps(0.5, "bfloat16") == 1


def test_of_other_formats_nothing_is_said():
    """What was not measured is not judged; and nothing is no decay to lose."""
    assert rounding_remark(1e-9, dtype="float8_e4m3fn") == ""
    assert rounding_remark(0.0, dtype="bfloat16") == ""
