"""Half-lives: text, clocks, and the shrink behind them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import half_lives, log_uniform, runs, shrinks
from tolerance import digits

from dwindle.decay.half_life import (
    CLOCKS,
    HalfLife,
    average_half_life_steps,
    half_life_from_shrink,
    shrink_from_half_life,
)
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
    """Nothing is guessed, and a slip of the finger is answered with what was meant."""
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
def test_half_is_left_after_one_half_life(shrink):
    """(1 - shrink) ** half-life is one half."""
    left = math.exp(half_life_from_shrink(shrink) * math.log1p(-shrink))
    assert left == digits(0.5, rel=1e-14)  # a few roundings of exp and log


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


@given(shrinks(0.4), st.floats(1.001, 2))
def test_more_shrink_never_lives_longer(shrink, factor):
    """The half-life falls as the shrink grows."""
    assert half_life_from_shrink(shrink * factor) < half_life_from_shrink(shrink)


def test_no_shrink_lives_for_ever():
    """The limits: 0 and infinity belong together."""
    assert half_life_from_shrink(0) == math.inf
    assert shrink_from_half_life(math.inf) == 0


def test_a_shrink_is_a_fraction_and_a_half_life_above_zero():
    """A step cannot take all of a weight, or add to it, and have a half-life."""
    for shrink in (-0.1, 1.0, 1.5, math.nan):
        with pytest.raises(RangeError) as raised:
            half_life_from_shrink(shrink)
        assert raised.value.name == "shrink_per_step"
    with pytest.raises(RangeError) as raised:
        shrink_from_half_life(0)
    assert (raised.value.name, raised.value.value) == ("half_life_steps", 0)


@given(runs(), st.sampled_from(CLOCKS), log_uniform(1e-3, 1e12))
def test_every_clock_comes_back(run, clock, steps):
    """Steps to a clock and back is the same to 1e-12."""
    there = HalfLife.from_steps(steps, clock=clock, run=run)
    assert there.clock == clock
    assert there.in_steps(run) == digits(steps, rel=1e-12)


@given(runs(), half_lives(), st.sampled_from(CLOCKS))
def test_changing_the_clock_does_not_change_the_shrink(run, half_life, clock):
    """Clock first and shrink then is shrink first and clock then."""
    half_life = HalfLife(min(max(half_life.value, 1e-3), 1e12), half_life.clock)
    other = HalfLife.from_steps(half_life.in_steps(run), clock=clock, run=run)
    direct = shrink_from_half_life(half_life.in_steps(run))
    assert shrink_from_half_life(other.in_steps(run)) == digits(direct, rel=1e-12)


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
    """The error has the fact and how to give it."""
    for text, run, fact in LACKING:
        with pytest.raises(MissingFactError) as raised:
            HalfLife.parse(text).in_steps(run)
        assert raised.value.fact == fact, text


@given(log_uniform(1e-12, 100), st.integers(1, 10_000))
def test_the_average_half_life_leaves_as_much_as_the_run(e_folds, steps):
    """So many steps at the average half-life lose just the e-folds of the run."""
    average = average_half_life_steps(e_folds, run=Run(steps=steps))
    assert math.log(2) * steps / average == digits(e_folds, rel=1e-14)


def test_the_average_half_life_has_limits():
    """No decay lasts for ever, and less than none is refused."""
    assert average_half_life_steps(0, run=Run(steps=3)) == math.inf
    with pytest.raises(RangeError) as raised:
        average_half_life_steps(-1, run=Run(steps=3))
    assert (raised.value.name, raised.value.value) == ("e_folds", -1)
