"""Exponents from optima: the line, and the wider of two intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import least_squares_slope
from plane import fit_plane

from dwindle.stats.optimum import Optimum
from dwindle.stats.slope import fit_slope
from dwindle.stats.student import t_quantile

PLACES = st.lists(st.floats(-10, 10), min_size=3, max_size=6)


def optima(places, spread=0.0, seed=1):
    generator = np.random.default_rng(seed)
    return [
        Optimum(
            log_decay=place,
            low=place,
            high=place,
            at_edge=None,
            draws=place + spread * generator.standard_normal(300),
        )
        for place in places
    ]


@given(PLACES)
def test_the_line_is_that_of_least_squares(places):
    """The exponent is the least-squares slope of a scalar loop."""
    x = [math.log(2) * j for j in range(len(places))]
    slope = fit_slope(x, optima(places))
    by_hand, _ = least_squares_slope(x, places)
    assert slope.exponent == pytest.approx(by_hand, abs=1e-9)


@given(PLACES, st.floats(-5, 5), st.floats(-5, 5))
def test_units_of_scale_and_decay_do_not_matter(places, shift_scale, shift_decay):
    """Counting in other units shifts the logarithms and leaves the slope."""
    x = [float(j) for j in range(len(places))]
    one = fit_slope(x, optima(places, 0.1))
    moved = [place + shift_decay for place in places]
    other = fit_slope([a + shift_scale for a in x], optima(moved, 0.1))
    assert (other.exponent, other.low, other.high) == pytest.approx(
        (one.exponent, one.low, one.high), abs=1e-6
    )


def test_scatter_around_the_law_widens_the_interval():
    """Cells that the seeds pin down, but no line fits, get the interval of the line."""
    x, places = [0.0, 1.0, 2.0, 3.0], [0.0, -2.0, -1.0, -3.0]
    slope = fit_slope(x, optima(places, spread=0.01))
    _, error = least_squares_slope(x, places)
    half = t_quantile(0.95, degrees_of_freedom=2) * error
    assert slope.high - slope.exponent == pytest.approx(half)
    assert slope.exponent - slope.low == pytest.approx(half)
    assert slope.decided_by != "seeds"


def test_noise_of_the_seeds_widens_the_interval():
    """Cells that happen to lie on a line, but could lie elsewhere, get the seeds'."""
    slope = fit_slope([0.0, 1.0, 2.0], optima([0.0, -1.0, -2.0], spread=1.0))
    # sd of Σ c·draw is √(½) here; 1.645 of them, within what 300 draws can tell.
    expected = 1.645 * math.sqrt(0.5)
    assert slope.high - slope.exponent == pytest.approx(expected, rel=0.2)
    assert slope.decided_by == "seeds"


def test_each_side_is_the_wider_one():
    """An interval may be the seeds' on one side and the scatter's on the other."""
    skewed = optima([0.0, -1.1, -2.0])
    left = Optimum(
        log_decay=-2.0,
        low=None,
        high=None,
        at_edge=None,
        draws=-2.0 - np.abs(np.random.default_rng(0).normal(0, 3, 300)),
    )
    slope = fit_slope([0.0, 1.0, 2.0], [*skewed[:2], left])
    above = "scatter of the cells around a power law above"
    assert slope.decided_by == f"seeds below, {above}"


def test_two_cells_make_a_line_but_check_no_law():
    """Through two points any line goes: an interval of the seeds, and a flag."""
    slope = fit_slope([0.0, 1.0], optima([0.0, -1.0], spread=0.1))
    assert slope.exponent == pytest.approx(-1)
    assert not slope.law_checked
    assert slope.low < -1 < slope.high
    assert slope.decided_by == "seeds"


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 1.0]])
def test_without_two_scales_there_is_no_slope(x):
    """None is the answer, not zero and not infinity."""
    assert fit_slope(x, optima([0.0] * len(x))) is None


def test_even_perfect_cells_keep_the_interpolation_floor():
    """Noise-free optima on a line leave the error of reading between grid points."""
    slope = fit_slope([0.0, 1.0, 2.0], optima([0.0, -1.0, -2.0]))
    # 0.12 is 1.645 sd of one cell, √½ of it is that of the slope; 300 draws.
    assert slope.high - slope.low == pytest.approx(2 * 0.12 * math.sqrt(0.5), rel=0.2)


GRID = [(x, y) for x in (0.0, 1.0, 2.0) for y in (0.0, 0.5, 1.0)]


def test_a_plane_is_found_with_both_exponents():
    """Optima on a plane give it back, whatever the units of both scales are."""
    places = [1.0 - 0.5 * x + 0.8 * y for x, y in GRID]
    for shift in (0.0, 3.0):
        plane = fit_plane([(x + shift, y - shift) for x, y in GRID], optima(places))
        found = plane.first, plane.second
        assert [each.exponent for each in found] == pytest.approx([-0.5, 0.8])
        assert plane.scatter == pytest.approx(0, abs=1e-9)


def test_scatter_around_a_plane_widens_both_intervals():
    """One cell off by 1: the interval of least squares, with 9 - 3 degrees left."""
    places = [float(at == 0) for at in range(len(GRID))]
    plane = fit_plane(GRID, optima(places, spread=1e-6))
    rows = np.column_stack([np.ones(len(GRID)), GRID])
    inverse = np.linalg.inv(rows.T @ rows)
    fitted = inverse @ rows.T @ places
    variance = np.sum((rows @ fitted - places) ** 2) / 6
    half = t_quantile(0.95, degrees_of_freedom=6) * np.sqrt(variance * np.diag(inverse))
    assert plane.scatter == pytest.approx(math.sqrt(variance))
    for each, k in ((plane.first, 1), (plane.second, 2)):
        assert each.exponent == pytest.approx(fitted[k])
        assert each.high - each.exponent == pytest.approx(half[k])
        assert each.exponent - each.low == pytest.approx(half[k])


def test_errors_of_both_exponents_go_together_where_cells_lie_aslant():
    """On a full grid they are independent; along the diagonal they trade off."""
    aslant = [(x, x + d) for x in (0.0, 1.0, 2.0) for d in (-0.1, 0.1)]
    whole, thin = (
        fit_plane(each, optima([0.0] * len(each), spread=1.0))
        for each in (GRID, aslant)
    )
    assert abs(whole.correlation) < 0.2  # 300 draws
    assert thin.correlation < -0.9
    # Three cells are no check of a plane, nor is a line of them one.
    line = [(x, 2 * x) for x in range(5)]
    for few in (GRID[:3], line):
        assert fit_plane(few, optima([0.0] * len(few))) is None
