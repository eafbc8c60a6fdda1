"""The best λ on a noisy curve, with an interval that allows for few seeds.

A parabola through the minimum is pulled towards small λ, because the right side of a
real curve is a wall and the left side a slope; every seed shows the same pull, so no
resampling of seeds can see it. Hence a local cubic, draws from a multivariate t, and
a floor for what the grid hides between its points. All of it is fitted to log losses.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from dwindle.stats.curve import Curve, read_log_losses
from dwindle.stats.student import FloatArray

Edge = Literal["low", "high"]
# Of a knob that runs backwards, as C of scikit-learn does.
OTHER_EDGE: Mapping[Edge | None, Edge | None] = {
    "low": "high",
    "high": "low",
    None: None,
}

# An end of the 90 % interval is drawn to .12 standard deviations, 7 % of its reach: a
# hundred would make it 13 %, a thousand 4 %.
DRAWS = 300
WINDOW_HALF_WIDTH = 1.6  # in ln λ: five points at a third of a decade
WINDOW_POINTS = 5  # one more than a cubic has coefficients: noise is averaged
# What reading a minimum between grid points may be wrong by, in ln λ (as the half
# width of a 90 % interval). It keeps nearly noise-free curves from overconfidence.
INTERPOLATION_FLOOR = 0.12
# The fourth is the skew: a parabola is pulled to the flat side of a real curve.
_CUBIC_COEFFICIENTS = 4
# The recipe holds for grids of a third of a decade. On a coarser one a cubic through
# five points does not show the minimum, only the bracket of the lowest one does.
WIDEST_GAP = math.log(10) / 3
_ROUNDING = 1.01  # grids are typed with three digits
# An interpolating curve passes through its points: read higher than the lowest of
# them by more than this, a fitted minimum is elsewhere.
_READING_ERROR = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimum:
    """Where a curve is lowest, in ln λ.

    ``log_decay`` is the place of the minimum. With ``at_edge`` the lowest mean is the
    first or the last candidate, so the place is only a bound. ``low`` and ``high``
    are the 90 % limits: infinite where they lie beyond the grid (open), None with
    fewer than three seeds. ``draws`` are the places of the minimum on the draws;
    ``floor`` is what they miss, as the half width of a 90 % interval: the error of
    reading between grid points, or all of the gap where the grid is ``coarse``.
    """

    log_decay: float
    low: float | None
    high: float | None
    at_edge: Edge | None
    draws: FloatArray
    floor: float = INTERPOLATION_FLOOR

    @property
    def coarse(self) -> bool:
        """Whether the grid around the minimum is too coarse for a fit."""
        return self.floor > INTERPOLATION_FLOOR


def measure_optimum(curve: Curve, *, generator_seed: int = 0) -> Optimum:
    """Find the minimum of the mean curve and its 90 % interval.

    The limits are the 5 % and 95 % quantiles of the minimum over draws of the mean
    curve, widened by the floor b in quadrature: ``x̂ - √((x̂-q05)² + b²)`` and
    ``x̂ + √((q95-x̂)² + b²)``. Where the grid is coarser than a third of a decade, or has
    fewer than five points, b is the gap to the neighbors of the lowest point. With one
    ``generator_seed`` for all cells the draws of two cells are joint: what a seed does
    in one of them it does in the other.

    Example:
        >>> decay = np.logspace(-4, 0, 13)
        >>> bowl = 1 + 0.1 * np.log(decay / 1e-2) ** 2
        >>> losses = np.array([bowl, bowl + 0.1, bowl + 0.3])
        >>> from dwindle.stats.curve import curve_from_losses
        >>> optimum = measure_optimum(curve_from_losses(decay, losses))
        >>> round(math.exp(optimum.log_decay), 6), optimum.at_edge
        (0.01, None)

    """
    place = float(minima_of(curve, curve.log_mean[None, :])[0])
    lowest, last = int(curve.log_mean.argmin()), len(curve.log_decay) - 1
    inside: Edge | None = "high" if lowest == last else None
    found = Optimum(
        log_decay=place,
        low=None,
        high=None,
        at_edge=inside if lowest else "low",
        draws=np.empty(0),
        floor=_floor(curve),
    )
    if not curve.has_spread:
        return found
    draws = draw_optima(curve, generator_seed=generator_seed)
    low, high = _limits(curve, place, draws, found.floor)
    return replace(found, low=low, high=high, draws=draws)


def minima_of(curve: Curve, log_means: FloatArray) -> FloatArray:
    """Return where mean log losses of a cell (curves, points) are lowest, in ln λ.

    A local cubic; but where the loss read at its minimum lies above the lowest point
    by more than the seeds' error of that difference, the cubic is wrong (a side that
    explodes bends it): then a parabola through the lowest point and its neighbors,
    which sees nothing else. Where these are more than a third of a decade away no
    curve through them means anything: then the lowest point itself. Which of the three
    it is, the cell's own mean decides.
    """
    # A floor this wide is a gap of the grid: no curve through it means anything.
    if _floor(curve) >= WIDEST_GAP:
        lowest: FloatArray = curve.log_decay[log_means.argmin(axis=1)]
        return lowest
    locate = locate_minima if _cubic_fits(curve) else locate_minima_by_parabola
    return locate(curve.log_decay, log_means)


@lru_cache(maxsize=64)  # called for the draws, the seeds and the mean of a cell
def _cubic_fits(curve: Curve) -> bool:
    if _floor(curve) > INTERPOLATION_FLOOR:
        return False
    place = locate_minima(curve.log_decay, curve.log_mean[None, :])
    read = read_log_losses(curve, np.repeat(place, curve.n))
    excess = read - curve.log_losses[:, curve.log_mean.argmin()]
    error = float(excess.std(ddof=1)) / math.sqrt(curve.n) if curve.n > 1 else 0.0
    return float(excess.mean()) <= max(error, _READING_ERROR)


def locate_minima(log_decay: FloatArray, means: FloatArray) -> FloatArray:
    """Return where each of many curves (curves, points) is lowest, by a local cubic.

    A least-squares cubic through the points around the lowest one; its stationary
    point with positive curvature, clipped to these points. Where the cubic has none,
    the lowest point itself. ``log_decay`` is rising, four or more.

    Example:
        >>> x = np.arange(7.0)
        >>> locate_minima(x, ((x - 3.2) ** 2)[None, :]).round(6).tolist()
        [3.2]

    """
    best = means.argmin(axis=1)
    places = np.empty(len(means))
    # Few grid points are ever the lowest one, so one product serves many curves.
    for index in np.unique(best):
        rows, window = best == index, _window(log_decay, int(index))
        # Centered: powers of ln λ itself, around −7, are nearly collinear.
        offsets = log_decay[window] - log_decay[index]
        basis = np.linalg.pinv(np.vander(offsets, _CUBIC_COEFFICIENTS, increasing=True))
        _, slope, curvature, skew = basis @ means[rows, window].T
        # Where slope + 2·curvature·u + 3·skew·u² is 0, and there is a bowl.
        with np.errstate(invalid="ignore", divide="ignore"):
            root = np.sqrt(curvature**2 - 3 * slope * skew)
            # Two forms of one root: each is exact where the other one cancels.
            bowl = -slope / (curvature + root)
            saddle = (root - curvature) / (3 * skew)
        shift = np.where(curvature > 0, bowl, saddle)
        # A minimum outside of the window is extrapolated, not measured.
        inside = np.clip(shift, offsets[0], offsets[-1])
        places[rows] = log_decay[index] + np.where(np.isfinite(shift), inside, 0.0)
    return places


def locate_minima_by_parabola(log_decay: FloatArray, means: FloatArray) -> FloatArray:
    """Return where each of many curves (curves, points) is lowest, by three points.

    By the lowest one and its neighbors; the end of the grid where that is lowest.
    ``log_decay`` is rising, three or more.

    Example:
        >>> x = np.arange(7.0)
        >>> locate_minima_by_parabola(x, ((x - 3.2) ** 2)[None, :]).round(6).tolist()
        [3.2]

    """
    best = means.argmin(axis=1)
    inner = np.clip(best, 1, len(log_decay) - 2)
    rows = np.arange(len(means))
    middle = log_decay[inner]
    left, right = middle - log_decay[inner - 1], log_decay[inner + 1] - middle
    rise_left = means[rows, inner - 1] - means[rows, inner]
    rise_right = means[rows, inner + 1] - means[rows, inner]
    # The vertex of the parabola through three points whose gaps may differ.
    bend = rise_left * right + rise_right * left
    # Over 1 where the three are on a line: there is no bowl, and no shift is used.
    shift = (rise_left * right**2 - rise_right * left**2) / np.where(bend, 2 * bend, 1)
    is_bowl = (best == inner) & (bend > 0)
    places: FloatArray = np.where(is_bowl, middle + shift, log_decay[best])
    return places


def draw_optima(
    curve: Curve, *, draws: int = DRAWS, generator_seed: int = 0
) -> FloatArray:
    """Return the minimum of each of many plausible mean curves.

    Each draw is ``m + Σ_s z_s (L_s - m) / √(n(n-1)) · √((n-1)/χ²)``: a multivariate t
    around the mean curve with n - 1 degrees of freedom and the covariance of the
    seeds' mean, with its correlation over λ. It takes two seeds; ln λ, (draws,).
    """
    n = curve.n
    # A stream for each seed by its name: cells share the split and training set of a
    # seed, so its weight in a draw must be the same in all of them.
    normal = np.stack(
        [
            np.random.default_rng([generator_seed, seed]).standard_normal(draws)
            for seed in curve.seeds
        ],
        axis=1,
    )
    generator = np.random.default_rng(generator_seed)
    inflation = np.sqrt((n - 1) / generator.chisquare(n - 1, draws))
    deviations = (curve.log_losses - curve.log_mean) / math.sqrt(n * (n - 1))
    means = curve.log_mean + inflation[:, None] * (normal @ deviations)
    return minima_of(curve, means)


def _limits(
    curve: Curve, place: float, draws: FloatArray, floor: float
) -> tuple[float, float]:
    # The errors of seeds and of the grid are independent: their squares add.
    q05, q95 = np.quantile(draws, (0.05, 0.95))
    low = place - math.hypot(place - q05, floor)
    high = place + math.hypot(q95 - place, floor)
    # A limit beyond the grid is a guess about losses that nobody measured: open.
    return (
        low if low >= curve.log_decay[0] else -math.inf,
        high if high <= curve.log_decay[-1] else math.inf,
    )


def _floor(curve: Curve) -> float:
    """The error that the grid leaves around its lowest point, in ln λ."""
    x, best = curve.log_decay, int(curve.log_mean.argmin())
    beside = np.diff(x[max(best - 1, 0) : best + 2])
    if len(x) < WINDOW_POINTS or beside.max() > WIDEST_GAP * _ROUNDING:
        return float(beside.max(initial=WIDEST_GAP))
    widest = float(np.diff(x[_window(x, best)]).max()) / WIDEST_GAP
    return INTERPOLATION_FLOOR * (widest if widest > _ROUNDING else 1.0)


def _window(log_decay: FloatArray, center: int) -> slice:
    """Points around the center, moved inward at the ends of the grid."""
    near = np.abs(log_decay - log_decay[center]) <= WINDOW_HALF_WIDTH
    reach = max(int(near[:center].sum()), int(near[center + 1 :].sum()))
    points = min(len(log_decay), max(WINDOW_POINTS, 2 * reach + 1))
    start = min(max(0, center - points // 2), len(log_decay) - points)
    return slice(start, start + points)
