"""Momentum: slow root, oscillation limit, start lag, and a loop with fifty digits."""

import dataclasses
import math
import pickle
from decimal import localcontext
from itertools import groupby

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import decay_by_hand
from oracle.paths import survival_path
from strategies import log_uniform, runs
from tolerance import digits

from dwindle.decay.families import FAMILIES
from dwindle.decay.half_life import half_life_from_shrink
from dwindle.decay.legs import (
    Leg,
    left_by_decoupled,
    left_by_powers,
    left_by_sgd,
    merged,
)
from dwindle.decay.momentum import fastest_shrink, oscillation_limit
from dwindle.decay.run import Run
from dwindle.errors import OscillationError

SGD = FAMILIES["coupled-sgd"]
momenta = st.sampled_from([0.5, 0.9, 0.95, 0.99])
# Every kind that torch has: plain, dampened (also to a moving average), Nesterov.
KINDS = [(0.0, False), (0.3, False), (0.9, False), (0.99, False), (0.0, True)]
kinds = st.sampled_from(KINDS)


def path_by_hand(run, knob, steps):
    run = dataclasses.replace(run, steps=steps)
    return decay_by_hand.family_path("coupled-sgd", knob, run)


@pytest.mark.parametrize(("dampening", "nesterov"), KINDS)
@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("share", [1e-12, 1e-3, 0.1, 0.7])
def test_the_slow_root_is_what_a_long_run_settles_at(
    momentum, dampening, nesterov, share
):
    """After many steps one step takes the predicted shrink, to 1e-12."""
    run = Run(lr=0.1, momentum=momentum, dampening=dampening, nesterov=nesterov)
    knob = share * oscillation_limit(run)
    shrink = SGD.shrink_per_step(knob, run)
    path = path_by_hand(run, knob, 2000)
    with localcontext(prec=decay_by_hand.DIGITS):
        settled = float(1 - path[-1] / path[-2])
    # At 0.7 of the limit the roots differ by √0.3 (1 - √μ) each way: at momentum 0.95
    # the fast one loses 0.028 e-folds a step on the slow one, 55 in two thousand.
    assert settled == digits(shrink, rel=1e-12)


@given(momenta, kinds)
def test_the_limit_divides_decay_from_swinging(momentum, kind):
    """A long run stays above zero just below the limit, and crosses it just beyond."""
    dampening, nesterov = kind
    # Else the first step, which torch does not dampen, alone overshoots.
    assume(dampening < math.sqrt(momentum))
    run = Run(lr=0.1, momentum=momentum, dampening=dampening, nesterov=nesterov)
    limit = oscillation_limit(run)
    # Beyond the limit by 20 % the phase turns by about √0.2 (1 - √μ) a step, so that at
    # momentum 0.99 half a turn takes 1400 steps.
    assert min(path_by_hand(run, 0.999 * limit, 2000)) > 0
    assert min(path_by_hand(run, 1.2 * limit, 2000)) < 0


@pytest.mark.parametrize(
    ("momentum", "nesterov", "fastest"),
    [
        (0.9, False, 13.2),
        (0.95, False, 27.0),
        (0.99, False, 137.9),
        (0.9, True, 12.8),
        (0.95, True, 26.7),
        (0.99, True, 137.6),
    ],
)
def test_the_fastest_half_life_of_a_constant_knob(momentum, nesterov, fastest):
    """ln 2 / (-½ ln μ) for plain momentum; z = 2μ/(1 + μ) for Nesterov's."""
    run = Run(lr=0.1, momentum=momentum, nesterov=nesterov)
    assert half_life_from_shrink(fastest_shrink(run)) == pytest.approx(
        fastest, abs=0.05
    )
    root = 2 * momentum / (1 + momentum) if nesterov else math.sqrt(momentum)
    assert 1 - fastest_shrink(run) == digits(root, rel=1e-15)


@given(runs())
def test_at_the_limit_the_shrink_is_the_fastest(run):
    """Forward and inverse meet at the limit, where both roots are one."""
    if run.momentum == 0:
        assert oscillation_limit(run) == digits(1 / run.lr, rel=1e-15)
        return
    limit, fastest = oscillation_limit(run), fastest_shrink(run)
    assert SGD.knob_for_shrink(fastest, run) == digits(limit, rel=1e-11)
    # A rounding of 1e-16 in the knob is one of its root, 1e-8, in the shrink here.
    assert SGD.shrink_per_step(limit, run) == digits(fastest, rel=1e-6)


@given(momenta, kinds, st.floats(1.001, 100))
def test_beyond_the_limit_there_is_no_half_life(momentum, kind, factor):
    """The error carries the limit, the value and the fastest half-life there is."""
    dampening, nesterov = kind
    run = Run(lr=0.1, momentum=momentum, dampening=dampening, nesterov=nesterov)
    knob, fastest = factor * oscillation_limit(run), fastest_shrink(run)
    with pytest.raises(OscillationError) as caught:
        SGD.shrink_per_step(knob, run)
    facts = caught.value
    assert (facts.name, facts.value, facts.momentum) == ("weight_decay", knob, momentum)
    assert facts.limit == oscillation_limit(run)
    assert facts.fastest_half_life_steps == half_life_from_shrink(fastest)
    assert str(pickle.loads(pickle.dumps(facts))) == str(facts)
    with pytest.raises(OscillationError) as caught:
        SGD.knob_for_shrink(min(0.9999, 1.001 * fastest), run)
    assert (caught.value.name, caught.value.limit) == ("shrink_per_step", fastest)


@given(momenta, st.floats(1.5, 30), st.integers(2, 400))
def test_survival_goes_on_where_the_weight_swings(momentum, factor, steps):
    """Beyond the limit what a run leaves is still exact, of either sign."""
    run = Run(lr=0.1, momentum=momentum, steps=steps)
    knob = factor * oscillation_limit(run)
    by_hand = [float(weight) for weight in path_by_hand(run, knob, steps)]
    # A path through zero has absolute, not relative digits: 400 steps of size 1.
    assert survival_path(SGD, knob, run) == pytest.approx(by_hand, rel=1e-9, abs=1e-12)
    assert SGD.survival(knob, run) == pytest.approx(by_hand[-1], rel=1e-9, abs=1e-12)
    e_folds = -math.log(abs(by_hand[-1]))
    assert SGD.e_folds(knob, run) == pytest.approx(e_folds, rel=1e-9, abs=1e-12)


def test_a_weight_that_is_exactly_zero_is_carried_on_by_the_buffer():
    """By hand, b ← b/2 + w and w ← w − b from 1: 0, −1/2, −1/4."""
    run = Run(lr=1.0, momentum=0.5, steps=3)
    path = [1.0, 0.0, -0.5, -0.25]
    # 1e-14: 36 e-folds go and come back, with 16 digits each.
    assert survival_path(SGD, 1.0, run) == pytest.approx(path, rel=1e-14, abs=1e-15)
    for steps, left in enumerate(path[1:], start=1):
        found = SGD.survival(1.0, dataclasses.replace(run, steps=steps))
        assert found == pytest.approx(left, rel=1e-14, abs=1e-300)  # exactly 0 at last
        if left:
            legs = [Leg(steps=steps, lr=1.0, weight_decay=1.0, momentum=0.5)]
            assert left_by_sgd(legs).survival == digits(left, rel=1e-14)


@given(momenta, kinds, log_uniform(1e-14, 1e-9))
def test_slow_decay_is_the_textbook_first_order(momentum, kind, shrink):
    """λ lr (1 - d) / (1 - μ), the formula of slow decay, is the limit."""
    dampening, nesterov = kind
    run = Run(lr=0.1, momentum=momentum, dampening=dampening, nesterov=nesterov)
    first_order = shrink * (1 - momentum) / ((1 - dampening) * run.lr)
    # Relative error of the first order: shrink · μ/(1 - μ), here below 1e-7.
    assert SGD.knob_for_shrink(shrink, run) == digits(first_order, rel=2e-7)


def test_e_folds_beyond_the_limit_can_be_had_in_a_short_run():
    """Two hundred steps at momentum 0.99 halve a weight, though no half-life exists."""
    run = Run(lr=0.1, momentum=0.99, steps=200)
    knob = SGD.knob_for_e_folds(math.log(2), run)
    assert SGD.survival(knob, run) == digits(0.5, rel=1e-12)
    assert knob > oscillation_limit(run)


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
