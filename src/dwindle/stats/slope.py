"""Exponents: how the best λ moves with scale, from the cells that show one.

A cell where decay does not matter has a minimum by chance, and a minimum at the edge
of the grid is only a bound. Neither may enter a slope; both are named instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dwindle.stats.optimum import Optimum
from dwindle.stats.student import FloatArray, t_quantile

# Any line goes through two cells; only a third can contradict it.
CELLS_FOR_A_SLOPE = 2
CELLS_FOR_A_LAW = 3  # any line goes through two
NORMAL_95 = 1.645  # the floor is the half width of a 90 % interval
_SEEDS = "seeds"
_SCATTER = "scatter of the cells around a power law"


@dataclass(frozen=True, kw_only=True)
class Slope:
    """An exponent with its 90 % interval.

    ``decided_by`` is the wider one of the two intervals, on each side if they differ;
    ``law_checked`` is False with two cells, through which any line goes;
    ``seeds_decide`` is whether more seeds would narrow it on either side.
    """

    exponent: float
    low: float
    high: float
    decided_by: str
    law_checked: bool
    seeds_decide: bool = True


def fit_slope(log_scale: Sequence[float], optima: Sequence[Optimum]) -> Slope | None:
    """Fit ``ln λ* = a + β ln scale`` to cells with a best λ, with the wider interval.

    Ordinary least squares, ``β = Σ c_j x̂_j`` with ``c_j = (x_j - x̄) / Σ (x - x̄)²``.
    Interval 1, from the seeds: quantiles of ``Σ c_j draw_j``, the joint draws of the
    cells with the floor of each added. Interval 2, from three cells on, does the
    power law hold: ``β ± t(0.95, k-2) · √(RSS / (k-2) · Σ c²)``. On each side the one
    that lies further out is reported.

    The optima are of cells that matter and are not at an edge, drawn with one generator
    seed, at least three seeds each. None with fewer than two different scales.
    """
    if len(set(log_scale)) < CELLS_FOR_A_SLOPE:
        return None
    scale = np.asarray(log_scale, dtype=float)
    centered = scale - scale.mean()
    weights = centered / (centered**2).sum()
    places = np.array([optimum.log_decay for optimum in optima])
    exponent = float(weights @ places)
    low, high = np.quantile(weights @ noisy_draws(optima), (0.05, 0.95)).tolist()
    law_checked = len(places) >= CELLS_FOR_A_LAW
    half = -math.inf  # narrower than any interval: the seeds of two cells decide
    if law_checked:
        free = len(places) - 2
        residuals = places - places.mean() - exponent * centered
        variance = float((residuals**2).sum()) / free / float((centered**2).sum())
        half = t_quantile(0.95, degrees_of_freedom=free) * math.sqrt(variance)
    scatter = (exponent - half, exponent + half)
    return wider(exponent, seeds=(low, high), scatter=scatter, law_checked=law_checked)


def wider(
    exponent: float,
    *,
    seeds: tuple[float, float],
    scatter: tuple[float, float],
    law_checked: bool,
) -> Slope:
    """Return an exponent with the outer one of both limits on each side."""
    below = _SEEDS if seeds[0] <= scatter[0] else _SCATTER
    above = _SEEDS if seeds[1] >= scatter[1] else _SCATTER
    return Slope(
        exponent=exponent,
        low=min(seeds[0], scatter[0]),
        high=max(seeds[1], scatter[1]),
        decided_by=below if below == above else f"{below} below, {above} above",
        law_checked=law_checked,
        seeds_decide=_SEEDS in (below, above),
    )


def noisy_draws(optima: Sequence[Optimum]) -> FloatArray:
    """Return the joint draws of the cells with their floors, (cells, draws)."""
    draws = np.stack([optimum.draws for optimum in optima])
    floors = np.array([optimum.floor for optimum in optima])[:, None] / NORMAL_95
    # A fixed seed, so that findings repeat exactly.
    noise: FloatArray = floors * np.random.default_rng(0).standard_normal(draws.shape)
    return draws + noise
