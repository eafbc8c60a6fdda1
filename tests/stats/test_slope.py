"""Exponents from optima: the line, the plane, the law; the wider of two intervals."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.curve_by_loops import least_squares_slope
from plane import fit_plane
from scipy.stats import binomtest

from dwindle.errors import MissingLibraryError
from dwindle.stats.law import SPREAD, Law, LawCell, Prior
from dwindle.stats.optimum import Optimum
from dwindle.stats.slope import fit_slope
from dwindle.stats.student import half_width, mean_interval, t_quantile

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


@given(PLACES, st.floats(-5, 5), st.floats(-5, 5))
def test_the_line_is_that_of_least_squares_in_any_unit(places, of_scale, of_decay):
    """The exponent is that of a scalar loop; other units only shift logarithms."""
    x = [math.log(2) * j for j in range(len(places))]
    one = fit_slope(x, optima(places, 0.1))
    by_hand, _ = least_squares_slope(x, places)
    assert one.exponent == pytest.approx(by_hand, abs=1e-9)
    moved = optima([place + of_decay for place in places], 0.1)
    other = fit_slope([a + of_scale for a in x], moved)
    assert (other.exponent, other.low, other.high) == pytest.approx(
        (one.exponent, one.low, one.high), abs=1e-6
    )


def test_scatter_around_the_law_or_noise_of_the_seeds_widens_the_interval():
    """Cells that no line fits, and cells that may lie elsewhere; on each side."""
    x, places = [0.0, 1.0, 2.0, 3.0], [0.0, -2.0, -1.0, -3.0]
    slope = fit_slope(x, optima(places, spread=0.01))
    _, error = least_squares_slope(x, places)
    half = t_quantile(0.95, degrees_of_freedom=2) * error
    ends = slope.exponent - slope.low, slope.high - slope.exponent
    assert ends == pytest.approx((half, half))
    assert (slope.decided_by != "seeds", slope.law_checked) == (True, True)
    line = [0.0, -1.0, -2.0]
    # sd of Σ c·draw is √(½) of that of a cell; 300 draws. A perfect cell has .12.
    for spread, sd in ((1.0, 1.0), (0.0, 0.12 / 1.645)):
        seeds = fit_slope(x[:3], optima(line, spread=spread))
        reach = 2 * 1.645 * sd * math.sqrt(0.5)
        assert seeds.high - seeds.low == pytest.approx(reach, rel=0.2)
        assert seeds.decided_by == "seeds"
    left = -2.0 - np.abs(np.random.default_rng(0).normal(0, 3, 300))
    first, second, last = optima([0.0, -1.1, -2.0])
    both = fit_slope(x[:3], [first, second, replace(last, draws=left)])
    above = "scatter of the cells around a power law above"
    assert both.decided_by == f"seeds below, {above}"


def test_two_cells_make_a_line_but_check_no_law():
    """Through two points any line goes: the seeds' interval; through one, none."""
    slope = fit_slope([0.0, 1.0], optima([0.0, -1.0], spread=0.1))
    assert slope.exponent == pytest.approx(-1)
    assert (slope.law_checked, slope.decided_by) == (False, "seeds")
    assert slope.low < -1 < slope.high
    for x in ([], [1.0], [1.0, 1.0]):
        assert fit_slope(x, optima([0.0] * len(x))) is None


GRID = [(x, y) for x in (0.0, 1.0, 2.0) for y in (0.0, 0.5, 1.0)]


def test_a_plane_is_found_with_both_exponents():
    """Optima on a plane give it back in any unit; three cells or a line give none."""
    places = [1.0 - 0.5 * x + 0.8 * y for x, y in GRID]
    for shift in (0.0, 3.0):
        plane = fit_plane([(x + shift, y - shift) for x, y in GRID], optima(places))
        found = plane.first, plane.second
        assert [each.exponent for each in found] == pytest.approx([-0.5, 0.8])
        assert plane.scatter == pytest.approx(0, abs=1e-9)
    for few in (GRID[:3], [(x, 2 * x) for x in range(5)]):
        assert fit_plane(few, optima([0.0] * len(few))) is None


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


WIDTHS = (64.0, 128.0, 256.0)


def law_of(logs, sd=0.01):
    cells = [
        LawCell(scale={"width": value}, log_decay=log, sd=sd)
        for value, log in zip(WIDTHS, logs, strict=True)
    ]
    return Law(priors={"width": Prior()}, cells=cells)


def test_a_law_is_exact_where_all_is_known_and_wide_where_little_is():
    """It widens with the distance from its cells; an axis that none varies is prior."""
    exact = law_of([-math.log(width) for width in WIDTHS], sd=1e-3)
    assert exact.exponent("width").value == pytest.approx(-1, abs=0.05)
    far = exact.at({"width": 1024.0})
    assert far.value == pytest.approx(-math.log(1024), abs=0.15)
    law = law_of([0.0, 0.1, -0.1])
    sds = [law.at({"width": width}).sd for width in (128.0, 256.0, 1024.0, 8192.0)]
    assert sds == sorted(sds)
    beyond = [law.beyond({"width": width}) for width in (128.0, 1024.0, 16.0)]
    assert beyond == [{}, {"width": 4.0}, {"width": 0.25}]
    cells = [LawCell(scale={"batch": 32.0}, log_decay=0.0, sd=0.1)] * 2
    blank = Law(priors={"batch": Prior(mean=0.5, sd=1.0)}, cells=cells)
    found = blank.exponent("batch")
    assert found.value == pytest.approx(0.5, abs=1e-6)
    assert found.sd == pytest.approx(1.0, rel=1e-3)


def test_the_interval_of_a_law_covers():
    """Of planted laws with their spread, 90 % of the intervals hold the truth."""
    draw = np.random.default_rng(0)
    hits, count = 0, 300
    for _ in range(count):
        slope, spread = draw.normal(0, 0.7), abs(draw.normal(0, SPREAD))
        noise = draw.normal(0, 1, (2, 4))
        truth = slope * np.log([*WIDTHS, 1024.0]) + spread * noise[0]
        law = law_of(truth[:3] + 0.12 * noise[1, :3], sd=0.12)
        at = law.at({"width": 1024.0})
        hits += at.low <= truth[3] <= at.high
    # The bend that may lie beyond the cells makes it a little wider than it need be.
    assert binomtest(hits, count, 0.9).pvalue > 0.01 or hits > 0.9 * count
    assert hits < 0.98 * count


# Printed tables of Student's t, 95 % one-sided.
TABLE = {1: 6.314, 2: 2.920, 4: 2.132, 7: 1.895, 30: 1.697}


def test_quantiles_are_those_of_the_printed_tables(monkeypatch):
    """To three printed places; without SciPy the error has what is to be installed."""
    found = {of: t_quantile(0.95, degrees_of_freedom=of) for of in TABLE}
    assert found == pytest.approx(TABLE, abs=5e-4)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingLibraryError) as raised:
        t_quantile(0.95, degrees_of_freedom=4)
    assert raised.value.extra == "report"


def test_the_interval_of_a_mean_is_that_of_the_tables():
    """Of 1, 2, 3 it is 2 ± 2.920 / √3; it holds nine of ten; one value has none."""
    interval = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert interval.value == 2
    assert interval.high - 2 == pytest.approx(2.920 / 3**0.5, abs=5e-4)
    assert 2 - interval.low == pytest.approx(interval.high - 2)
    alone = mean_interval(np.array([1.5]))
    assert (alone.value, alone.low, alone.high) == (1.5, None, None)
    samples = np.random.default_rng(3).standard_normal((1000, 5))
    held = np.mean([abs(s.mean()) <= half_width(s) for s in samples])
    # Three binomial standard deviations of 1000 draws at 0.9.
    assert held == pytest.approx(0.9, abs=0.0285)
