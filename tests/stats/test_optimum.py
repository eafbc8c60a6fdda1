"""The best λ on a curve: exact cases, laws, edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import cubic_minimum
from stats.simulated_curves import POPULATIONS, STEP, draw_curves

from dwindle.stats.curve import Curve, read_losses
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


def curve_of(losses, log_decay=GRID):
    return Curve(
        seeds=tuple(range(len(losses))),
        log_decay=np.asarray(log_decay),
        losses=np.asarray(losses),
        without_decay=None,
    )


def simulated(kind, seed, seeds=5):
    generator = np.random.default_rng(seed)
    losses, _ = draw_curves(POPULATIONS[kind], generator, seeds=seeds)
    return losses


@given(KIND, SEED)
def test_the_cubic_is_the_one_that_loops_find(kind, seed):
    """The minimum equals that of a cubic fitted and searched by scalar loops."""
    mean = simulated(kind, seed).mean(axis=0)
    inner = mean.copy()
    inner[[0, -1]] = mean.max() + 1  # the oracle has no rule for edges
    found = float(locate_minima(GRID, inner[None])[0])
    low = GRID[inner.argmin()]
    by_hand = None
    try:
        by_hand = cubic_minimum(GRID.tolist(), inner.tolist())
    except ValueError:  # no bowl inside of the window
        assert found in (low, *_window_ends(int(inner.argmin())))
    else:
        # Ternary search stops at the square root of the float's precision.
        assert found == pytest.approx(by_hand, abs=1e-6)


def _window_ends(center):
    start = min(max(0, center - 2), 8)
    return GRID[start], GRID[start + 4]


@given(st.floats(-0.3, 0.3), st.floats(0.1, 5), st.floats(-0.2, 0.2))
def test_an_exact_cubic_is_found_exactly(place, curvature, skew):
    """On a cubic the interpolated minimum is its minimum, between the grid points."""
    u = GRID - GRID[6] - place
    losses = curvature * u**2 * (1 + skew * u / 3)
    losses = np.where(np.abs(GRID - GRID[6]) < 2.5 * STEP, losses, 1e3)
    assert locate_minima(GRID, losses[None])[0] == pytest.approx(
        GRID[6] + place, abs=1e-7
    )


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


@given(KIND, SEED)
def test_the_interval_holds_its_value_and_the_floor(kind, seed):
    """The limits lie at least the interpolation floor away from the optimum."""
    optimum = measure_optimum(curve_of(simulated(kind, seed)))
    assert optimum.low <= optimum.log_decay - INTERPOLATION_FLOOR + 1e-12
    assert optimum.high >= optimum.log_decay + INTERPOLATION_FLOOR - 1e-12


def test_without_noise_only_the_floor_is_left():
    """Five equal seeds give x̂ ± 0.12 and not a width of zero."""
    bowl = np.exp(0.1 * (GRID - GRID[6] - 0.2) ** 2)
    optimum = measure_optimum(curve_of([bowl] * 5))
    assert optimum.log_decay - optimum.low == pytest.approx(0.12, abs=1e-6)
    assert optimum.high - optimum.log_decay == pytest.approx(0.12, abs=1e-6)


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_draws_of_parabolas_are_student_t_around_the_mean_of_their_minima(seeds):
    """Equal parabolas: the interval is that of a mean of n minima, known exactly."""
    minima = GRID[6] + 0.2 * np.random.default_rng(seeds).standard_normal(seeds)
    curve = curve_of([np.exp((GRID - at) ** 2 / 9) for at in minima])
    draws = draw_optima(curve, draws=40000)
    half = half_width(minima)
    low, high = np.quantile(draws - minima.mean(), (0.05, 0.95))
    # 40000 draws know a quantile of t with 2 degrees of freedom to about 2 %.
    assert (low, high) == (
        pytest.approx(-half, rel=0.05),
        pytest.approx(half, rel=0.05),
    )


def test_findings_repeat_exactly():
    """The same curve and generator seed give the same limits, another seed others."""
    curve = curve_of(simulated("sgd wide", 1))
    one, again = measure_optimum(curve), measure_optimum(curve)
    assert (one.low, one.high) == (again.low, again.high)
    assert measure_optimum(curve, generator_seed=5).low != one.low


@pytest.mark.parametrize(
    ("slope", "edge"), [(1.0, "low"), (-1.0, "high")], ids=["rising", "falling"]
)
def test_the_lowest_loss_at_an_edge_is_only_a_bound(slope, edge):
    """A curve that falls to its end says on which side its optimum lies."""
    losses = [5 + slope * GRID / 10 + 0.01 * s for s in range(5)]
    assert measure_optimum(curve_of(losses)).at_edge == edge


def test_a_limit_beyond_the_grid_is_open():
    """Seeds whose minima scatter beyond the last λ leave the upper limit open."""
    minima = GRID[11] + STEP * np.array([-1.5, -0.6, 0.0, 0.6, 1.5])
    optimum = measure_optimum(curve_of([1 + (GRID - at) ** 2 for at in minima]))
    assert optimum.at_edge is None
    assert optimum.high == math.inf
    assert GRID[0] < optimum.low < GRID[11]


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_a_place_and_no_interval(seeds):
    """One or two seeds give the point value only."""
    optimum = measure_optimum(curve_of(simulated("sgd wide", 0, seeds)))
    assert optimum.log_decay > 0
    assert (optimum.low, optimum.high) == (None, None)


@pytest.mark.parametrize("points", [1, 2, 3, 4])
def test_grids_too_short_for_a_cubic_still_have_a_lowest_point(points):
    """Fewer than five points bracket an optimum, and the interval is that bracket."""
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


def test_gaps_beside_the_fine_middle_widen_the_floor():
    """A cubic over gaps of three steps is not trusted: a parabola of the three is."""
    grid = GRID[[0, 2, 5, 6, 7, 9, 12]]
    bowl = np.exp(0.1 * (grid - GRID[6] - 0.2) ** 2)
    optimum = measure_optimum(curve_of([bowl] * 5, grid))
    assert optimum.log_decay == pytest.approx(GRID[6] + 0.2, abs=1e-9)
    half = INTERPOLATION_FLOOR * 3
    ends = [optimum.log_decay - optimum.low, optimum.high - optimum.log_decay]
    assert ends == pytest.approx([half, half], abs=1e-6)


def test_a_side_that_explodes_does_not_move_the_optimum():
    """A tenfold loss two points left of the minimum bends no parabola of three points.

    Fitted to losses instead of their logarithms it lay 0.4 too high in ln λ.
    """
    bowl = 0.1 * np.exp(0.05 * (GRID - GRID[7]) ** 2)
    wild = bowl.copy()
    wild[:6] = [0.9, 0.8, 1.1, 0.9, 1.0, 0.7]
    seeds = [factor * wild for factor in (0.95, 1.0, 1.02, 1.05)]
    optimum = measure_optimum(curve_of(seeds))
    assert abs(optimum.log_decay - GRID[7]) < STEP / 2
    read = read_losses(curve_of(seeds), optimum.log_decay).values.mean()
    assert read <= min(np.mean(seeds, axis=0)) * 1.01


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


def test_a_reading_invents_no_loss_between_far_points():
    """Decays a factor 31.6 apart before a wall: no reading is below all trainings."""
    x = np.log([1e-4, 3.2e-3, 0.1, 3.16, 100.0, 3162.0])
    losses = np.array([[2.17, 2.165, 2.160, 2.345, 2.303, 2.303]])
    curve = curve_of(losses, x)
    read = [read_losses(curve, place).values[0] for place in np.linspace(x[0], x[-1])]
    assert min(read) > 2.1
    assert max(read) < 2.4


def test_a_fine_grid_gets_a_window_of_the_same_width():
    """At a sixth of a decade nine points enter the fit, so a bump is smoothed over."""
    grid = np.arange(25) * STEP / 2
    bowl = (grid - grid[12]) ** 2
    bumped = bowl.copy()
    bumped[13] -= 0.3  # now the lowest point of all, against its neighbors' vote
    place = locate_minima(grid, bumped[None])[0]
    assert abs(place - grid[12]) < 0.5 * abs(grid[13] - grid[12])


@pytest.mark.parametrize(("center", "first"), [(12, 8), (1, 0), (23, 16)])
def test_the_window_of_a_fine_grid_is_as_wide_at_its_ends(center, first):
    """Nine points at a sixth of a decade decide the place, moved inward at an end."""
    grid = np.arange(25) * STEP / 2
    bowl = (grid - grid[center] - 0.05) ** 2
    raised = bowl + 1e-4 * np.eye(25)
    moved = np.abs(locate_minima(grid, raised) - locate_minima(grid, bowl[None]))
    # What is outside of the fit moves it by rounding only.
    assert np.flatnonzero(moved > 1e-9).tolist() == list(range(first, first + 9))
