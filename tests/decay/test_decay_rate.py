"""A half-life that is held while the lr changes: what each step owes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import log_uniform, runs, schedules
from tolerance import digits

from dwindle.decay.decay_rate import DecayRate, missing_facts_of, read_half_life
from dwindle.decay.half_life import HalfLife
from dwindle.decay.read_numbers import CLOCKS
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, UnknownNameError

RATES = log_uniform(1e-12, 0.9)


@given(runs(), log_uniform(0.1, 1e9), st.sampled_from(CLOCKS), log_uniform(1e-6, 10))
def test_at_the_peak_it_is_the_half_life_that_was_asked(run, steps, clock, lr_peak):
    """On any clock and schedule: after one half-life at the peak, half is left."""
    half_life = HalfLife.from_steps(steps, clock=clock, run=run)
    for schedule in ("follow-lr", "constant", "lr-squared"):
        rate = DecayRate.of(half_life, run=run, schedule=schedule, lr_peak=lr_peak)
        kept = math.exp(steps * math.log1p(-rate.shrink_at(lr_peak)))
        assert kept == digits(0.5, rel=1e-11)  # at 0.1 steps, 1 − s has lost 3 digits


@given(RATES, log_uniform(1e-6, 10), schedules(), st.integers(1, 100))
def test_every_step_of_a_schedule(shrink, lr_peak, schedule, steps):
    """The shrink follows the lr with the power of its name."""
    powers = {"constant": 0, "follow-lr": 1, "lr-squared": 2}
    for name, power in powers.items():
        rate = DecayRate(shrink_at_peak=shrink, schedule=name, lr_peak=lr_peak)
        for share in schedule.multipliers(steps):
            expected = shrink * share**power
            # 1e-15: lr = share·peak is rounded, and the power doubles that.
            assert rate.shrink_at(share * lr_peak) == digits(expected, rel=1e-15)


@given(st.integers(1, 10**9))
def test_the_half_life_prints_as_it_was_asked(steps):
    """A whole number of steps stays one."""
    rate = DecayRate.of(f"{steps} steps", run=Run(), schedule="constant")
    assert rate.half_life_steps == digits(steps, rel=1e-14)


def test_a_half_life_of_for_ever_takes_nothing():
    """The limit is exact."""
    rate = DecayRate.of("inf steps", run=Run(), lr_peak=1.0)
    assert (rate.shrink_at(1.0), rate.half_life_steps) == (0.0, math.inf)


IMPOSSIBLE = [
    *(("lr_peak", {"lr_peak": peak}) for peak in (0.0, -1.0, math.inf, math.nan, True)),
    *(("shrink_per_step", {"shrink_at_peak": each}) for each in (-0.1, 1.0, math.nan)),
]


def test_impossible_rates_are_refused():
    """A peak is above 0, a shrink leaves some of the weight; a slip is named."""
    for name, facts in IMPOSSIBLE:
        with pytest.raises(RangeError) as raised:
            DecayRate(**{"shrink_at_peak": 0.1, "lr_peak": 1.0} | facts)
        assert raised.value.name == name
    for lr in (-0.1, math.inf, math.nan):
        with pytest.raises(RangeError) as raised:
            DecayRate(shrink_at_peak=0.1, lr_peak=1.0).shrink_at(lr)
        assert raised.value.name == "lr"
    with pytest.raises(RangeError) as raised:
        DecayRate(shrink_at_peak=0.5, lr_peak=1.0).shrink_at(3.0)
    # At twice the peak a step would take the whole weight.
    assert raised.value.must.split()[:2] == ["below", "2,"]
    with pytest.raises(UnknownNameError) as unknown:
        DecayRate(shrink_at_peak=0.1, schedule="folow-lr", lr_peak=1.0)
    assert unknown.value.nearest[0] == "follow-lr"
    with pytest.raises(RangeError) as raised:
        read_half_life(3)  # of what?
    assert (raised.value.name, raised.value.value) == ("half_life", 3)


def test_what_follows_the_lr_needs_its_peak():
    """Nothing is guessed; constant needs no peak."""
    for schedule in ("follow-lr", "lr-squared"):
        with pytest.raises(MissingFactError) as raised:
            DecayRate(shrink_at_peak=0.1, schedule=schedule)
        assert raised.value.fact == "lr_peak"
    assert DecayRate(shrink_at_peak=0.1, schedule="constant").shrink_at(7.0) == 0.1


def test_an_lr_beyond_the_peak_may_not_eat_the_weight():
    """Above the peak a step takes more, but never all."""
    rate = DecayRate(shrink_at_peak=0.1, lr_peak=1.0)
    assert rate.shrink_at(2.0) == 0.2
    with pytest.raises(RangeError) as raised:
        rate.shrink_at(10.0)
    assert (raised.value.name, raised.value.value) == ("lr", 10.0)


def test_an_lr_beyond_the_peak_has_a_remark():
    """Where the decay follows the lr, and not for a rounded last digit."""
    rate = DecayRate(shrink_at_peak=0.1, lr_peak=1.0)
    assert rate.remark_on_lrs(0.0, 2.0)
    assert rate.remark_on_lrs(0.0, 1.0 + 1e-7) == ""
    constant = DecayRate(shrink_at_peak=0.1, schedule="constant", lr_peak=1.0)
    assert constant.remark_on_lrs(0.0, 2.0) == ""
    with pytest.raises(RangeError) as raised:
        constant.remark_on_lrs(-1.0, 2.0)
    assert (raised.value.name, raised.value.value) == ("lr", -1.0)


def test_a_missing_fact_is_an_argument_of_what_the_user_called():
    """The error has the caller, and so has its remedy."""
    with pytest.raises(MissingFactError) as raised, missing_facts_of("decay"):
        DecayRate.of("3 examples", run=Run(), lr_peak=1.0)
    assert (raised.value.fact, raised.value.caller) == ("batch_size", "decay")
