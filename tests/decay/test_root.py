"""The solver: increasing functions of any steepness, to the last digits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.long_runs import increasing_root
from dwindle.errors import RangeError


@given(log_uniform(1e-12, 1e6), st.floats(0.2, 5), log_uniform(1e-3, 1e3))
def test_powers_are_lines_in_its_coordinates(target, power, off):
    """x ** p is solved from any guess, however far off."""
    exact = target ** (1 / power)
    found = increasing_root(
        lambda x: x**power, target, guess=exact * off, ceiling=math.inf
    )
    assert found**power == digits(target, rel=1e-14)


@given(log_uniform(1e-12, 20), st.floats(0.001, 0.999))
def test_a_pole_at_the_ceiling_is_approached_from_both_sides(target, guess):
    """-ln(1 - x) grows without bound towards 1, and inf beyond is no obstacle."""
    found = increasing_root(
        lambda x: -math.log1p(-x) if x < 1 else math.inf,
        target,
        guess=guess,
        ceiling=math.inf,
    )
    assert found == digits(-math.expm1(-target), rel=1e-14)


@given(log_uniform(1e-6, 30), log_uniform(1e-6, 1))
def test_a_function_that_flattens_is_followed_far_out(target, guess):
    """ln(1 + x) makes every secant fall short, by up to thirteen magnitudes."""
    found = increasing_root(math.log1p, target, guess=guess, ceiling=math.inf)
    assert math.log1p(found) == digits(target, rel=1e-14)


def test_it_needs_few_evaluations():
    """A nearly proportional function costs few walks through the run."""
    asked = []

    def e_folds(knob):
        asked.append(knob)
        return -1000 * math.log1p(-knob)

    increasing_root(e_folds, 5.0, guess=5e-3, ceiling=1.0)
    assert len(asked) <= 4


def test_a_jump_over_the_target_is_refused():
    """Where no float gives the target, none is returned."""
    with pytest.raises(RangeError) as raised:
        increasing_root(
            lambda x: x if x < 1 else math.inf, 5.0, guess=0.5, ceiling=math.inf
        )
    assert (raised.value.name, raised.value.value) == ("e_folds", 5.0)
