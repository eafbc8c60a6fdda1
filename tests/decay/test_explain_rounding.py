"""What a number format does to a decay, measured on the real dtypes of torch."""

import math

import pytest
import torch
from tolerance import digits

from dwindle.decay.explain import explain
from dwindle.decay.number_formats import (
    DEAD_BELOW,
    DIGITS,
    rounded_half_life_steps,
    rounding_of,
)
from dwindle.decay.run import Run

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
    """What the real optimizer leaves of weights in [1, 2) that nothing pulls at."""
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
    """The number of digits of a format is what torch says of it."""
    assert torch.finfo(getattr(torch, dtype)).eps == 2.0 ** (1 - DIGITS[dtype])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("units", [2.5, 3, 7])
def test_the_half_life_that_rounding_makes_is_what_comes_out(dtype, units):
    """The number that the caution prints is the half-life of the real optimizer."""
    shrink = units * DEAD_BELOW[dtype]
    asked = math.log(2) / -math.log1p(-shrink)
    left = decayed("torch.AdamW", dtype, shrink, round(asked))
    measured = asked * math.log(2) / -torch.log(left).mean().item()
    assert "rounding" in codes(shrink, dtype)
    # The starting weights lie evenly from 1 to 2.
    assert rounded_half_life_steps(shrink, dtype) == digits(measured, rel=0.02)


def test_a_half_life_in_float32_is_said_of_a_step_that_multiplies():
    """torch's SGD adds to the gradient first: its rounding in float32 is another."""
    for name, is_said in (("torch.AdamW", True), ("torch.SGD", False)):
        told = explain(5e-3, name, run=Run(lr=1e-4)).warnings
        (text,) = [each.text for each in told if each.code == "rounding"]
        assert ("is left after" in text) == is_said, name
