"""Half-lives: text, clocks, the shrink behind them; and one held while lrs change."""

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import half_lives, log_uniform, runs, schedules, shrinks
from tolerance import digits

from dwindle.decay.decay_rate import DecayRate, missing_facts_of, read_half_life
from dwindle.decay.half_life import (
    HalfLife,
    average_half_life_steps,
    half_life_from_shrink,
    shrink_from_half_life,
)
from dwindle.decay.read_numbers import CLOCKS
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, UnknownNameError


@given(half_lives())
def test_a_printed_half_life_parses_back_to_the_same_value(half_life):
    """What is printed is what is read, to the last bit and on every clock."""
    assert HalfLife.parse(str(half_life)) == half_life


TEXTS = {
    "3 epochs": (3, "epochs", "3 epochs"),
    "1 epoch": (1, "epochs", "1 epoch"),
    "1.5e9 tokens": (1.5e9, "tokens", "1.5e9 tokens"),
    "2B tokens": (2e9, "tokens", "2e9 tokens"),
    "50k examples": (50_000, "examples", "50000 examples"),
    "1,281,167 examples": (1_281_167, "examples", "1281167 examples"),
    "20% of the run": (0.2, "run", "20% of the run"),
    "20 %": (0.2, "run", "20% of the run"),
    "0.07 of the run": (0.07, "run", "7% of the run"),
    "  6931 Steps ": (6931, "steps", "6931 steps"),
    "5 Tokens": (5, "tokens", "5 tokens"),
    "1e9tokens": (1e9, "tokens", "1e9 tokens"),
    "100 iterations": (100, "steps", "100 steps"),
    "inf epochs": (math.inf, "epochs", "inf epochs"),
    "0.00001 epochs": (1e-5, "epochs", "0.00001 epochs"),
    "0.000001 epochs": (1e-6, "epochs", "1e-6 epochs"),
    "999999999 steps": (999_999_999, "steps", "999999999 steps"),
    "1000000000 steps": (1e9, "steps", "1e9 steps"),
}


def test_texts_that_people_write():
    """Suffixes, thousands, percentages, singulars and synonyms are read exactly."""
    found = {text: HalfLife.parse(text) for text in TEXTS}
    read = {text: (it.value, it.clock, str(it)) for text, it in found.items()}
    assert read == TEXTS


NO_TIMES = {
    "a number and a clock": [
        *("", "epochs", "three epochs", "1,5 epochs", "1..2 epochs", "3 epochs!", "%"),
    ],
    # It could mean two things.
    "a percentage of the run": ["20% epochs"],
    "above 0": ["0 steps", "-1 steps"],
}


def test_text_that_is_no_half_life_is_refused():
    """Nothing is guessed, and the error for a typing mistake has the intended name."""
    for must, texts in NO_TIMES.items():
        for text in texts:
            with pytest.raises(RangeError) as raised:
                HalfLife.parse(text)
            assert (raised.value.name, raised.value.must) == ("half_life", must), text
    for value in (0.0, -1.0, math.nan, True):
        with pytest.raises(RangeError) as raised:
            HalfLife(value, "steps")
        assert raised.value.must == "above 0"
    with pytest.raises(UnknownNameError) as unknown:
        HalfLife.parse("3 epohcs")
    assert unknown.value.nearest[0] == "epochs"
    with pytest.raises(UnknownNameError) as unknown:
        HalfLife(3, "lunches")
    assert unknown.value.kind == "clock"


@given(shrinks(0.999))
def test_half_life_against_fifty_digits(shrink):
    """Down to a shrink of 1e-15 no digit is lost."""
    # 1e-14: each of the two logarithms and the quotient may round.
    assert half_life_from_shrink(shrink) == digits(
        decay_by_hand.half_life(shrink), rel=1e-14
    )


@given(shrinks(0.999))
def test_shrink_and_half_life_are_inverse(shrink):
    """There and back to 1e-12."""
    back = shrink_from_half_life(half_life_from_shrink(shrink))
    assert back == digits(shrink, rel=1e-12)


def test_no_shrink_lives_for_ever():
    """The limits: 0 and infinity belong together, and there is nothing beyond them."""
    assert half_life_from_shrink(0) == math.inf
    assert shrink_from_half_life(math.inf) == 0
    assert average_half_life_steps(0, run=Run(steps=3)) == math.inf
    rate = DecayRate.of("inf steps", run=Run(), lr_peak=1.0)
    assert (rate.shrink_at(1.0), rate.half_life_steps) == (0.0, math.inf)
    beyond = [
        *(
            (half_life_from_shrink, x, "shrink_per_step")
            for x in (-0.1, 1, 1.5, math.nan)
        ),
        (shrink_from_half_life, 0, "half_life_steps"),
        (partial(average_half_life_steps, run=Run(steps=3)), -1, "e_folds"),
    ]
    for function, value, name in beyond:
        with pytest.raises(RangeError) as raised:
            function(value)
        assert raised.value.name == name


@given(runs(), st.sampled_from(CLOCKS), log_uniform(1e-3, 1e12))
def test_every_clock_comes_back(run, clock, steps):
    """Steps to a clock and back is the same to 1e-12."""
    there = HalfLife.from_steps(steps, clock=clock, run=run)
    assert there.clock == clock
    assert there.in_steps(run) == digits(steps, rel=1e-12)


@given(st.integers(1, 64), st.integers(0, 1000), st.integers(1, 4096))
def test_clocks_against_a_walk_through_the_data(batch_size, more, tokens):
    """An epoch is every example once, in as many steps as a loop over batches makes."""
    data = batch_size + more
    run = Run(
        batch_size=batch_size, dataset_size=data, tokens_per_example=tokens, epochs=3
    )
    steps = decay_by_hand.steps_in_an_epoch(data, batch_size)
    same = [
        HalfLife(1, "epochs"),
        HalfLife(data, "examples"),
        HalfLife(data * tokens, "tokens"),
        HalfLife(1 / 3, "run"),
    ]
    for half_life in same:
        assert half_life.in_steps(run) == digits(steps, rel=1e-14)


LACKING = [
    ("3 epochs", Run(batch_size=8), "dataset_size"),
    ("3 epochs", Run(dataset_size=8), "batch_size"),
    ("3 examples", Run(), "batch_size"),
    ("3 tokens", Run(batch_size=8), "tokens_per_example"),
    ("3% of the run", Run(batch_size=8, epochs=3), "steps"),
]


def test_a_clock_names_the_fact_that_it_lacks():
    """The error names the fact and how to give it."""
    for text, run, fact in LACKING:
        with pytest.raises(MissingFactError) as raised:
            HalfLife.parse(text).in_steps(run)
        assert raised.value.fact == fact, text


@given(log_uniform(1e-12, 100), st.integers(1, 10_000))
def test_the_average_half_life_leaves_as_much_as_the_run(e_folds, steps):
    """So many steps at the average half-life lose just the e-folds of the run."""
    average = average_half_life_steps(e_folds, run=Run(steps=steps))
    assert math.log(2) * steps / average == digits(e_folds, rel=1e-14)


RATES = log_uniform(1e-12, 0.9)


@given(runs(), log_uniform(0.1, 1e9), st.sampled_from(CLOCKS), log_uniform(1e-6, 10))
def test_at_the_peak_it_is_the_requested_half_life(run, steps, clock, lr_peak):
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
def test_the_half_life_prints_as_it_was_requested(steps):
    """A whole number of steps stays whole."""
    rate = DecayRate.of(f"{steps} steps", run=Run(), schedule="constant")
    assert rate.half_life_steps == digits(steps, rel=1e-14)


IMPOSSIBLE = [
    *(("lr_peak", {"lr_peak": peak}) for peak in (0.0, -1.0, math.inf, math.nan, True)),
    *(("shrink_per_step", {"shrink_at_peak": each}) for each in (-0.1, 1.0, math.nan)),
]


def test_impossible_rates_are_refused():
    """A peak is above 0, a shrink below 1; an unknown schedule is refused."""
    for name, facts in IMPOSSIBLE:
        with pytest.raises(RangeError) as raised:
            DecayRate(**{"shrink_at_peak": 0.1, "lr_peak": 1.0} | facts)
        assert raised.value.name == name
    for lr in (-0.1, 10.0, math.inf, math.nan):  # ten times the peak eats the weight
        with pytest.raises(RangeError) as raised:
            DecayRate(shrink_at_peak=0.1, lr_peak=1.0).shrink_at(lr)
        assert raised.value.name == "lr"
    with pytest.raises(RangeError) as raised:
        DecayRate(shrink_at_peak=0.5, lr_peak=1.0).shrink_at(3.0)
    # At twice the peak a step would take the whole weight.
    assert raised.value.must.split()[:2] == ["below", "2,"]
    for schedule in ("follow-lr", "lr-squared"):  # constant needs no peak
        with pytest.raises(MissingFactError) as missing:
            DecayRate(shrink_at_peak=0.1, schedule=schedule)
        assert missing.value.fact == "lr_peak"
    assert DecayRate(shrink_at_peak=0.1, schedule="constant").shrink_at(7.0) == 0.1
    with pytest.raises(UnknownNameError) as unknown:
        DecayRate(shrink_at_peak=0.1, schedule="folow-lr", lr_peak=1.0)
    assert unknown.value.nearest[0] == "follow-lr"
    with pytest.raises(RangeError) as raised:
        read_half_life(3)  # of what?
    assert (raised.value.name, raised.value.value) == ("half_life", 3)


def test_an_lr_beyond_the_peak_has_a_remark():
    """Only if the decay follows the lr, and not for a rounded last digit."""
    rate = DecayRate(shrink_at_peak=0.1, lr_peak=1.0)
    assert rate.remark_on_lrs(0.0, 2.0)
    assert rate.remark_on_lrs(0.0, 1.0 + 1e-7) == ""
    constant = DecayRate(shrink_at_peak=0.1, schedule="constant", lr_peak=1.0)
    assert constant.remark_on_lrs(0.0, 2.0) == ""
    with pytest.raises(RangeError) as raised:
        constant.remark_on_lrs(-1.0, 2.0)
    assert (raised.value.name, raised.value.value) == ("lr", -1.0)


def test_a_missing_fact_is_an_argument_of_what_the_user_called():
    """The error and its remedy name the caller."""
    with pytest.raises(MissingFactError) as raised, missing_facts_of("decay"):
        DecayRate.of("3 examples", run=Run(), lr_peak=1.0)
    assert (raised.value.fact, raised.value.caller) == ("batch_size", "decay")
