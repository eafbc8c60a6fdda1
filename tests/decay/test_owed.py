"""Factors that a number format can write, and what they owe to the decay asked."""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.number_formats import exact_shrink, steps_between_factors

FORMATS = st.sampled_from(["float64", "float32", "bfloat16", "float16"])


def _walk(shrinks, between):
    """The product of the exact factors, and of those asked for, in 60 digits."""
    owed, taken, asked = 0.0, Decimal(1), Decimal(1)
    with localcontext() as context:
        context.prec = 60
        for shrink in shrinks:
            owed += math.log1p(-shrink)
            now = exact_shrink(owed, between)
            owed -= math.log1p(-now)
            taken *= 1 - Decimal(now)
            asked *= 1 - Decimal(shrink)
            yield taken, asked


@given(FORMATS, st.lists(log_uniform(1e-9, 0.5), min_size=1, max_size=60))
def test_the_product_is_what_was_asked_after_every_step(dtype, shrinks):
    """However many steps: the factors so far are off by half a digit, not by sums."""
    between = steps_between_factors(dtype)
    for taken, asked in _walk(shrinks, between):
        # Half a factor near 1; near ½ a factor is twice as coarse. 1e-13: ln and back.
        assert float(taken / asked) == digits(1, rel=1.1 / between + 1e-13)


@given(FORMATS, log_uniform(1e-12, 0.4))
def test_one_minus_the_shrink_is_a_number_of_the_format(dtype, shrink):
    """A program that computes 1 - s in its own format rounds nothing."""
    between = steps_between_factors(dtype)
    factor = 1 - exact_shrink(math.log1p(-shrink), between)
    assert (factor * between).is_integer()


@pytest.mark.parametrize("owed", [0.0, 1e-12, 1e-8])
def test_nothing_is_owed_then_nothing_is_taken(owed):
    """A step that took a little too much is not answered by growth."""
    assert exact_shrink(owed, 2.0**24) == 0


def test_some_weight_is_always_left():
    """Even an absurd debt leaves a factor above zero, so that its ln exists."""
    assert 1 - exact_shrink(-1e9, 2.0**24) > 0
