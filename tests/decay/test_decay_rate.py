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


def test_an_unknown_schedule_offers_the_three():
    """A slip of the finger is answered with the name that was meant."""
    with pytest.raises(UnknownNameError, match=r"Got 'folow-lr'.*follow-lr"):
        DecayRate(shrink_at_peak=0.1, schedule="folow-lr", lr_peak=1.0)


@pytest.mark.parametrize("schedule", ["follow-lr", "lr-squared"])
def test_what_follows_the_lr_needs_its_peak(schedule):
    """Nothing is guessed; constant needs no peak."""
    with pytest.raises(MissingFactError, match=f'"{schedule}" needs lr_peak'):
        DecayRate(shrink_at_peak=0.1, schedule=schedule)
    assert DecayRate(shrink_at_peak=0.1, schedule="constant").shrink_at(7.0) == 0.1


@pytest.mark.parametrize("lr_peak", [0.0, -1.0, math.inf, math.nan])
def test_a_peak_is_a_number_above_zero(lr_peak):
    """A peak that nothing can be divided by is refused."""
    with pytest.raises(RangeError, match=f"lr_peak must be.*Got {lr_peak}"):
        DecayRate(shrink_at_peak=0.1, lr_peak=lr_peak)


@pytest.mark.parametrize("shrink", [-0.1, 1.0, math.nan])
def test_a_shrink_is_a_fraction_here_too(shrink):
    """A step leaves some of the weight."""
    with pytest.raises(RangeError, match=rf"\[0, 1\)\. Got {shrink}"):
        DecayRate(shrink_at_peak=shrink, lr_peak=1.0)


@pytest.mark.parametrize("lr", [-0.1, math.inf, math.nan])
def test_an_lr_is_zero_or_more(lr):
    """Impossible learning rates are refused."""
    with pytest.raises(RangeError, match=f"lr must be.*Got {lr}"):
        DecayRate(shrink_at_peak=0.1, lr_peak=1.0).shrink_at(lr)


def test_an_lr_beyond_the_peak_may_not_eat_the_weight():
    """Above the peak a step takes more, but never all."""
    rate = DecayRate(shrink_at_peak=0.1, lr_peak=1.0)
    assert rate.shrink_at(2.0) == 0.2
    with pytest.raises(RangeError, match=r"below 10, .*is 1\)\. Got 10.*Give lr_peak"):
        rate.shrink_at(10.0)


def test_an_lr_beyond_the_peak_is_told():
    """Where the decay follows the lr, and not for a rounded last digit."""
    rate = DecayRate(shrink_at_peak=0.1, lr_peak=1.0)
    assert "up to 2, above lr_peak, 1: there" in rate.remark_on_lrs(0.0, 2.0)
    assert rate.remark_on_lrs(0.0, 1.0 + 1e-7) == ""
    constant = DecayRate(shrink_at_peak=0.1, schedule="constant", lr_peak=1.0)
    assert constant.remark_on_lrs(0.0, 2.0) == ""
    with pytest.raises(RangeError, match=r"lr must be.*Got -1"):
        constant.remark_on_lrs(-1.0, 2.0)


def test_a_number_alone_is_no_half_life():
    """Of what? The error shows a clock."""
    with pytest.raises(RangeError, match=r'time with its clock\. Got 3\. .*"3 epochs"'):
        read_half_life(3)


def test_a_fact_is_asked_for_where_the_user_writes_it():
    """The remedy is the argument of what was called."""
    with (
        pytest.raises(MissingFactError, match=r"Give it as decay\(batch_size=\.\.\.\)"),
        missing_facts_of("decay"),
    ):
        DecayRate.of("3 examples", run=Run(), lr_peak=1.0)
