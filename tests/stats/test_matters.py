"""Does decay matter: the three verdicts, and the gain behind them."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import leave_one_out_gains as gains_by_loops
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve
from dwindle.stats.matters import (
    judge_whether_decay_matters,
    leave_one_out_gains,
    seeds_needed,
)
from dwindle.stats.student import t_quantile

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


# SGD, batch size 8, 8 seeds: losses without decay and at the λ that the others choose.
# The sixth seed is a dead network without decay (ln 10 = 2.303).
DEAD_WITHOUT = np.array([0.252, 0.319, 0.333, 0.270, 0.354, 2.309, 0.257, 0.236])
GAINS = np.array([0.147, 0.188, 0.231, 0.130, 0.243, 2.220, 0.144, 0.137])


def batch_of_eight(without):
    chosen = (DEAD_WITHOUT - GAINS)[:, None]
    shape = np.linspace(0.0, 1.0, 7) ** 2
    left = np.log(DEAD_WITHOUT)[:, None] * shape + np.log(chosen) * (1 - shape)
    losses = np.exp(np.concatenate([left[:, ::-1], left[:, 1:]], axis=1))
    return Curve(
        seeds=tuple(range(8)), log_decay=GRID, losses=losses, without_decay=without
    )


def test_one_collapsed_seed_does_not_hide_that_eight_of_eight_gain():
    """Between losses t is 1.68 and below 1.90; between log losses 4 and more."""
    curve = batch_of_eight(DEAD_WITHOUT)
    gains = leave_one_out_gains(curve)
    assert (gains > 0.45).all()
    assert gains.mean() / (gains.std(ddof=1) / math.sqrt(8)) > 4
    assert judge_whether_decay_matters(curve).matters == "yes"


def test_a_seed_at_chance_without_decay_is_not_averaged():
    """Not trained like a diverged one: seven gains decide, and the share stays one."""
    without = np.where(DEAD_WITHOUT > 2, np.inf, DEAD_WITHOUT)
    verdict = judge_whether_decay_matters(batch_of_eight(without))
    assert verdict.matters == "yes"
    trained = np.isfinite(without)
    assert verdict.gain.value == pytest.approx(GAINS[trained].mean(), abs=0.01)


@pytest.mark.parametrize(("failed", "matters"), [(5, "yes"), (4, "cannot tell")])
def test_seeds_that_only_train_with_decay_are_gains_by_sign(failed, matters):
    """Five of five are a sign test at 3 %, four of four are not."""
    curve = curve_of([DIP] * failed, np.full(failed, np.inf))
    assert judge_whether_decay_matters(curve).matters == matters


@given(st.integers(0, 10**6), st.integers(3, 8))
def test_no_gain_above_all_of_the_loss_is_ever_printed(seed, seeds):
    """Shares of the loss are below 100 %, however wild one of the losses is."""
    generator = np.random.default_rng(seed)
    losses = np.exp(generator.standard_normal((seeds, 13)))
    without = np.exp(4 * generator.standard_normal(seeds))
    why = judge_whether_decay_matters(curve_of(losses, without)).why
    shares = [float(share) for share in re.findall(r"(-?[\d.]+)%", why)]
    assert all(share <= 100 for share in shares)


def test_what_would_tell_is_a_number_of_seeds():
    """Twice the t quantile below the mean: with so many seeds the noise is overcome."""
    gains = np.array([0.1, -0.05, 0.2, 0.0, 0.1])
    needed = seeds_needed(gains)
    error = gains.std(ddof=1) / math.sqrt(needed)
    assert gains.mean() >= 2 * t_quantile(0.95, degrees_of_freedom=needed - 1) * error
    before = needed - 1
    error = gains.std(ddof=1) / math.sqrt(before)
    assert gains.mean() < 2 * t_quantile(0.95, degrees_of_freedom=before - 1) * error
    assert seeds_needed(-gains) is None
    assert seeds_needed(np.full(5, 0.1)) is None  # no noise that seeds would shrink


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
    assert verdict.seeds_needed is None or verdict.seeds_needed > 5


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
