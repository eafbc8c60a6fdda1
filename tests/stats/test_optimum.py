"""A curve from raw losses, what is read between its λ, and its best λ: cases, laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import cubic_minimum
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve, curve_from_losses, read_log_losses, read_losses
from dwindle.stats.optimum import (
    INTERPOLATION_FLOOR,
    draw_optima,
    locate_minima,
    measure_optimum,
)
from dwindle.stats.student import half_width

GRID = np.arange(13) * STEP
SEED = st.integers(0, 10**6)
KIND = st.sampled_from(sorted(POPULATIONS))
DECAY = np.array([0.0, 0.01, 0.1, 1.0])
LOSSES = np.array([[4.0, 3.0, 2.0, 5.0], [4.5, 3.5, 2.5, 5.5]])


def curve_of(losses, log_decay=GRID):
    return Curve(
        seeds=tuple(range(len(losses))),
        log_decay=np.asarray(log_decay),
        losses=np.asarray(losses),
        without_decay=None,
    )


def simulated(kind, seed, seeds=5):
    return draw_curves(POPULATIONS[kind], np.random.default_rng(seed), seeds=seeds)[0]


def changed(place, loss, losses=LOSSES):
    """Losses of which those of a place, (seed, λ), are another one."""
    found = np.array(losses)
    found[place] = loss
    return found


def test_a_curve_keeps_candidates_apart_from_what_is_none():
    """λ = 0 is the reference; a λ that lost a seed is named; all else stays."""
    curve = curve_from_losses(DECAY, LOSSES, seeds=(7, 3))
    assert curve.log_decay == pytest.approx(np.log(DECAY[1:]))
    assert curve.losses.tolist() == LOSSES[:, 1:].tolist()
    assert curve.without_decay.tolist() == [4.0, 4.5]
    part = curve.only((3,))
    assert (part.seeds, part.has_spread) == ((3,), False)
    assert part.losses.tolist() == [[3.5, 2.5, 5.5]]
    assert part.without_decay.tolist() == [4.5]
    for lost in (np.nan, np.inf):
        fewer = curve_from_losses(DECAY, changed((0, 2), lost))
        assert (fewer.dropped, fewer.losses.shape) == ((0.1,), (2, 2))
    assert curve_from_losses(DECAY, np.full((2, 4), np.nan)) is None
    assert curve_from_losses(DECAY, np.empty((0, 4))) is None
    # A seed without a loss at λ = 0 keeps its curve, and is not compared.
    alone = curve_from_losses(DECAY, changed((0, 0), np.nan))
    assert (alone.compared, alone.losses.shape) == ((1,), (2, 3))
    diverged = curve_from_losses(DECAY, changed(np.s_[:, 0], np.inf))
    assert np.isinf(diverged.without_decay).all()
    missing = curve_from_losses(DECAY, changed(np.s_[:, 0], np.nan))
    assert missing.without_decay is None


def test_networks_at_chance_are_replaced_where_it_is_not_their_decay():
    """By what seed and λ predict; where half of the seeds are at chance, they count."""
    losses = np.outer([1.0, 1.3, 0.8], [0.5, 0.4, 0.2, 0.9])
    dead = (changed(at, 2.31, losses) for at in ((1, 2), (2, 0)))
    one, none = (
        curve_from_losses(DECAY, each, untrained=each == 2.31) for each in dead
    )
    np.testing.assert_allclose(one.losses, losses[:, 1:], rtol=1e-12)
    assert (one.left_out, one.dropped) == (1, ())
    # Without decay it is no loss to gain from.
    assert (none.compared, none.left_out) == ((0, 1), 0)
    assert none.without_decay[2] == np.inf
    half = changed(np.s_[:2, 3], 2.31, np.tile(LOSSES[:1], (4, 1)))
    ruined = curve_from_losses(DECAY, half, untrained=half == 2.31)
    assert ruined.losses[:, 2].tolist() == [2.31, 2.31, 5.0, 5.0]
    assert ruined.left_out == 0
    assert curve_from_losses(DECAY, half, untrained=np.ones((4, 4), bool)) is None


def test_a_reading_dips_no_deeper_than_a_parabola_between_two_points():
    """Where the spline swings far below both λ, curvature · gap² / 8 is the most."""
    # At 3 the slope rises by 0.3 over 1.5: a curvature of 0.2, over a gap of 2.
    logs = np.array([[10.0, 0.0, 0.0, 0.3, 10.0]])
    curve = curve_of(np.exp(logs), [0.0, 1.0, 3.0, 4.0, 5.0])
    read = [read_log_losses(curve, np.array([at]))[0] for at in np.linspace(1, 3, 50)]
    assert min(read) == pytest.approx(-0.2 * 2**2 / 8)
    assert max(read) == 0


@given(KIND, SEED, st.integers(0, 12))
def test_a_reading_is_the_loss_where_it_was_trained(kind, seed, index):
    """On the grid what was measured; beyond it that of its end, with a flag."""
    curve = curve_of(simulated(kind, seed))
    places = {float(GRID[index]): index, -5.0: 0, 40.0: 12}
    for place, at in places.items():
        reading = read_losses(curve, place)
        assert reading.values == pytest.approx(curve.losses[:, at])
        assert reading.beyond == (place in (-5.0, 40.0))


def test_between_grid_points_the_log_loss_is_interpolated():
    """Where the log loss is a cubic, the reading is exact, the steep wall included."""
    curve = curve_of(np.exp(0.002 * (GRID - 3) ** 3)[None])
    wall = GRID[-1] - 0.4
    expected = math.exp(0.002 * (wall - 3) ** 3)
    assert read_losses(curve, wall).values[0] == pytest.approx(expected, rel=1e-12)


@given(KIND, SEED)
def test_the_cubic_is_the_one_that_loops_find(kind, seed):
    """The minimum equals that of a cubic fitted and searched by scalar loops."""
    mean = simulated(kind, seed).mean(axis=0)
    inner = mean.copy()
    inner[[0, -1]] = mean.max() + 1  # the oracle has no rule for edges
    found = float(locate_minima(GRID, inner[None])[0])
    center = int(inner.argmin())
    start = min(max(0, center - 2), 8)
    try:
        by_hand = cubic_minimum(GRID.tolist(), inner.tolist())
    except ValueError:  # no bowl inside of the window
        assert found in GRID[[center, start, start + 4]]
    else:
        # Ternary search stops at the square root of the float's precision.
        assert found == pytest.approx(by_hand, abs=1e-6)


@given(KIND, SEED, st.floats(0.01, 100), st.floats(-20, 20), st.floats(-0.5, 5))
def test_neither_units_nor_what_all_decays_share_matter(
    kind, seed, factor, shift, level
):
    """Losses in other units, λ times a factor, a seed that loses more at every λ."""
    losses = simulated(kind, seed)
    one = measure_optimum(curve_of(losses))
    lifted = factor * losses * np.exp(level * np.arange(5)[:, None])
    other = measure_optimum(curve_of(lifted, GRID + shift))
    found = other.log_decay, other.low, other.high
    expected = [at + shift for at in (one.log_decay, one.low, one.high)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_without_noise_only_the_floor_is_left():
    """Five equal seeds give x̂ ± 0.12; gaps of three steps give three times as much."""
    bowl = np.exp(0.1 * (GRID - GRID[6] - 0.2) ** 2)
    fine = [0, 2, 5, 6, 7, 9, 12]
    for kept, steps in (([*range(13)], 1), (fine, 3)):
        optimum = measure_optimum(curve_of([bowl[kept]] * 5, GRID[kept]))
        # A cubic over the gaps is not trusted: a parabola of the three is.
        assert optimum.log_decay == pytest.approx(GRID[6] + 0.2, abs=1e-7)
        ends = optimum.log_decay - optimum.low, optimum.high - optimum.log_decay
        floor = steps * INTERPOLATION_FLOOR
        assert ends == pytest.approx((floor, floor), abs=1e-6)


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_draws_of_parabolas_are_student_t_around_the_mean_of_their_minima(seeds):
    """Equal parabolas: the interval is that of a mean of n minima, known exactly."""
    minima = GRID[6] + 0.2 * np.random.default_rng(seeds).standard_normal(seeds)
    curve = curve_of([np.exp((GRID - at) ** 2 / 9) for at in minima])
    draws = draw_optima(curve, draws=40000)
    half = half_width(minima)
    found = np.quantile(draws - minima.mean(), (0.05, 0.95))
    # 40000 draws give a quantile of t with 2 degrees of freedom to about 2 %.
    assert found == pytest.approx([-half, half], rel=0.05)
    assert (draw_optima(curve, draws=40000) == draws).all()
    assert (draw_optima(curve, draws=40000, generator_seed=5) != draws).any()


def test_what_lies_beyond_the_grid_is_a_bound_or_open():
    """A curve that falls to an end has its best λ there or beyond; so may a limit."""
    for slope, edge in ((1.0, "low"), (-1.0, "high")):
        falling = curve_of([5 + slope * GRID / 10 + 0.01 * s for s in range(5)])
        assert measure_optimum(falling).at_edge == edge
    minima = GRID[11] + STEP * np.array([-1.5, -0.6, 0.0, 0.6, 1.5])
    optimum = measure_optimum(curve_of([1 + (GRID - at) ** 2 for at in minima]))
    assert (optimum.at_edge, optimum.high) == (None, math.inf)
    assert GRID[0] < optimum.low < GRID[11]


def test_few_seeds_have_no_interval_and_few_points_their_bracket():
    """One or two seeds give a place; fewer than five points bracket an optimum."""
    for seeds in (1, 2):
        optimum = measure_optimum(curve_of(simulated("sgd wide", 0, seeds)))
        assert optimum.log_decay > 0
        assert (optimum.low, optimum.high) == (None, None)
    for points in (1, 2, 3, 4):
        grid = GRID[:points]
        bowl = np.exp((grid - grid[points // 2]) ** 2)
        optimum = measure_optimum(curve_of([bowl, 1.1 * bowl, bowl], grid))
        assert optimum.log_decay == pytest.approx(grid[points // 2], abs=1e-9)
        assert optimum.coarse
        assert optimum.low <= max(grid[0], optimum.log_decay - STEP)
        assert optimum.high >= min(grid[-1], optimum.log_decay + STEP)


@pytest.mark.parametrize("skip", [2, 3, 4, 6])
def test_a_coarse_grid_never_has_a_tight_interval(skip):
    """Wider than a third of a decade: the limits reach the λ on both sides, and hold.

    With the same losses on the whole grid the interval is three times narrower.
    """
    fine = curve_of(simulated("sgd wide", 4, 8))
    coarse = curve_of(fine.losses[:, ::skip], GRID[::skip])
    one, other = measure_optimum(fine), measure_optimum(coarse)
    center = int(coarse.log_mean.argmin())
    assert other.coarse
    assert other.low <= GRID[::skip][max(center - 1, 0)] + STEP * skip / 2
    assert other.high - other.log_decay >= skip * STEP * 0.99
    assert other.log_decay - other.low >= skip * STEP * 0.99
    assert other.low <= one.log_decay <= other.high


@given(KIND, SEED, st.integers(1, 4))
def test_the_loss_at_the_optimum_is_one_that_its_neighbors_allow(kind, seed, skip):
    """Neither below what a parabola through the neighbors dips, nor above them."""
    losses = simulated(kind, seed)[:, ::skip]
    curve = curve_of(losses, GRID[::skip])
    place = measure_optimum(curve).log_decay
    right = int(np.clip(np.searchsorted(curve.log_decay, place), 1, len(losses[0]) - 1))
    beside = losses[:, right - 1 : right + 1]
    read = read_losses(curve, place).values
    assert (read <= beside.max(axis=1) * (1 + 1e-9)).all()
    bends = np.abs(np.diff(np.log(losses), n=2, axis=1)).max(axis=1)
    assert (read >= beside.min(axis=1) * np.exp(-bends / 8) * (1 - 1e-9)).all()


@pytest.mark.parametrize(("center", "first"), [(12, 8), (1, 0), (23, 16)])
def test_the_window_of_a_fine_grid_is_as_wide_at_its_ends(center, first):
    """Nine points at a sixth of a decade decide the place, moved inward at an end."""
    grid = np.arange(25) * STEP / 2
    bowl = (grid - grid[center] - 0.05) ** 2
    raised = bowl + 1e-4 * np.eye(25)
    moved = np.abs(locate_minima(grid, raised) - locate_minima(grid, bowl[None]))
    # What is outside of the fit moves it by rounding only.
    assert np.flatnonzero(moved > 1e-9).tolist() == list(range(first, first + 9))
