"""Schedules: exact multipliers of the peak learning rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import decay_by_hand
from strategies import schedules

from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError


@given(schedules(), st.integers(1, 200))
def test_every_step_against_the_definition(schedule, steps):
    """Each multiplier is what the definition of its shape says for that step alone."""
    by_hand = [decay_by_hand.multiplier(schedule, t, steps) for t in range(steps)]
    # abs 1e-15: two ways to round numbers of at most 1.
    assert schedule.multipliers(steps) == pytest.approx(by_hand, rel=0, abs=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_two_halves_that_both_round_up_still_fit(steps):
    """Warm-up and fall may each round up to more than there is; the fall gives way."""
    schedule = Schedule(shape="wsd", warmup=0.5, decay_share=0.5)
    by_hand = [decay_by_hand.multiplier(schedule, t, steps) for t in range(steps)]
    assert schedule.multipliers(steps) == pytest.approx(by_hand, rel=0, abs=1e-15)


@given(schedules(), st.integers(10, 200))
def test_a_schedule_rises_to_its_peak_and_never_rises_again(schedule, steps):
    """The largest multiplier is 1, at the first step after the warm-up."""
    multipliers = schedule.multipliers(steps)
    peak = round(schedule.warmup * steps)
    assert multipliers[peak] == max(multipliers) == 1
    assert multipliers[: peak + 1] == sorted(multipliers[: peak + 1])
    assert multipliers[peak:] == sorted(multipliers[peak:], reverse=True)


@pytest.mark.parametrize(
    ("schedule", "mean"),
    [
        (Schedule(), 1),
        (Schedule(warmup=0.1), 0.95),
        (Schedule(shape="linear"), 0.5),
        (Schedule(shape="linear", warmup=0.1), 0.5),
        (Schedule(shape="cosine"), 0.5),
        (Schedule(shape="cosine", final=0.1), 0.55),
        (Schedule(shape="cosine", final=0.1, warmup=0.1), 0.545),
        (Schedule(shape="wsd", warmup=0.1), 0.85),
    ],
)
def test_mean_multipliers_of_long_runs(schedule, mean):
    """The mean over a long run is the area under the curve."""
    steps = 10_000
    # A sum over steps differs from the area by at most one step of height 1.
    measured = sum(schedule.multipliers(steps)) / steps
    assert measured == pytest.approx(mean, abs=1 / steps)


IMPOSSIBLE = [
    ("warmup", {"warmup": 1.0}),
    ("warmup", {"warmup": -0.1}),
    ("final", {"final": 1.1}),
    ("decay_share", {"decay_share": 0.0}),
    ("warmup", {"shape": "wsd", "warmup": 0.9}),
]


def test_impossible_shares_are_refused():
    """Each share has its range, and WSD needs room for both; no steps are no run."""
    for name, facts in IMPOSSIBLE:
        with pytest.raises(RangeError) as raised:
            Schedule(**facts)
        assert (raised.value.name, raised.value.value) == (name, facts[name])
    whole = Schedule(warmup="10 steps")
    with pytest.raises(RangeError) as raised:
        whole.multipliers(10)
    assert raised.value.value == whole.warmup
    assert whole.multipliers(11) == Schedule(warmup=10 / 11).multipliers(11)
    with pytest.raises(RangeError) as raised:
        Schedule().multipliers(0)
    assert (raised.value.name, raised.value.value) == ("steps", 0)
