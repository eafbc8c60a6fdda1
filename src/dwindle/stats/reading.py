"""Losses between the trained λ: a cubic spline of the log loss, held to its neighbors.

A spline through every point is the most accurate reading of a real curve, but where
points are far apart or a wall begins it swings to losses that no training ever had. So
each reading is clipped to what the two trained λ around it allow.
"""

from dataclasses import dataclass

import numpy as np

from dwindle.stats.curve import Curve
from dwindle.stats.scipy_part import scipy_module
from dwindle.stats.student import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """Losses of all seeds at one λ; ``beyond`` says that the grid ends before it."""

    values: FloatArray
    beyond: bool


def read_losses(curve: Curve, log_decay: float) -> Reading:
    """Read every seed's loss at any λ.

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
    values = np.exp(read_log_losses(curve, np.full(curve.n, inside)))
    # Rounding of exp(ln λ) must not turn the last λ into one beyond the grid.
    beyond = abs(inside - log_decay) > 1e-9 * max(1.0, abs(log_decay))
    return Reading(values=values, beyond=beyond)


def read_log_losses(curve: Curve, places: FloatArray) -> FloatArray:
    """Return the log loss of seed s at ``places[s]``, both of shape (seeds,).

    Args:
        curve: One cell.
        places: ln λ within the grid, one per seed.

    """
    x, logs = curve.log_decay, curve.log_losses
    if len(x) == 1:
        return logs[:, 0]
    spline = scipy_module("scipy.interpolate").CubicSpline(x, logs, axis=1)
    read: FloatArray = np.diagonal(spline(places))
    rows = np.arange(curve.n)
    left = np.clip(np.searchsorted(x, places, side="right") - 1, 0, len(x) - 2)
    one, other = logs[rows, left], logs[rows, left + 1]
    lowest = np.minimum(one, other) - _deepest_dip(x, logs)[rows, left]
    return np.clip(read, lowest, np.maximum(one, other))


def _deepest_dip(x: FloatArray, logs: FloatArray) -> FloatArray:
    """How far a minimum between two points may lie below both, (seeds, intervals).

    A parabola of curvature c dips at most c·gap²/8 below two points that are a gap
    apart; of the two curvatures at an interval's ends the smaller one counts, and only
    intervals at the lowest point of three may hold a minimum.
    """
    gaps = np.diff(x)
    slopes = np.diff(logs, axis=1) / gaps
    curvature = np.zeros_like(logs)
    curvature[:, 1:-1] = 2 * np.diff(slopes, axis=1) / (gaps[:-1] + gaps[1:])
    ends = np.minimum(curvature[:, :-1], curvature[:, 1:])
    dips: FloatArray = np.maximum(ends, 0) * gaps**2 / 8
    return dips
