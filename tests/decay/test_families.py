"""Families: forward, inverse, limits, and a loop that does the same by hand."""

import dataclasses
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import log_uniform, runs, shrinks
from tolerance import digits

from dwindle.decay.families import FAMILIES, Family, asgd_family
from dwindle.decay.momentum import fastest_shrink
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, RefusedError

WITH_HALF_LIFE = sorted(name for name, f in FAMILIES.items() if f.has_half_life)
PRODUCTS = ("constant", "corrected", "decoupled", "schedule-only")
families = st.sampled_from(WITH_HALF_LIFE).map(FAMILIES.__getitem__)
# ASGD has a decay of its own below which no knob goes, so some laws leave it out.
PROXIMAL = ("proximal", "proximal-schedule-only")
free_families = st.sampled_from(["coupled-sgd", *PRODUCTS, *PROXIMAL]).map(
    FAMILIES.__getitem__
)


def rates_by_hand(name, run):
    """What one unit of the knob takes off in each step, by the family's definition."""
    multipliers = [
        decay_by_hand.multiplier(run.schedule, t, run.steps) for t in range(run.steps)
    ]
    powers = {"decoupled": (1, 1), "schedule-only": (0, 1), "corrected": (1, 2)}
    lr_power, m_power = powers.get(name, (0, 0))
    return [run.lr**lr_power * m**m_power for m in multipliers]


def path_by_hand(name, knob, run):
    lrs = rates_by_hand("decoupled", run)
    if name == "coupled-sgd":
        facts = (run.momentum, run.dampening, run.nesterov)
        names = ("momentum", "dampening", "nesterov")
        return decay_by_hand.sgd_path(lrs, knob, **dict(zip(names, facts, strict=True)))
    if name == "asgd":
        return decay_by_hand.asgd_path(lrs, knob, lambd=1e-4, alpha=0.75)
    if name.startswith("proximal"):
        rates = lrs if name == "proximal" else rates_by_hand("schedule-only", run)
        return decay_by_hand.proximal_path(rates, knob)
    return decay_by_hand.product_path(rates_by_hand(name, run), knob)


def knob_of(family, run, shrink):
    """A knob with about this shrink, inside the family's range."""
    if family.name == "coupled-sgd":
        shrink = min(shrink, 0.9 * fastest_shrink(run))
    if family.name == "asgd":
        return shrink / run.lr
    return family.knob_for_shrink(shrink, run)


@given(families, runs(), shrinks(0.3))
def test_a_run_against_a_loop_with_fifty_digits(family, run, shrink):
    """Survival, e-folds and the path are those of a loop over the steps."""
    assume(family.name != "asgd" or run.lr < 1e3 * shrink)
    knob = knob_of(family, run, shrink)
    by_hand = path_by_hand(family.name, knob, run)
    # 1e-12: up to 200 steps with a few roundings of 1e-16 each, next to a weight that
    # momentum may bring near zero. e-folds keep it down to a shrink of 1e-15.
    path = [float(weight) for weight in by_hand]
    assert family.survival_path(knob, run) == digits(path, rel=1e-12)
    assert family.survival(knob, run) == digits(path[-1], rel=1e-12)
    e_folds = decay_by_hand.lost(by_hand)
    assert family.e_folds(knob, run) == digits(e_folds, rel=1e-12)


@given(free_families, runs(), shrinks())
def test_shrink_to_knob_to_shrink(family, run, shrink):
    """Both ways to 1e-12, below the fastest decay that momentum allows."""
    if family.name == "coupled-sgd":
        # Where both roots meet, the shrink is a square root: half of its digits are
        # lost there in any arithmetic. At 0.99 of the limit 1 / 0.01 of a digit is.
        shrink = min(shrink, 0.99 * fastest_shrink(run))
    knob = family.knob_for_shrink(shrink, run)
    assert family.shrink_per_step(knob, run) == digits(shrink, rel=1e-12)
    again = family.knob_for_shrink(family.shrink_per_step(knob, run), run)
    assert again == digits(knob, rel=1e-12)


@given(runs(), log_uniform(2e-4, 0.3))
def test_asgd_knob_and_shrink_above_its_own_decay(run, total):
    """The knob comes on top of lambd, so it is exact to the digits of the sum."""
    shrink = total * run.lr
    assume(shrink < 0.5)
    asgd = FAMILIES["asgd"]
    knob = asgd.knob_for_shrink(shrink, run)
    assert asgd.shrink_per_step(knob, run) == digits(shrink, rel=1e-12)


@given(free_families, runs(), log_uniform(1e-12, 3))
def test_e_folds_to_knob_to_e_folds(family, run, e_folds):
    """Both ways to 1e-12, under every schedule."""
    # More e-folds than this per step and the last steps lose digits by nature.
    e_folds = min(e_folds, 0.3 * run.total_steps * fastest_shrink(run))
    knob = family.knob_for_e_folds(e_folds, run)
    assert family.e_folds(knob, run) == digits(e_folds, rel=1e-12)
    again = family.knob_for_e_folds(family.e_folds(knob, run), run)
    assert again == digits(knob, rel=1e-12)


@given(free_families, runs())
def test_no_knob_no_decay(family, run):
    """The limit at 0, forward and inverse."""
    assert family.shrink_per_step(0.0, run) == 0
    assert family.e_folds(0.0, run) == 0
    assert family.survival(0.0, run) == 1
    assert family.survival_path(0.0, run) == [1.0] * (run.steps + 1)
    assert family.knob_for_shrink(0.0, run) == 0
    assert family.knob_for_e_folds(0.0, run) == 0


@given(families, runs(), shrinks(0.1), st.floats(1.01, 2))
def test_a_larger_knob_leaves_less(family, run, shrink, factor):
    """Shrink and e-folds grow with the knob; the path falls from step to step."""
    # lambd * lr may alone be more than a step can take.
    assume(family.name != "asgd" or run.lr < 1e3 * shrink)
    more = knob_of(family, run, shrink)
    knob = more / factor
    assert family.shrink_per_step(more, run) > family.shrink_per_step(knob, run)
    assert family.e_folds(more, run) > family.e_folds(knob, run)
    path = family.survival_path(knob, run)
    assert path == sorted(path, reverse=True)
    assert path[0] == 1


@given(st.sampled_from(PRODUCTS), runs(), shrinks(0.3), st.integers(1, 100))
def test_decay_without_memory_adds_up_over_time(name, run, shrink, more):
    """At a constant lr the e-folds of two runs in a row are those of one."""
    family = FAMILIES[name]
    run = dataclasses.replace(run, schedule=Schedule())
    then = dataclasses.replace(run, steps=more)
    both = dataclasses.replace(run, steps=run.steps + more)
    knob = family.knob_for_shrink(shrink, run)
    apart = family.e_folds(knob, run) + family.e_folds(knob, then)
    assert family.e_folds(knob, both) == digits(apart, rel=1e-13)  # fsum


@given(st.sampled_from(PRODUCTS), runs(), shrinks(0.3))
def test_at_a_constant_lr_a_half_life_is_one(name, run, shrink):
    """(1 - shrink) ** steps is the survival when the lr stays at its peak."""
    family = FAMILIES[name]
    run = dataclasses.replace(run, schedule=Schedule())
    knob = family.knob_for_shrink(shrink, run)
    e_folds = -run.steps * math.log1p(-family.shrink_per_step(knob, run))
    assert family.e_folds(knob, run) == digits(e_folds, rel=1e-13)


@given(runs(momentum=0.0), shrinks(0.3))
def test_families_that_say_the_same_in_other_words(run, shrink):
    """F1 without momentum is F2; F3 is F2 with λ times the peak lr; constants agree."""
    knob = shrink / run.lr
    decoupled = FAMILIES["decoupled"].e_folds(knob, run)
    # Dampening without momentum has no effect in torch: there is no buffer.
    assert FAMILIES["coupled-sgd"].e_folds(knob, run) == digits(decoupled, rel=1e-13)
    assert FAMILIES["schedule-only"].e_folds(shrink, run) == digits(
        decoupled, rel=1e-13
    )
    flat = dataclasses.replace(run, schedule=Schedule())
    same = [
        FAMILIES["decoupled"].e_folds(knob, flat),
        FAMILIES["corrected"].e_folds(knob, flat),
        FAMILIES["schedule-only"].e_folds(shrink, flat),
        FAMILIES["constant"].e_folds(shrink, run),
    ]
    assert same == digits([same[0]] * 4, rel=1e-13)


def test_corrected_decay_is_worth_three_quarters_under_a_cosine():
    """Mean of m² over mean of m: 3/8 over 1/2 for a cosine, 1/3 over 1/2 for a line."""
    for shape, ratio in (("cosine", 3 / 4), ("linear", 2 / 3)):
        run = Run(lr=0.1, schedule=Schedule(shape=shape), steps=5000)
        corrected = FAMILIES["corrected"].e_folds(1e-6, run)
        decoupled = FAMILIES["decoupled"].e_folds(1e-6, run)
        # A sum over n steps differs from its integral by about 1/n.
        assert corrected / decoupled == digits(ratio, rel=1e-3)


def test_a_shrink_of_one_part_in_a_quadrillion_keeps_its_digits():
    """1 - 1e-15 has one digit left; the e-folds of a million such steps have all."""
    run = Run(lr=1.0, steps=1_000_000)
    # -ln(1 - s) = s + s²/2 …, so the exact sum is 1e-9 to 15 digits.
    for name in ("decoupled", "constant", "schedule-only", "corrected", "coupled-sgd"):
        assert FAMILIES[name].e_folds(1e-15, run) == digits(1e-9, rel=1e-14)


def test_a_step_that_takes_more_than_everything_turns_the_sign():
    """Survival goes on where a half-life ends: exact zero, and negative weights."""
    decoupled = FAMILIES["decoupled"]
    for knob, path in ((1.0, [1, 0, 0, 0]), (1.5, [1, -0.5, 0.25, -0.125])):
        run = Run(lr=1.0, steps=3)
        assert decoupled.survival_path(knob, run) == digits(path, rel=1e-15)
        assert decoupled.survival(knob, run) == digits(path[-1], rel=1e-15)
    assert decoupled.e_folds(1.0, Run(lr=1.0, steps=3)) == math.inf


@given(runs())
def test_asgd_decays_with_no_weight_decay_at_all(run):
    """lambd is on by default; without it and its falling step ASGD is decoupled."""
    lr = min(run.lr, 1.0)
    run = dataclasses.replace(run, lr=lr)
    assert 0 < FAMILIES["asgd"].survival(0.0, run) < 1
    plain = asgd_family(lambd=0.0)
    flat = dataclasses.replace(run, schedule=Schedule())
    same = FAMILIES["decoupled"].e_folds(0.1, flat)
    assert plain.e_folds(0.1, flat) == digits(same, rel=1e-13)


def test_asgd_cannot_decay_less_than_its_own_decay():
    """A shrink below lambd times lr has no knob; nor have no e-folds at all."""
    asgd, run = FAMILIES["asgd"], Run(lr=0.1, steps=10)
    with pytest.raises(
        RangeError, match=r"on top of the decay of 0\.0001 that is always"
    ):
        asgd.knob_for_shrink(1e-6, run)
    with pytest.raises(RangeError, match=r"at least 0 on top of the decay"):
        asgd.knob_for_e_folds(0.0, run)


FACTS = {"name", "title", "formula", "has_half_life"}
FUNCTIONS = [f.name for f in dataclasses.fields(Family) if f.name not in FACTS]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_coupled_adaptive_refuses_and_teaches(function):
    """No number is given for λ in Adam: the error says why and what to use."""
    message = r"cannot be given\. .*whatever the number.*decoupled_weight_decay=True"
    with pytest.raises(RefusedError, match=message):
        getattr(FAMILIES["coupled-adaptive"], function)(0.01, Run(lr=1e-3, steps=10))


@pytest.mark.parametrize("name", WITH_HALF_LIFE)
def test_impossible_numbers_are_refused(name):
    """Negative or infinite knobs, shrinks outside [0, 1), negative e-folds."""
    family, run = FAMILIES[name], Run(lr=0.5, steps=10)
    for function in (family.shrink_per_step, family.survival, family.e_folds):
        for knob in (-1e-3, math.inf, math.nan):
            with pytest.raises(RangeError, match=rf"weight_decay must be .*Got {knob}"):
                function(knob, run)
    for shrink in (-0.1, 1.0, math.nan):
        with pytest.raises(
            RangeError, match=rf"shrink_per_step must be .*Got {shrink}"
        ):
            family.knob_for_shrink(shrink, run)
    for e_folds in (-1.0, math.inf, math.nan):
        with pytest.raises(RangeError, match=rf"e_folds must be .*Got {e_folds}"):
            family.knob_for_e_folds(e_folds, run)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_shrink_of_one_or_more_has_no_half_life(name):
    """The remedy says which way to turn the knob."""
    with pytest.raises(
        RangeError, match=r"than the whole weight.*Lower the weight decay"
    ):
        FAMILIES[name].shrink_per_step(1.0, Run(lr=1.0, steps=10))


@pytest.mark.parametrize("name", ["coupled-sgd", "decoupled", "corrected", "asgd"])
def test_a_missing_learning_rate_is_named(name):
    """Families that multiply by the lr cannot do without it."""
    for function in (FAMILIES[name].shrink_per_step, FAMILIES[name].knob_for_shrink):
        with pytest.raises(MissingFactError, match=r"shrink of .* needs lr.*--lr"):
            function(1e-3, Run(steps=10))


@pytest.mark.parametrize("name", ["schedule-only", "constant"])
def test_families_without_a_learning_rate_do_not_ask_for_it(name):
    """F3 and F4 shrink without lr, and need the length only for what is left."""
    assert FAMILIES[name].shrink_per_step(1e-3, Run()) == 1e-3
    with pytest.raises(MissingFactError, match="length of the run needs steps"):
        FAMILIES[name].survival(1e-3, Run())


@pytest.mark.parametrize("name", ["coupled-sgd", *PRODUCTS])
def test_e_folds_that_no_float_gives_are_refused(name):
    """So many e-folds in ten steps need a knob with more digits than a float has."""
    with pytest.raises(RangeError, match="Ask for fewer e-folds or for more steps"):
        FAMILIES[name].knob_for_e_folds(600.0, Run(lr=0.1, momentum=0.9, steps=10))


@pytest.mark.parametrize(
    "name", ["decoupled", "schedule-only", "constant", "corrected"]
)
def test_a_run_of_endless_steps_is_refused(name):
    """No family asks for the memory of a list that no machine holds."""
    with pytest.raises(RangeError, match="steps must be at most 10,000,000 to list"):
        FAMILIES[name].survival_path(1e-3, Run(lr=0.1, steps=10**18))
