"""A process from sums over seeds is the one of the textbook, and hundreds are cheap."""

import math

import numpy as np
import pytest

from dwindle.stats import search
from dwindle.stats.points import NO_DECAY, Design, Point
from dwindle.stats.process import BELOW, fit_processes
from dwindle.stats.two_point import next_points

PLACES = np.linspace(-7, 0, 50)


def trainings(*, pairs, alike, count=6):
    """Seed 0 at eight λ, further ones at two or three: their own, or all the same."""
    draw = np.random.default_rng(3).normal
    x, seeds, sd = [*np.linspace(-7, 0, 8)], [0] * 8, 0.0 if alike else 0.2
    for seed in range(1, count):
        there = [-3.6 + draw(0, sd), -2.4 + draw(0, sd), NO_DECAY][: 2 + seed % 2]
        x, seeds = [*x, *there], [*seeds, *[seed] * len(there)]
    x, seeds = np.array(x), np.array(seeds)
    level = draw(0, 0.1, count)[seeds] if pairs else 0.0
    curve = 0.02 * (np.maximum(x, -9) + 3) ** 2
    return x, curve + level + draw(0, 0.01, len(x)), seeds


def textbook(process, keep):
    """Constant, and mean curve at places, by the whole covariance of trainings."""
    x, y, seeds = process.x[keep], process.values[keep], process.seeds[keep]

    def kernel(one, other, length):
        return np.exp(-0.5 * ((one[:, None] - other) / length) ** 2)

    of_curve = process.mean_sd**2 * kernel(x, x, process.basis.length)
    offset, deviation, length, noise = process.beside
    own = offset**2 + deviation**2 * kernel(x, x, length)
    whole = of_curve + (seeds[:, None] == seeds) * own + noise**2 * np.eye(len(x))
    inverse = np.linalg.inv(whole)
    constant = inverse.sum(axis=0) @ y / inverse.sum()
    across = process.mean_sd**2 * kernel(PLACES, x, process.basis.length)
    return constant + across @ inverse @ (y - constant)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("pairs", [True, False])
def test_sums_over_seeds_give_the_process_of_the_textbook(pairs, alike):
    """The curve, and the minimum without each seed, are those of whole matrices."""
    x, y, seeds = trainings(pairs=pairs, alike=alike)
    process = fit_processes(x, y, seeds).processes[0]
    assert process.x.min() == x[np.isfinite(x)].min() - BELOW
    keep = np.full(len(x), fill_value=True)
    for read in (process, process.flattened()):
        # The basis is right to 1e-8.
        near = pytest.approx(textbook(read, keep), abs=1e-7)
        assert read.mean_curve(PLACES) == near
    without = process.minima_without(range(1, 6))
    for seed, minimum in enumerate(without, start=1):
        curve = textbook(process, seeds != seed)
        # Places are .14 apart.
        assert minimum == pytest.approx(PLACES[curve.argmin()], abs=0.15)


def test_lower_walls_keep_the_order_of_a_seed():
    """A height e above the least becomes h ln(1 + e / h); where none pair all stays."""
    x, y, seeds = trainings(pairs=True, alike=True)
    process = fit_processes(x, y, seeds).processes[0]
    first = seeds == 0
    one, other = y[first], process.flattened().values[first]
    assert (np.argsort(one) == np.argsort(other)).all()
    height = np.median(one - one.min())
    expected = one.min() + height * np.log1p((one - one.min()) / height)
    assert other == pytest.approx(expected, abs=1e-12)
    alone = fit_processes(x, y, seeds, may_pair=False).processes[0]
    assert alone.flattened() is alone


def test_minima_of_many_curves_are_those_of_each():
    """Places that are skipped, for many curves, change no minimum."""
    x, y, seeds = trainings(pairs=True, alike=False)
    process = fit_processes(x, y, seeds).processes[0]
    for spread in (1e-6, 1e-3, 1.0):
        apart = spread * np.random.default_rng(1).normal(size=(50, len(process.root)))
        curves = process.weights + apart @ process.root
        one_by_one = [process.basis.minima(each[None])[0] for each in curves]
        assert process.basis.minima(curves) == pytest.approx(one_by_one, abs=1e-9)


def test_a_search_of_hundreds_is_read_a_few_times(monkeypatch):
    """Of 400 trainings that share no seed the process is fitted below 150 times.

    Twice a time: λ = 0 lies far above the curve here.
    """
    fitted = []

    def counted(x, *arguments, **options):
        fitted.append(len(x))
        return fit_processes(x, *arguments, **options)

    monkeypatch.setattr(search, "fit_processes", counted)
    search._fitted.cache_clear()
    design, points = Design(low=1e-3, high=1, within=1.0001, trainings=400), []
    noise = np.random.default_rng(0).normal
    while proposed := next_points(points, design).points:
        for x, seed in proposed:
            loss = math.exp(0.05 * (max(x, -9) + 4) ** 2 + noise(0, 0.1))
            points.append(Point(x=x, seed=seed, loss=loss))
    assert len(points) == 400
    assert len(fitted) < 150
    # What the process is fitted to: most seeds of a batch were trained at the same λ.
    alike = search.Search.of(points, design).process.alike
    assert sum(len(each.places) for each in alike) < 100
