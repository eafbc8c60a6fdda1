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


@pytest.mark.parametrize(
    ("text", "value", "clock", "printed"),
    [
        ("3 epochs", 3, "epochs", "3 epochs"),
        ("1 epoch", 1, "epochs", "1 epoch"),
        ("1.5e9 tokens", 1.5e9, "tokens", "1.5e9 tokens"),
        ("2B tokens", 2e9, "tokens", "2e9 tokens"),
        ("50k examples", 50_000, "examples", "50000 examples"),
        ("1,281,167 examples", 1_281_167, "examples", "1281167 examples"),
        ("20% of the run", 0.2, "run", "20% of the run"),
        ("20 %", 0.2, "run", "20% of the run"),
        ("0.07 of the run", 0.07, "run", "7% of the run"),
        ("  6931 Steps ", 6931, "steps", "6931 steps"),
        ("5 Tokens", 5, "tokens", "5 tokens"),
        ("1e9tokens", 1e9, "tokens", "1e9 tokens"),
        ("100 iterations", 100, "steps", "100 steps"),
        ("inf epochs", math.inf, "epochs", "inf epochs"),
        ("0.00001 epochs", 1e-5, "epochs", "0.00001 epochs"),
        ("0.000001 epochs", 1e-6, "epochs", "1e-6 epochs"),
        ("999999999 steps", 999_999_999, "steps", "999999999 steps"),
        ("1000000000 steps", 1e9, "steps", "1e9 steps"),
    ],
)
def test_texts_that_people_write(text, value, clock, printed):
    """Suffixes, thousands, percentages, singulars and synonyms are read exactly."""
    assert HalfLife.parse(text) == HalfLife(value, clock)
    assert str(HalfLife.parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    ["", "epochs", "three epochs", "1,5 epochs", "1..2 epochs", "3 epochs!", "%"],
)
def test_text_that_is_no_half_life_is_refused_with_an_example(text):
    """Nothing is guessed: the error shows what a half-life looks like."""
    with pytest.raises(RangeError, match=r'a number and a clock.*"3 epochs"'):
        HalfLife.parse(text)


def test_an_unknown_clock_offers_the_nearest():
    """A slip of the finger is answered with the clock that was meant."""
    with pytest.raises(UnknownNameError, match=r"Got 'epohcs'\. Nearest: epochs"):
        HalfLife.parse("3 epohcs")
    with pytest.raises(UnknownNameError, match=r"clock.*Got 'lunches'"):
        HalfLife(3, "lunches")


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_a_half_life_is_above_zero(value):
    """Zero, negative and undefined times are refused."""
    with pytest.raises(RangeError, match=f"above 0. Got {value}"):
        HalfLife(value, "steps")


def test_a_percentage_is_one_of_the_run():
    """ "20% epochs" could mean two things, so it is asked back."""
    with pytest.raises(RangeError, match="a percentage of the run"):
        HalfLife.parse("20% epochs")


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


@pytest.mark.parametrize("shrink", [-0.1, 1.0, 1.5, math.nan])
def test_a_shrink_is_a_fraction(shrink):
    """A step cannot take all of a weight, or add to it, and have a half-life."""
    with pytest.raises(RangeError, match=rf"fraction in \[0, 1\)\. Got {shrink}"):
        half_life_from_shrink(shrink)


def test_a_shrink_needs_a_positive_half_life():
    """The inverse has its range too."""
    with pytest.raises(RangeError, match=r"above 0\. Got 0"):
        shrink_from_half_life(0)


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


@pytest.mark.parametrize(
    ("text", "run", "fact"),
    [
        ("3 epochs", Run(batch_size=8), "dataset_size"),
        ("3 epochs", Run(dataset_size=8), "batch_size"),
        ("3 examples", Run(), "batch_size"),
        ("3 tokens", Run(batch_size=8), "tokens_per_example"),
        ("3% of the run", Run(batch_size=8, epochs=3), "steps"),
    ],
)
def test_a_clock_says_which_fact_it_misses(text, run, fact):
    """The error names the fact, what it is for, and how to give it."""
    with pytest.raises(
        MissingFactError, match=rf"needs {fact}\..*Run\({fact}="
    ) as caught:
        HalfLife.parse(text).in_steps(run)
    assert caught.value.fact == fact


@given(log_uniform(1e-12, 100), st.integers(1, 10_000))
def test_the_average_half_life_leaves_as_much_as_the_run(e_folds, steps):
    """So many steps at the average half-life lose just the e-folds of the run."""
    average = average_half_life_steps(e_folds, run=Run(steps=steps))
    assert math.log(2) * steps / average == digits(e_folds, rel=1e-14)


def test_the_average_half_life_has_limits():
    """No decay lasts for ever, and less than none is refused."""
    assert average_half_life_steps(0, run=Run(steps=3)) == math.inf
    with pytest.raises(RangeError, match=r"e_folds must be at least 0\. Got -1"):
        average_half_life_steps(-1, run=Run(steps=3))
