"""Families of decay, inferred from walks that formulas made."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import digits

from dwindle.pytorch.probing.patterns import pattern_of

START = (2.0, -1.0, 0.5, 4.0)
STEPS = 64


def walk_of(kept):
    """A walk on which the n-th step has left that part of every entry."""
    return [[entry * kept(step) for entry in START] for step in range(STEPS + 1)]


@given(st.floats(min_value=1e-9, max_value=0.5))
def test_the_same_share_in_every_step_is_geometric(shrink):
    """The share comes back, as far as float64 can hold it."""
    pattern = pattern_of(walk_of(lambda step: math.exp(step * math.log1p(-shrink))))
    assert pattern.shape == "geometric"
    assert pattern.shrink == pytest.approx(shrink, rel=1e-9, abs=4 * 2**-52)


@given(st.floats(min_value=1e-6, max_value=0.01), st.floats(0.2, 0.9))
def test_a_start_that_fades_is_delayed(shrink, root):
    """Two roots: the slow one is the share in the long run."""
    slow, fast = 1 - shrink, root

    def kept(step):
        return 1.3 * slow**step - 0.3 * fast**step

    pattern = pattern_of(walk_of(kept))
    assert pattern.shape == "delayed"
    assert pattern.shrink == digits(shrink, rel=1e-6)  # some digits go into the roots


@given(st.floats(min_value=0.02, max_value=0.5))
def test_a_swing_has_its_period(turn):
    """A damped cosine has no half-life; a turn per step is a period."""
    pattern = pattern_of(walk_of(lambda step: 0.97**step * math.cos(turn * step)))
    assert pattern.shape == "oscillating"
    assert pattern.period == digits(2 * math.pi / turn, rel=1e-6)
    assert pattern.shrink is None


@pytest.mark.parametrize("fall", [1e-5, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("power", [0.5, 0.75, 1.0])
def test_shares_that_fall_by_themselves_are_a_power_law(power, fall):
    """However slowly they fall: it is no half-life."""
    left = 1.0
    path = [left]
    for step in range(STEPS):
        left *= 1 - 1e-4 / (1 + fall * step) ** power
        path.append(left)
    assert pattern_of(walk_of(lambda step: path[step])).shape == "power-law"


def test_the_same_amount_of_every_entry_is_linear():
    """Large and small weights lose alike; a scalar's share grows as it falls."""
    walk = [
        [math.copysign(abs(entry) - 1e-3 * step, entry) for entry in START]
        for step in range(STEPS)
    ]
    for path, amount in ((walk, 1e-3), ([[1 - at / 100] for at in range(STEPS)], 0.01)):
        pattern = pattern_of(path)
        assert (pattern.shape, pattern.shrink) == ("linear", None)
        assert pattern.amount == digits(amount, rel=1e-9)


def test_nothing_and_nonsense_have_no_rate():
    """At rest, NaN or 0 at once, growing, or heading for half of itself."""
    for kept, shape in (
        (lambda _: 1.0, "none"),
        (lambda step: math.nan if step else 1.0, "other"),
        (lambda step: 0.0 if step else 1.0, "other"),
        (lambda step: 1.01**step, "other"),
        (lambda step: 0.5 + 0.5 * 0.9**step, "other"),
    ):
        pattern = pattern_of(walk_of(kept))
        assert (pattern.shape, pattern.shrink or 0) == (shape, 0)
