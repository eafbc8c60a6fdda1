"""A study of every combination of two axes: both exponents, and how errors go along."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dwindle.findings.build import quantities
from dwindle.findings.cells import gather, measure_cell
from dwindle.stats.optimum import Optimum
from dwindle.stats.slope import Slope, noisy_draws, wider
from dwindle.stats.student import t_quantile
from dwindle.store.store import StoredStudy

CELLS_FOR_A_PLANE = 4  # three hold a plane whatever they are


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Exponents of two quantities from ``cells`` that vary both.

    ``correlation`` is that of their errors; ``scatter`` the standard deviation of the
    cells around the law, in ln λ.
    """

    first: Slope
    second: Slope
    correlation: float
    scatter: float
    cells: int


def fit_plane(
    log_scales: Sequence[tuple[float, float]], optima: Sequence[Optimum]
) -> Plane | None:
    """Fit ``ln λ* = a + β ln first + γ ln second``, each with the wider interval.

    Like :func:`fit_slope`, on a grid of both quantities: each exponent is a weighted
    sum of the optima, and their errors go together.

    Args:
        log_scales: ln of both quantities, one pair per cell.
        optima: The optima of cells that matter and are not at an edge, drawn with one
            generator seed.

    Returns:
        The plane, or None where the cells do not vary both, or four are not there.

    """
    scales = np.asarray(log_scales, dtype=float).reshape(-1, 2)
    rows = np.column_stack([np.ones(len(scales)), scales])
    if len(rows) < CELLS_FOR_A_PLANE or np.linalg.matrix_rank(rows) < rows.shape[1]:
        return None
    places = np.array([optimum.log_decay for optimum in optima])
    weights = np.linalg.pinv(rows)  # (3, cells)
    fitted = weights @ places
    residuals = places - rows @ fitted
    free = len(rows) - rows.shape[1]
    variance = float(residuals @ residuals) / free
    half = t_quantile(0.95, degrees_of_freedom=free) * np.sqrt(
        variance * (weights**2).sum(axis=1)
    )
    drawn = weights @ noisy_draws(optima)  # (3, draws)
    first, second = (
        wider(
            float(fitted[k]),
            seeds=tuple(np.quantile(drawn[k], (0.05, 0.95)).tolist()),
            scatter=(float(fitted[k] - half[k]), float(fitted[k] + half[k])),
            law_checked=True,
        )
        for k in (1, 2)
    )
    return Plane(
        first=first,
        second=second,
        correlation=float(np.corrcoef(drawn[1], drawn[2])[0, 1]),
        scatter=math.sqrt(variance),
        cells=len(rows),
    )


def measure_grid(stored: StoredStudy) -> Plane | None:
    """Return the exponents of a study's two axes from all cells with a best λ.

    Args:
        stored: A study with ``grid = true`` and two axes, without normalization.

    Returns:
        The plane over both axes, in the order of the study; None with too few cells.

    """
    first, second = (axis.axis for axis in stored.spec.axes)
    trainings = gather(stored.rows)
    cells = [
        measure_cell(
            trainings.get(scale, {}),
            value=getattr(scale, first),
            scale=quantities(scale, stored.problem.layer_shapes(scale)),
            coefficient=1.0,
            classes=stored.problem.classes,
        )
        for scale in stored.spec.scales
    ]
    telling = [
        cell for cell in cells if cell.findings.shows_best_decay and cell.optimum
    ]
    scales = [cell.findings.scale for cell in telling]
    return fit_plane(
        [(math.log(at[first]), math.log(at[second])) for at in scales],
        [cell.optimum for cell in telling if cell.optimum],
    )
