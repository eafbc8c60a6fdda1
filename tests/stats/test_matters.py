"""Does decay matter: the three verdicts, and the gain behind them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import leave_one_out_gains as gains_by_loops
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve
from dwindle.stats.matters import judge_whether_decay_matters, leave_one_out_gains

GRID = np.arange(13) * STEP
DIP = 1 - 0.2 * np.exp(-((GRID - GRID[6]) ** 2) / 4)
WOBBLE = np.array([0.3, -0.1, 0.0, 0.2, -0.4])[:, None]


def curve_of(losses, without):
    return Curve(
        seeds=tuple(range(len(losses))),
        log_decay=GRID,
        losses=np.asarray(losses),
        without_decay=None if without is None else np.asarray(without),
    )


@given(st.sampled_from(sorted(POPULATIONS)), st.integers(0, 10**6), st.integers(2, 8))
def test_held_out_gains_are_those_of_the_loops(kind, seed, seeds):
    """Each seed's gain at the others' choice equals a scalar loop's."""
    generator = np.random.default_rng(seed)
    losses, without = draw_curves(POPULATIONS[kind], generator, seeds=seeds, noise=3)
    found = leave_one_out_gains(curve_of(losses, without))
    assert found == pytest.approx(gains_by_loops(losses.tolist(), without.tolist()))


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-20, 20))
def test_neither_units_nor_the_place_of_the_grid_matter(seed, factor, shift):
    """The verdict is the same for losses in other units and for shifted λ."""
    losses, without = draw_curves(
        POPULATIONS["adamw middle"], np.random.default_rng(seed), noise=1.5
    )
    one = judge_whether_decay_matters(curve_of(losses, without))
    moved = Curve(
        seeds=tuple(range(5)),
        log_decay=GRID + shift,
        losses=factor * losses,
        without_decay=factor * without,
    )
    other = judge_whether_decay_matters(moved)
    assert other.matters == one.matters
    assert other.gain.value == pytest.approx(factor * one.gain.value, abs=1e-5 * factor)


def test_a_dip_that_every_seed_shows_matters():
    """However much the levels of the seeds differ, a paired gain of 20 % is seen."""
    verdict = judge_whether_decay_matters(curve_of(DIP + WOBBLE, 1 + WOBBLE[:, 0]))
    assert verdict.matters == "yes"
    assert verdict.gain.value == pytest.approx(0.2, abs=0.002)  # read off the grid
    assert "20" in verdict.why


def test_a_flat_curve_does_not_matter():
    """With no gain above 2 % in reach, decay does not matter."""
    verdict = judge_whether_decay_matters(
        curve_of(np.ones((5, 13)) + WOBBLE, 1 + WOBBLE[:, 0])
    )
    assert verdict.matters == "no"
    assert "less than 2%" in verdict.why


def test_a_rising_curve_does_not_matter():
    """Decay that only hurts, hurts: the best choice is none."""
    rising = 1 + np.exp((GRID - GRID[4]) / 2)
    verdict = judge_whether_decay_matters(curve_of(rising + WOBBLE, 1 + WOBBLE[:, 0]))
    assert verdict.matters == "no"


def test_noise_that_could_hide_a_gain_cannot_tell():
    """A few percent of fresh noise on a flat curve allow no verdict either way."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((5, 14))
    verdict = judge_whether_decay_matters(curve_of(1 + noise[:, 1:], 1 + noise[:, 0]))
    assert verdict.matters == "cannot tell"
    assert "noise hides a gain of up to" in verdict.why


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_get_no_verdict(seeds):
    """Two seeds that agree are no evidence."""
    losses, without = (DIP + WOBBLE)[:seeds], (1 + WOBBLE[:, 0])[:seeds]
    verdict = judge_whether_decay_matters(curve_of(losses, without))
    assert verdict.matters == "cannot tell"
    assert verdict.why.startswith(f"{seeds} of the 3 seeds")
    assert verdict.gain.low is None


def test_without_a_reference_there_is_no_verdict():
    """Where λ = 0 diverged nobody knows what decay buys."""
    verdict = judge_whether_decay_matters(curve_of(DIP + WOBBLE, None))
    assert verdict.matters == "cannot tell"
    assert verdict.gain is None
    assert "without decay" in verdict.why


def test_seeds_that_agree_to_the_last_bit_still_matter():
    """Zero spread is no division by zero: five equal dips matter."""
    verdict = judge_whether_decay_matters(curve_of([DIP] * 5, np.ones(5)))
    assert verdict.matters == "yes"
    assert math.isfinite(verdict.gain.value)
