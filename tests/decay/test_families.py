"""Families: forward, inverse, limits, and a loop that does the same by hand."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import decay_by_hand
from oracle.paths import survival_path
from strategies import log_uniform, runs, shrinks
from tolerance import digits

from dwindle.decay.families import FAMILIES
from dwindle.decay.momentum import fastest_shrink
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, RefusedError

WITH_HALF_LIFE = sorted(name for name, f in FAMILIES.items() if f.has_half_life)
PRODUCTS = ("constant", "corrected", "decoupled", "schedule-only")
PROXIMAL = ("proximal", "proximal-schedule-only")
families = st.sampled_from(WITH_HALF_LIFE).map(FAMILIES.__getitem__)
# ASGD has a decay below which no number goes, and its lambd slows itself down, so some
# laws leave them out.
free_families = st.sampled_from(["coupled-sgd", *PRODUCTS, *PROXIMAL]).map(
    FAMILIES.__getitem__
)


def number_of(family, run, shrink):
    """A number with about this shrink, inside the family's range."""
    if family.name == "coupled-sgd":
        shrink = min(shrink, 0.9 * fastest_shrink(run))
    if family.name == "asgd":
        return shrink / run.lr
    return family.knob_for_shrink(shrink, run)


@given(families, runs(), shrinks(0.3))
def test_a_run_against_a_loop_with_fifty_digits(family, run, shrink):
    """Survival, e-folds and the path are those of a loop over the steps."""
    assume(family.name != "asgd" or run.lr < 1e3 * shrink)
    number = number_of(family, run, shrink)
    by_hand = decay_by_hand.family_path(family.name, number, run)
    # 1e-12: up to 200 steps with a few roundings of 1e-16 each, next to a weight that
    # momentum may bring near zero. e-folds keep it down to a shrink of 1e-15.
    path = [float(weight) for weight in by_hand]
    assert survival_path(family, number, run) == digits(path, rel=1e-12)
    assert family.survival(number, run) == digits(path[-1], rel=1e-12)
    e_folds = decay_by_hand.lost(by_hand)
    assert family.e_folds(number, run) == digits(e_folds, rel=1e-12)


@given(free_families, runs(), shrinks())
def test_shrink_to_number_to_shrink(family, run, shrink):
    """Both ways to 1e-12, below the fastest decay that momentum allows."""
    if family.name == "coupled-sgd":
        # Where both roots meet, the shrink is a square root: half of its digits are
        # lost there in any arithmetic. At 0.99 of the limit 1 / 0.01 of a digit is.
        shrink = min(shrink, 0.99 * fastest_shrink(run))
    number = family.knob_for_shrink(shrink, run)
    assert family.shrink_per_step(number, run) == digits(shrink, rel=1e-12)
    again = family.knob_for_shrink(family.shrink_per_step(number, run), run)
    assert again == digits(number, rel=1e-12)


@given(runs(), log_uniform(2e-4, 0.3))
def test_asgd_number_and_shrink_above_its_own_decay(run, total):
    """The number comes on top of lambd, so it is exact to the digits of the sum."""
    shrink = total * run.lr
    assume(shrink < 0.5)
    asgd = FAMILIES["asgd"]
    number = asgd.knob_for_shrink(shrink, run)
    assert asgd.shrink_per_step(number, run) == digits(shrink, rel=1e-12)


@given(runs(), log_uniform(1e-6, 0.5))
def test_lambd_there_and_back(run, shrink):
    """Shrink and e-folds lead back to lambd."""
    family = FAMILIES["asgd-lambd"]
    lambd = family.knob_for_shrink(shrink, run)
    # 1e-15: two roundings.
    assert family.shrink_per_step(lambd, run) == digits(shrink, rel=1e-15)
    e_folds = family.e_folds(lambd, run)
    # 1e-10: the solver stops at 4e-16 of lambd, e-folds are sums of 200 logarithms.
    there = family.e_folds(family.knob_for_e_folds(e_folds, run), run)
    assert there == digits(e_folds, rel=1e-10)


@given(free_families, runs(), log_uniform(1e-12, 3))
def test_e_folds_to_number_to_e_folds(family, run, e_folds):
    """Both ways to 1e-12, under every schedule."""
    # More e-folds than this per step and the last steps lose digits by nature.
    e_folds = min(e_folds, 0.3 * run.total_steps * fastest_shrink(run))
    number = family.knob_for_e_folds(e_folds, run)
    assert family.e_folds(number, run) == digits(e_folds, rel=1e-12)
    again = family.knob_for_e_folds(family.e_folds(number, run), run)
    assert again == digits(number, rel=1e-12)


@given(families, runs())
def test_zero_decays_nothing(family, run):
    """The limit at 0, forward and inverse, without decays that are always on."""
    assume(not family.always_on)
    assert family.shrink_per_step(0.0, run) == 0
    assert family.e_folds(0.0, run) == 0
    assert family.survival(0.0, run) == 1
    assert survival_path(family, 0.0, run) == [1.0] * (run.steps + 1)
    assert family.knob_for_shrink(0.0, run) == 0
    assert family.knob_for_e_folds(0.0, run) == 0


def test_a_shrink_of_one_part_in_a_quadrillion_keeps_its_digits():
    """1 - 1e-15 has one digit left; the e-folds of a million such steps have all."""
    run = Run(lr=1.0, steps=1_000_000)
    # -ln(1 - s) = s + s²/2 …, so the exact sum is 1e-9 to 15 digits.
    for name in (*PRODUCTS, "coupled-sgd"):
        assert FAMILIES[name].e_folds(1e-15, run) == digits(1e-9, rel=1e-14)


def test_a_step_that_takes_more_than_everything_turns_the_sign():
    """Survival goes on where a half-life ends: exact zero, and negative weights."""
    decoupled = FAMILIES["decoupled"]
    for number, path in ((1.0, [1, 0, 0, 0]), (1.5, [1, -0.5, 0.25, -0.125])):
        run = Run(lr=1.0, steps=3)
        assert survival_path(decoupled, number, run) == digits(path, rel=1e-15)
        assert decoupled.survival(number, run) == digits(path[-1], rel=1e-15)
    assert decoupled.e_folds(1.0, Run(lr=1.0, steps=3)) == math.inf


def test_asgd_cannot_decay_less_than_its_own_decay():
    """A shrink below lambd times lr has no number; nor has a target of 0 e-folds."""
    asgd, run = FAMILIES["asgd"], Run(lr=0.1, steps=10)
    for function, goal in ((asgd.knob_for_shrink, 1e-6), (asgd.knob_for_e_folds, 0.0)):
        with pytest.raises(RangeError) as raised:
            function(goal, run)
        assert raised.value.name == "weight_decay"
        assert raised.value.value < 0


def test_a_family_without_a_rate_refuses_every_question():
    """No number is given for λ in Adam: the error has the reason and the remedy."""
    run = Run(lr=1e-3, steps=10)
    for family in FAMILIES.values():
        if family.has_half_life:
            continue
        for function in (
            family.shrink_per_step,
            family.knob_for_shrink,
            family.survival,
            family.e_folds,
            family.knob_for_e_folds,
        ):
            with pytest.raises(RefusedError) as raised:
                function(0.01, run)
            assert raised.value.instead == family.instead


@pytest.mark.parametrize("name", WITH_HALF_LIFE)
def test_impossible_numbers_are_refused(name):
    """Negative or infinite numbers, shrinks outside [0, 1), negative e-folds."""
    family, run = FAMILIES[name], Run(lr=0.5, steps=10)
    refused = {
        "weight_decay": (
            (family.shrink_per_step, family.survival, family.e_folds),
            (-1e-3, math.inf, math.nan),
        ),
        "shrink_per_step": ((family.knob_for_shrink,), (-0.1, 1.0, math.nan)),
        "e_folds": ((family.knob_for_e_folds,), (-1.0, math.inf, math.nan)),
    }
    for quantity, (functions, values) in refused.items():
        for function in functions:
            for value in values:
                with pytest.raises(RangeError) as raised:
                    function(value, run)
                assert raised.value.name == quantity


def test_a_missing_learning_rate_is_named_where_it_is_read():
    """Families that multiply by the lr cannot do without it; the others can."""
    for name in WITH_HALF_LIFE:
        family = FAMILIES[name]
        for function in (family.shrink_per_step, family.knob_for_shrink):
            if not family.reads_lr:
                assert function(1e-3, Run()) == digits(1e-3, rel=2e-3)
                continue
            with pytest.raises(MissingFactError) as raised:
                function(1e-3, Run(steps=10))
            assert raised.value.fact == "lr"


def test_numbers_that_no_float_gives_are_refused():
    """600 e-folds in ten steps need more digits; 10¹⁸ steps more memory."""
    ten = Run(lr=0.1, momentum=0.9, steps=10)
    for name in ("coupled-sgd", *PRODUCTS):
        with pytest.raises(RangeError) as raised:
            FAMILIES[name].knob_for_e_folds(600.0, ten)
        assert raised.value.name == "e_folds"
    for name in PRODUCTS:
        with pytest.raises(RangeError) as raised:
            survival_path(FAMILIES[name], 1e-3, Run(lr=0.1, steps=10**18))
        assert raised.value.name == "steps"
