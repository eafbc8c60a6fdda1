"""Legs of equal options leave what the steps leave that they stand for."""

import math
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import digits

from dwindle.decay.legs import (
    Leg,
    left_by_decoupled,
    left_by_powers,
    left_by_sgd,
    merged,
)


def weight_after(legs):
    """torch.optim.SGD on a weight of 1 with zero gradient, step by step."""
    weight, buffer, is_first = 1.0, 0.0, True
    for leg in legs:
        for _ in range(leg.steps):
            pull = leg.weight_decay * weight
            share = 1.0 if is_first else 1 - leg.dampening
            buffer = pull if is_first else leg.momentum * buffer + share * pull
            push = pull + leg.momentum * buffer if leg.nesterov else buffer
            weight -= leg.lr * (push if leg.momentum else pull)
            is_first = False
    return weight


LEGS = st.builds(
    Leg,
    steps=st.integers(1, 30),
    lr=st.floats(1e-3, 0.5),
    weight_decay=st.floats(1e-3, 0.3),
    momentum=st.just(0.0) | st.floats(0.1, 0.95),
    dampening=st.just(0.0) | st.floats(0.0, 0.9),
)


@given(st.lists(LEGS, min_size=1, max_size=5))
def test_sgd_leaves_what_its_steps_leave(legs):
    """Also where momentum, dampening and decay change, and where the weight swings."""
    momentum = legs[0].momentum  # a buffer is there from the first step, or never
    if not momentum:
        legs = [leg._replace(momentum=0.0) for leg in legs]
    else:
        legs = [leg._replace(momentum=leg.momentum or momentum) for leg in legs]
    left = left_by_sgd(legs).survival
    # Near a zero crossing digits are lost: counted from the size of the start.
    assert left == pytest.approx(weight_after(legs), rel=1e-9, abs=1e-12)


def test_nesterov_leaves_what_its_steps_leave():
    """With the options of a leg, and an lr of 0 under which the buffer goes on."""
    options = {"weight_decay": 0.02, "momentum": 0.9, "nesterov": True}
    legs = [Leg(steps=40, lr=lr, **options) for lr in (0.1, 0.0, 0.05)]
    assert left_by_sgd(legs).survival == digits(weight_after(legs), rel=1e-12)


def test_a_leg_of_a_billion_steps_is_one_step_that_stays():
    """The slow root of momentum 0.9 takes 1.0009e-4: e-folds are a billion of it."""
    legs = [Leg(steps=10**9, lr=0.1, weight_decay=1e-4, momentum=0.9)]
    root = (1.9 - 1e-5 + math.sqrt((1.9 - 1e-5) ** 2 - 3.6)) / 2
    assert left_by_sgd(legs).e_folds == pytest.approx(-1e9 * math.log(root), rel=1e-7)


def test_legs_that_are_alike_are_one():
    """Equal lrs are grouped: nothing is lost, and no two neighbours are alike."""
    legs = [Leg(steps=1, lr=lr, weight_decay=0.1) for lr in (3, 3, 2, 2, 2, 3)]
    found = list(merged(legs))
    assert [(leg.lr, leg.steps) for leg in found] == [(3, 2), (2, 3), (3, 1)]
    assert [lr for lr, _ in groupby(found, key=lambda leg: leg.lr)] == [3, 2, 3]


def test_decoupled_steps_multiply():
    """A step that takes more than all turns the sign, an even number turns it back."""
    legs = [
        Leg(steps=3, lr=1.0, weight_decay=1.5),
        Leg(steps=4, lr=0.1, weight_decay=1),
    ]
    assert left_by_decoupled(legs).survival == digits(-0.125 * 0.9**4, rel=1e-12)
    assert left_by_sgd(legs[:1]).survival == digits(-0.125, rel=1e-12)
    all_of_it = [Leg(steps=1, lr=1.0, weight_decay=1.0)]
    assert left_by_decoupled(all_of_it).e_folds == math.inf


@pytest.mark.parametrize(("power", "left"), [(0, 0.8), (1, 0.9), (2, 0.95)])
def test_a_share_goes_with_a_power_of_the_lr(power, left):
    """Half of the lr is half of the share, a quarter of it, or all."""
    legs = [Leg(steps=2, lr=0.05, weight_decay=0.3)]
    found = left_by_powers(legs, shrink=0.2, lr=0.1, power=power)
    assert found.survival == digits(left**2, rel=1e-12)
