"""Findings from trainings: a pure function of a study's spec and its rows."""

from collections.abc import Iterable
from typing import Any

from dwindle.findings.axes import measure_axis
from dwindle.findings.cells import gather, measure_cell
from dwindle.findings.model import AxisFindings, Findings
from dwindle.findings.sizes import mean_coefficient, quantities
from dwindle.store.records import Outcome, Scale, Trial, chance_loss
from dwindle.store.spec import AxisSpec, ProblemFacts, StudySpec

# The update family that rules know each optimizer of a study by.
FAMILIES = {"sgd": "coupled-sgd", "adamw": "decoupled", "adam": "coupled-adaptive"}
# Samples of the one validation set that all seeds shared in older stores.
_ONE_SPLIT = {"digits-mlp": 597, "digits-logistic": 597, "fashion-mlp": 2000}


def build_findings(  # noqa: PLR0913 - the facts of one store, all named
    spec: StudySpec,
    rows: Iterable[tuple[Trial, Outcome]],
    *,
    problem: ProblemFacts,
    conditions: dict[str, Any],  # JSON-like
    seconds: float,
    complete: bool,
) -> Findings:
    """Say everything that the trainings of a study say.

    Args:
        spec: The study: its base, axes and normalization.
        rows: Trainings with their outcomes; λ is the one before normalization.
        problem: What the layers of a cell follow from.
        conditions: Under what the trainings ran, told as they are.
        seconds: What they took.
        complete: Whether the plan is done.

    Returns:
        Findings; axes and cells in the order of the spec.

    """
    rows = tuple(rows)
    trainings = gather(rows)
    axes = tuple(_axis(spec, axis, trainings, problem=problem) for axis in spec.axes)
    return Findings(
        study=spec.name,
        optimizer=spec.optimizer.name,
        normalization=spec.normalization,
        conditions=conditions,
        axes=axes,
        law={axis.axis: _law(axis) for axis in axes},
        trials=_count(rows, problem.classes),
        seconds=seconds,
        seeds=spec.seeds,
        complete=complete,
        validation=_validation(problem, spec.problem),
        base=quantities(spec.base, problem.layer_shapes(spec.base)),
    )


def _validation(problem: ProblemFacts, name: str) -> str:
    if problem.validation_samples is not None:
        count = f"{problem.validation_samples:,}"
        return f"every seed has its own validation split, of {count} samples"
    count = f" of {_ONE_SPLIT[name]:,} samples" if name in _ONE_SPLIT else ""
    return (
        f"one validation set{count} for all seeds: the intervals leave out its choice, "
        "and another one moves a best λ by about a third"
    )


def _axis(
    spec: StudySpec,
    axis: AxisSpec,
    trainings: dict[Scale, dict[float, dict[int, Outcome]]],
    *,
    problem: ProblemFacts,
) -> AxisFindings:
    cells = []
    for value, scale in axis.cells(spec.base):
        shapes = problem.layer_shapes(scale)
        cells.append(
            measure_cell(
                trainings.get(scale, {}),
                value=value,
                scale=quantities(scale, shapes),
                coefficient=mean_coefficient(spec.normalization, shapes),
                classes=problem.classes,
            )
        )
    return measure_axis(
        axis.axis,
        cells,
        policy=axis.policy,
        base_value=getattr(spec.base, axis.axis),
        family=FAMILIES[spec.optimizer.name],
    )


def _law(axis: AxisFindings) -> dict[str, float | None]:
    return {"exponent": axis.exponent, "low": axis.low, "high": axis.high}


def _count(rows: Iterable[tuple[Trial, Outcome]], classes: int) -> dict[str, int]:
    """Count trainings by how they ended; each is counted once."""
    count = {"ok": 0, "untrained": 0, "diverged": 0, "error": 0}
    for trial, outcome in rows:
        chance = chance_loss(classes, trial.scale.dataset_size)
        untrained = outcome.is_untrained(chance)
        count["untrained" if untrained else outcome.status] += 1
    return count
