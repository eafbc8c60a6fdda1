"""A study of every combination of two axes: both exponents, and how errors go along."""

import math

from dwindle.findings.build import quantities
from dwindle.findings.cells import gather, measure_cell
from dwindle.findings.metric import Metric, judged_by_error
from dwindle.stats.slope import Plane, fit_plane
from dwindle.store.store import StoredStudy


def measure_grid(stored: StoredStudy, *, metric: Metric = "loss") -> Plane | None:
    """Return the exponents of a study's two axes from all cells with a best λ.

    Args:
        stored: A study with ``grid = true`` and two axes, without normalization.
        metric: What a training is judged by: its validation loss or error rate.

    Returns:
        The plane over both axes, in the order of the study; None with too few cells.

    """
    first, second = (axis.axis for axis in stored.spec.axes)
    rows = stored.rows
    if metric == "error":
        rows = judged_by_error(rows, samples=stored.problem.validation_samples or 0)
    trainings = gather(rows)
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
    telling = [cell for cell in cells if cell.shows_best_decay and cell.optimum]
    scales = [cell.findings.scale for cell in telling]
    return fit_plane(
        [(math.log(at[first]), math.log(at[second])) for at in scales],
        [cell.optimum for cell in telling if cell.optimum],
    )
