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
    held_out_gains,
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


LEVELS = 1 + WOBBLE[:, 0]  # losses without decay
NOISE = 0.1 * np.random.default_rng(0).standard_normal((5, 14))
RISING = 1 + np.exp((GRID - GRID[4]) / 2)
# What is seen: losses, those without decay, the verdict.
VERDICTS = {
    "a dip, however much levels differ": (DIP + WOBBLE, LEVELS, "yes"),
    "seeds that agree to the last bit": ([DIP] * 5, np.ones(5), "yes"),
    "five of five train only with decay": ([DIP] * 5, np.full(5, np.inf), "yes"),
    "four of four do": ([DIP] * 4, np.full(4, np.inf), "cannot tell"),
    "no gain above 2 % in reach": (np.ones((5, 13)) + WOBBLE, LEVELS, "no"),
    "decay that only hurts": (RISING + WOBBLE, LEVELS, "no"),
    "fresh noise": (1 + NOISE[:, 1:], 1 + NOISE[:, 0], "cannot tell"),
    "one seed": ((DIP + WOBBLE)[:1], LEVELS[:1], "cannot tell"),
    "two that agree": ((DIP + WOBBLE)[:2], LEVELS[:2], "cannot tell"),
    "no reference": (DIP + WOBBLE, None, "cannot tell"),
}


def test_each_kind_of_curve_has_its_verdict():
    """A paired gain matters; noise, two seeds and no reference tell nothing."""
    judged = {
        name: judge_whether_decay_matters(curve_of(losses, without))
        for name, (losses, without, _) in VERDICTS.items()
    }
    found = {name: verdict.matters for name, verdict in judged.items()}
    assert found == {name: matters for name, (*_, matters) in VERDICTS.items()}
    dip, *_ = gains = [verdict.gain for verdict in judged.values()]
    assert dip.value == pytest.approx(0.2, abs=0.002)  # read off the grid
    assert math.isfinite(gains[1].value)
    assert judged["two that agree"].gain.low is judged["no reference"].gain is None
    needed = judged["fresh noise"].seeds_needed
    assert needed is None or needed > 5


def test_a_held_out_gain_needs_a_reference_and_may_lack_trainings():
    """Of three seeds one has no reference; one lacks the λ that the others choose."""
    logs = np.array([[3.0, 2, 1, 2, 3], [3.0, 2, 1, 2, 3], [3.1, 2, 1, 2, 3]])
    present = np.ones((3, 5), bool)
    reference = np.array([3.0, np.nan, 3.0])
    gains = held_out_gains(logs, present, reference)
    assert gains == pytest.approx([1.5, 1.5])
    present[0, 2] = False  # it is judged beside, where its own neighbors are two
    fewer = held_out_gains(logs, present, reference)
    # Of 2 and its neighbor 3, with weights .5 and .25.
    assert fewer == pytest.approx([3 - (2 * 0.5 + 3 * 0.25) / 0.75, 1.5])
