"""Regret: exact cases, laws, several cells, and what lies beyond the grid."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import weighted_regret
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve, read_losses
from dwindle.stats.optimum import minima_of
from dwindle.stats.regret import Judged, Regret, measure_gain, measure_regret
from dwindle.stats.student import t_quantile

GRID = np.arange(13) * STEP
KIND = st.sampled_from(sorted(POPULATIONS))
SEED = st.integers(0, 10**6)


def simulated(kind="sgd wide", seed=0, seeds=5, names=None):
    generator = np.random.default_rng(seed)
    losses, without = draw_curves(POPULATIONS[kind], generator, seeds=seeds)
    return Curve(
        seeds=tuple(names or range(seeds)),
        log_decay=GRID,
        losses=losses,
        without_decay=without,
    )


def at(curve, log_decay):
    return Judged(curve=curve, values=read_losses(curve, log_decay).values)


def by_loops(curve, values):
    """The two per-seed lists, with the package's own minima and readings."""
    plug_in, left_out = [], []
    logs = np.log(curve.losses)
    best = minima_of(curve, logs.mean(axis=0)[None])[0]
    for s in range(curve.n):
        others = np.delete(logs, s, axis=0).mean(axis=0)
        chosen = minima_of(curve, others[None])[0]
        plug_in.append(values[s] - read_losses(curve, best).values[s])
        left_out.append(values[s] - read_losses(curve, chosen).values[s])
    return plug_in, left_out


@given(KIND, SEED, st.floats(0, 12 * STEP))
def test_regret_is_the_weighted_pair_of_the_loops(kind, seed, log_decay):
    """Value and interval follow from the two per-seed lists by the formulas."""
    curve = simulated(kind, seed)
    judged = at(curve, log_decay)
    plug_in, left_out = by_loops(curve, judged.values)
    found = measure_regret([judged])
    value = weighted_regret(plug_in, left_out)
    spread = max(np.std(plug_in, ddof=1), np.std(left_out, ddof=1)) / math.sqrt(5)
    half = t_quantile(0.95, degrees_of_freedom=4) * spread
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.low == pytest.approx(max(0, value - half), abs=1e-12)
    assert found.high == pytest.approx(max(0, value + half), abs=1e-12)


@given(KIND, SEED, st.floats(0, 12 * STEP), st.floats(0.01, 100), st.floats(-9, 9))
def test_regret_scales_with_the_loss_and_ignores_the_unit_of_decay(
    kind, seed, log_decay, factor, shift
):
    """Regret has the unit of the loss, and λ may be counted in any unit."""
    curve = simulated(kind, seed)
    moved = Curve(
        seeds=curve.seeds,
        log_decay=GRID + shift,
        losses=factor * curve.losses,
        without_decay=None,
    )
    one = measure_regret([at(curve, log_decay)])
    other = measure_regret([at(moved, log_decay + shift)])
    assert other.value == pytest.approx(factor * one.value, abs=1e-5 * factor)


@given(KIND, SEED, st.integers(0, 12))
def test_on_the_grid_the_reading_is_the_loss(kind, seed, index):
    """At a λ that was trained, the spline gives what was measured."""
    curve = simulated(kind, seed)
    reading = read_losses(curve, float(GRID[index]))
    assert reading.values == pytest.approx(curve.losses[:, index])
    assert not reading.beyond


def test_between_grid_points_the_log_loss_is_interpolated():
    """Where the log loss is a cubic, the reading is exact, the steep wall included."""
    log_loss = 0.02 * (GRID - 3) ** 3 / 10
    curve = Curve(
        seeds=(0,), log_decay=GRID, losses=np.exp(log_loss)[None], without_decay=None
    )
    wall = GRID[-1] - 0.4
    expected = math.exp(0.02 * (wall - 3) ** 3 / 10)
    assert read_losses(curve, wall).values[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("log_decay", "index"), [(-5.0, 0), (40.0, 12)])
def test_beyond_the_grid_the_edge_is_read_and_said_so(log_decay, index):
    """Nobody measured there: the value at the edge, with a flag."""
    curve = simulated()
    reading = read_losses(curve, log_decay)
    assert reading.beyond
    assert reading.values == pytest.approx(curve.losses[:, index])


def test_averaging_over_cells_happens_inside_of_a_seed():
    """Two cells whose noise cancels within each seed leave no spread at all."""
    dip = 2 + 0.1 * (GRID - GRID[6]) ** 2
    curve = Curve(
        seeds=(0, 1, 2), log_decay=GRID, losses=np.tile(dip, (3, 1)), without_decay=None
    )
    noise = np.array([0.2, -0.1, 0.4])
    pooled = measure_regret(
        [
            Judged(curve=curve, values=2.5 + noise),
            Judged(curve=curve, values=2.7 - noise),
        ]
    )
    assert pooled.value == pytest.approx(0.6, abs=1e-9)
    assert pooled.high - pooled.low == pytest.approx(0, abs=1e-9)


def test_cells_are_pooled_by_the_names_of_their_seeds():
    """Only seeds that every cell has count, in whatever order the cells hold them."""
    first = simulated(seed=1, names=(0, 1, 2, 3, 4))
    second = simulated(seed=2, names=(4, 2, 0, 9, 8))
    shared = (0, 2, 4)
    pooled = measure_regret([at(first, 5.0), at(second, 5.0)])
    again = measure_regret([at(c.only(shared), 5.0) for c in (first, second)])
    assert pooled == again


def test_each_seed_has_its_own_regret_and_their_mean_is_the_value():
    """Of two cells a seed's regret is its mean over both."""
    first, second = simulated(seed=1), simulated(seed=2)
    judged = [at(first, 5.0), at(second, 5.0)]
    both, one, other = (measure_regret(j) for j in (judged, judged[:1], judged[1:]))
    assert tuple(both.by_seed) == first.seeds
    assert both.value == pytest.approx(np.mean(list(both.by_seed.values())))
    means = {s: (one.by_seed[s] + other.by_seed[s]) / 2 for s in first.seeds}
    assert both.by_seed == pytest.approx(means)


def test_an_error_of_another_kind_adds_in_quadrature():
    """3 and 4 are 5, and no regret is below zero."""
    plain = Regret(value=6.0, low=3.0, high=9.0)
    assert plain.widened(4.0, 4.0) == replace(plain, low=1.0, high=11.0)
    assert plain.widened(40.0, 0.0).low == 0.0
    assert Regret(value=1.0, low=None, high=None).widened(1.0, 1.0).low is None


def test_too_few_seeds_have_no_interval_and_no_common_one_no_regret():
    """A point value only; None, not an average over nothing."""
    for seeds in (1, 2):
        found = measure_regret([at(simulated(seeds=seeds), 3.0)])
        assert found.value > 0
        assert (found.low, found.high) == (None, None)
    first, second = simulated(names=range(5)), simulated(names=range(5, 10))
    assert measure_regret([at(first, 5.0), at(second, 5.0)]) is None


def test_the_gain_is_the_regret_of_no_decay():
    """What training without decay loses; None where λ = 0 diverged in one cell."""
    curve = simulated()
    no_decay = Judged(curve=curve, values=curve.without_decay)
    assert measure_gain([curve]) == measure_regret([no_decay])
    assert measure_gain([curve, replace(curve, without_decay=None)]) is None


def test_a_gain_without_noise_is_the_depth_of_the_dip():
    """A dip from 2.0 to 1.5 buys one half."""
    dip = 2 - 0.5 * np.exp(-((GRID - GRID[6]) ** 2) / 20)
    curve = Curve(
        seeds=(0, 1, 2),
        log_decay=GRID,
        losses=np.tile(dip, (3, 1)),
        without_decay=np.full(3, 2.0),
    )
    # The cubic finds the bottom of a symmetric dip exactly.
    assert measure_gain([curve]).value == pytest.approx(0.5, abs=1e-9)
