"""Regret: the loss that a given λ loses against the best one, without flattering it.

The minimum of a noisy curve is lower than the truth where it was chosen, and a λ
chosen without a seed is worse than the best for that seed. The two biases stand in
the ratio 1/n : 1/(n-1) with opposite signs, so a weighted pair cancels them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dwindle.stats.curve import Curve
from dwindle.stats.optimum import locate_minima
from dwindle.stats.scipy_part import scipy_module
from dwindle.stats.student import FloatArray, Interval, half_width


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """Losses of all seeds at one λ; ``beyond`` says that the grid ends before it."""

    values: FloatArray
    beyond: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A curve and the loss that each of its seeds has under what is judged."""

    curve: Curve
    values: FloatArray


def read_losses(curve: Curve, log_decay: float) -> Reading:
    """Read every seed's loss at any λ: a cubic spline through the log loss.

    On the steep side of a curve the log loss is far closer to a polynomial than the
    loss. Beyond the grid the value at its edge is returned: the regret is then at
    least so much.

    Args:
        curve: One cell.
        log_decay: ln λ.

    Returns:
        Losses, shape (seeds,), and whether λ lies beyond the candidates.

    Example:
        >>> curve = Curve(
        ...     seeds=(0,),
        ...     log_decay=np.arange(5.0),
        ...     losses=np.exp(np.array([[4.0, 1.0, 0.0, 1.0, 4.0]])),
        ...     without_decay=None,
        ... )
        >>> round(float(np.log(read_losses(curve, 2.5).values[0])), 9)
        0.25

    """
    first, last = float(curve.log_decay[0]), float(curve.log_decay[-1])
    inside = min(max(log_decay, first), last)
    values = _losses_at(curve, np.full(curve.n, inside))
    # Rounding of exp(ln λ) must not turn the last λ into one beyond the grid.
    beyond = abs(inside - log_decay) > 1e-9 * max(1.0, abs(log_decay))
    return Reading(values=values, beyond=beyond)


def measure_regret(judged: Sequence[Judged]) -> Interval | None:
    """Return the regret, averaged over cells that share their seeds.

    Per seed and averaged over cells: plug-in ``p_s = v_s - L_s(x̂)`` and leave-out
    ``c_s = v_s - L_s(x̂ without s)``. Then ``R = (n·P + (n-1)·C) / (2n-1)`` with the
    interval ``max(0, R ± t·S)``, ``S = max(sd(p), sd(c)) / √n``. Averaging inside of a
    seed first keeps what the cells have in common; only seeds that every cell has
    are used.

    Args:
        judged: At least one cell, each with the loss per seed that is judged.

    Returns:
        Regret in units of the loss; no limits below three seeds, None without a seed
        that all cells share.

    Example:
        >>> x = np.arange(7.0)
        >>> curve = Curve(
        ...     seeds=(0, 1, 2),
        ...     log_decay=x,
        ...     losses=np.tile(2 + (x - 3) ** 2, (3, 1)),
        ...     without_decay=None,
        ... )
        >>> round(
        ...     measure_regret([Judged(curve=curve, values=np.full(3, 2.5))]).value, 9
        ... )
        0.5

    """
    shared = _shared_seeds(judged)
    if not shared:
        return None
    plug_in = np.mean([_plug_in(one, shared) for one in judged], axis=0)
    n = len(shared)
    if n == 1:
        return Interval(value=float(plug_in[0]), low=None, high=None)
    left_out = np.mean([_left_out(one, shared) for one in judged], axis=0)
    value = float((n * plug_in.mean() + (n - 1) * left_out.mean()) / (2 * n - 1))
    if not judged[0].curve.only(shared).has_spread:
        return Interval(value=value, low=None, high=None)
    half = max(half_width(plug_in), half_width(left_out))
    return Interval(
        value=value, low=max(0.0, value - half), high=max(0.0, value + half)
    )


def measure_gain(curves: Sequence[Curve]) -> Interval | None:
    """Return what decay buys: the regret of training without any.

    Args:
        curves: Cells that share their seeds.

    Returns:
        Mean over the cells, or None where a cell has no loss at λ = 0 for every seed.

    """
    judged = [
        Judged(curve=curve, values=curve.without_decay)
        for curve in curves
        if curve.without_decay is not None
    ]
    return measure_regret(judged) if judged and len(judged) == len(curves) else None


def _shared_seeds(judged: Sequence[Judged]) -> tuple[int, ...]:
    common = set(judged[0].curve.seeds).intersection(
        *(one.curve.seeds for one in judged)
    )
    return tuple(sorted(common))


def _plug_in(judged: Judged, seeds: tuple[int, ...]) -> FloatArray:
    curve = judged.curve.only(seeds)
    place = locate_minima(curve.log_decay, curve.mean[None, :])
    return _values(judged, seeds) - _losses_at(curve, np.repeat(place, curve.n))


def _left_out(judged: Judged, seeds: tuple[int, ...]) -> FloatArray:
    curve = judged.curve.only(seeds)
    others = (curve.losses.sum(axis=0) - curve.losses) / (curve.n - 1)
    return _values(judged, seeds) - _losses_at(
        curve, locate_minima(curve.log_decay, others)
    )


def _values(judged: Judged, seeds: tuple[int, ...]) -> FloatArray:
    return judged.values[[judged.curve.seeds.index(seed) for seed in seeds]]


def _losses_at(curve: Curve, log_decay: FloatArray) -> FloatArray:
    """Loss of seed s at log_decay[s], both of shape (seeds,)."""
    if len(curve.log_decay) == 1:
        return curve.losses[:, 0]
    interpolate = scipy_module("scipy.interpolate")
    spline = interpolate.CubicSpline(curve.log_decay, np.log(curve.losses), axis=1)
    losses: FloatArray = np.exp(np.diagonal(spline(log_decay)))
    return losses
