"""Number formats: which half-lives they can hold, and the decay that they can write."""

import math
from decimal import Decimal, localcontext
from itertools import repeat

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.explain import explain
from dwindle.decay.half_life import half_life_from_shrink, shrink_from_half_life
from dwindle.decay.number_formats import (
    DEAD_BELOW,
    DIGITS,
    exact_shrink,
    longest_half_life_steps,
    rounded_half_life_steps,
    rounding_of,
    rounding_remark,
    steps_between_factors,
)
from dwindle.decay.run import Run
from dwindle.errors import RefusedError


def test_beyond_the_longest_half_life_is_an_error():
    """It is 177 steps in bfloat16, and has its place in the remedy."""
    for dtype, longest in (("bfloat16", 177), ("float16", 1419), ("float32", 2.3e7)):
        limit = longest_half_life_steps(dtype)
        assert limit == digits(longest, rel=0.02)  # as printed
        with pytest.raises(RefusedError) as raised:
            rounding_remark(shrink_from_half_life(2.5 * longest), dtype=dtype)
        assert dtype in raised.value.asked
        assert f"{limit:.4g} steps" in raised.value.instead


def test_between_fine_and_refused_there_is_a_remark():
    """A half-life that rounding changes has one; 128 steps are 128 in bfloat16.

    There a step takes one unit of a weight from 2 to 1.
    """
    for steps, comes in ((100, 108), (128, 128), (170, 128)):
        shrink = shrink_from_half_life(steps)
        remark = rounding_remark(shrink, dtype="bfloat16")
        assert (f"about {comes} steps" in remark) is (comes != steps), steps
        rounded = rounded_half_life_steps(shrink, "bfloat16", carries_residual=True)
        assert round(rounded) == comes
    # What was not measured is not judged; and nothing is no decay to lose.
    assert rounding_remark(1e-9, dtype="float8_e4m3fn") == ""
    assert rounding_remark(0.0, dtype="bfloat16") == ""


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


NORMAL = [
    ("bfloat16", steps) for steps in (20, 33, 50, 64, 77, 90, 100, 127, 150, 170, 177)
]
NORMAL += [("float16", steps) for steps in (120, 700, 1000, 1400)]


def test_the_sum_over_mantissas_is_what_normal_weights_do():
    """Computed in advance: the half-life that weights rounded at every step have."""
    for dtype, steps in NORMAL:
        shrink = shrink_from_half_life(steps)
        measured = _normal_half_life(repeat(shrink), DIGITS[dtype], steps=steps)
        computed = rounded_half_life_steps(shrink, dtype)
        assert computed == digits(measured, rel=0.01), (dtype, steps)  # the promise


@pytest.mark.parametrize("units", [1.5, 2.7, 3.3, 5.0, 9.1])
@pytest.mark.parametrize("carries_residual", [False, True])
def test_factors_are_rounded_too(units, carries_residual, monkeypatch):
    """Where 1 - s has no more digits than a weight, as in float32; here with twelve.

    The rounding residual of a factor is dropped, or carried to the next step.
    """
    few = {"float32": 12}
    monkeypatch.setattr("dwindle.decay.number_formats.DIGITS", few)
    monkeypatch.setattr(
        "dwindle.decay.number_formats.DEAD_BELOW", {"float32": 2.0**-13}
    )
    shrink, grid = units * 2.0**-13, 2.0**-12

    def factors():
        residual = 0.0
        while True:
            residual = (residual if carries_residual else 0.0) + shrink
            taken = np.round(residual / grid) * grid
            residual -= taken
            yield taken

    steps = round(half_life_from_shrink(shrink))
    measured = _normal_half_life(factors(), 12, steps=steps)
    computed = rounded_half_life_steps(
        shrink, "float32", carries_residual=carries_residual
    )
    assert computed == digits(measured, rel=0.02)  # weights that step in one rhythm


FORMATS = st.sampled_from(["float64", "float32", "bfloat16", "float16"])


def _walk(shrinks, between):
    """The product of the exact factors, and of the requested ones, in 60 digits."""
    residual, taken, exact = 0.0, Decimal(1), Decimal(1)
    with localcontext() as context:
        context.prec = 60
        for shrink in shrinks:
            residual += math.log1p(-shrink)
            now = exact_shrink(residual, between)
            residual -= math.log1p(-now)
            taken *= 1 - Decimal(now)
            exact *= 1 - Decimal(shrink)
            yield taken, exact


@given(FORMATS, st.lists(log_uniform(1e-9, 0.5), min_size=1, max_size=60))
def test_the_product_is_the_requested_one_after_every_step(dtype, shrinks):
    """After any number of steps the product is off by half a digit, not by a sum."""
    between = steps_between_factors(dtype)
    for taken, exact in _walk(shrinks, between):
        # Half a factor near 1; near ½ a factor is twice as coarse. 1e-13: ln and back.
        assert float(taken / exact) == digits(1, rel=1.1 / between + 1e-13)


@given(FORMATS, log_uniform(1e-12, 0.4))
def test_one_minus_the_shrink_is_a_number_of_the_format(dtype, shrink):
    """A program that computes 1 - s in its own format rounds nothing."""
    between = steps_between_factors(dtype)
    factor = 1 - exact_shrink(math.log1p(-shrink), between)
    assert (factor * between).is_integer()


LR = 0.125  # a power of two: the product with the weight decay is exact
# All mantissas of bfloat16, and as many of the wider ones.
START = 1 + torch.arange(256) / 256
# With eps = 1e-8 float16 divides 0 by 0 where the gradient is zero.
OPTIMIZERS = {
    "torch.SGD": lambda w, decay: torch.optim.SGD([w], lr=LR, weight_decay=decay),
    "torch.AdamW": lambda w, decay: torch.optim.AdamW(
        [w], lr=LR, weight_decay=decay, eps=1e-4
    ),
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def decayed(name, dtype, shrink, steps):
    """What the real optimizer leaves of weights in [1, 2) with zero gradient."""
    weight = START.to(getattr(torch, dtype), copy=True).requires_grad_()
    before = weight.detach().double().clone()
    optimizer = OPTIMIZERS[name](weight, shrink / LR)
    for _ in range(steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return weight.detach().double() / before


def codes(shrink, dtype):
    return {w.code for w in explain(shrink, "shrink", run=Run(dtype=dtype)).warnings}


@each_optimizer
@pytest.mark.parametrize("dtype", DIGITS)
def test_in_the_dead_zone_no_weight_decays(name, dtype):
    """Below the limit a hundred real steps change no weight, above it one step does.

    One percent beside it: the shrink is a product of two rounded numbers.
    """
    below, above = 0.99 * DEAD_BELOW[dtype], 1.01 * DEAD_BELOW[dtype]
    assert (decayed(name, dtype, below, 100) == 1).all()
    assert (decayed(name, dtype, above, 1) < 1).any()
    assert "dead-zone" in codes(below, dtype)
    assert "dead-zone" not in codes(above, dtype)
    # In these two some weights stop; wider ones multiply by 1 − s, rounded first.
    assert ("stalls" in codes(above, dtype)) == (dtype in {"bfloat16", "float16"})


@each_optimizer
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_little_above_it_weights_stop_on_the_way(name, dtype):
    """Below twice the limit some weights decay, and none of them ever halves."""
    shrink = 1.9 * DEAD_BELOW[dtype]
    ten_half_lives = math.ceil(10 * math.log(2) / shrink)
    left = decayed(name, dtype, shrink, ten_half_lives)
    assert (left < 1).any()
    assert (left >= 0.5).all()
    assert codes(shrink, dtype) == {"stalls", "missing-fact", "no-optimizer"}


@each_optimizer
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_coarse_decay_is_off_and_a_fine_one_is_not(name, dtype):
    """The rate of some weight is off by over five percent there, and by two here."""
    for units, verdict, off in ((4, "coarse", 0.05), (40, "fine", 0.0)):
        shrink = units * DEAD_BELOW[dtype]
        steps = math.ceil(1 / shrink)
        left = decayed(name, dtype, shrink, steps)
        rates = torch.log(left) / (steps * math.log1p(-shrink))
        error = (rates - 1).abs().max().item()
        assert rounding_of(shrink, dtype) == verdict
        assert off <= error
        assert (error < 0.02) == (verdict == "fine")


@pytest.mark.parametrize("dtype", DIGITS)
def test_the_digits_are_those_of_torch(dtype):
    """The number of digits of a format is that of torch.finfo."""
    assert torch.finfo(getattr(torch, dtype)).eps == 2.0 ** (1 - DIGITS[dtype])


def test_a_half_life_in_float32_is_reported_of_a_step_that_multiplies():
    """torch's SGD adds to the gradient first, so its rounding in float32 differs."""
    for name, is_noted in (("torch.AdamW", True), ("torch.SGD", False)):
        warnings = explain(5e-3, name, run=Run(lr=1e-4)).warnings
        (text,) = [each.text for each in warnings if each.code == "rounding"]
        assert ("is left after" in text) == is_noted, name


def test_the_limits_of_rounding():
    """A positive residual makes no weight grow, and a large one leaves some of it."""
    assert {exact_shrink(residual, 2.0**24) for residual in (0.0, 1e-12, 1e-8)} == {0}
    assert 1 - exact_shrink(-1e9, 2.0**24) > 0  # its ln exists
    # Below the limit the sum is infinite, and a fine decay has the given half-life.
    assert math.isinf(rounded_half_life_steps(shrink_from_half_life(200), "bfloat16"))
    assert rounded_half_life_steps(0.5, "bfloat16") == 1
