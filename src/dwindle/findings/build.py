"""From a store to findings: a pure function of a study's spec and its trainings."""

from dwindle.decay.families import ADAPTIVE, DECOUPLED, SGD
from dwindle.decay.penalties import layer_coefficients
from dwindle.findings.axes import measure_axis
from dwindle.findings.cells import gather, measure_cell
from dwindle.findings.model import AxisFindings, Findings
from dwindle.store.records import (
    PER_SEED,
    Outcome,
    ProblemFacts,
    Scale,
    chance_loss,
)
from dwindle.store.spec import AxisSpec, StudySpec
from dwindle.store.store import StoredStudy

# The update family that rules know each optimizer of a study by.
FAMILIES = {"sgd": SGD.name, "adamw": DECOUPLED.name, "adam": ADAPTIVE.name}
# Samples of the one validation set that all seeds shared in older stores.
_ONE_SPLIT = {"digits-mlp": 597, "digits-logistic": 597, "fashion-mlp": 2000}


def findings_of(stored: StoredStudy) -> Findings:
    """Return everything that the trainings of a study show, axis by axis."""
    spec, problem = stored.spec, stored.problem
    trainings = gather(stored.rows)
    axes = tuple(_axis(spec, axis, trainings, problem=problem) for axis in spec.axes)
    trials = {"ok": 0, "untrained": 0, "diverged": 0, "error": 0}
    for trial, outcome in stored.rows:
        chance = chance_loss(problem.classes, trial.scale.dataset_size)
        untrained = outcome.is_untrained(chance)
        trials["untrained" if untrained else outcome.status] += 1
    samples = problem.validation_samples
    if samples is not None and spec.split == PER_SEED:
        validation = f"every seed has its own validation split, of {samples:,} samples"
    else:
        known = samples or _ONE_SPLIT.get(spec.problem)
        count = "" if known is None else f" of {known:,} samples"
        validation = (
            f"one validation set{count} for all seeds: the intervals leave out its "
            "choice, and another one moves a best λ by about a third"
        )
    return Findings(
        study=spec.name,
        optimizer=spec.optimizer.name,
        normalization=spec.normalization,
        conditions=stored.conditions.as_dict(),
        axes=axes,
        law={
            axis.axis: {"exponent": axis.exponent, "low": axis.low, "high": axis.high}
            for axis in axes
        },
        trials=trials,
        seconds=stored.seconds,
        seeds=spec.seeds,
        complete=stored.complete,
        validation=validation,
        base=quantities(spec.base, problem.layer_shapes(spec.base)),
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


def quantities(scale: Scale, shapes: tuple[tuple[int, int], ...]) -> dict[str, float]:
    """Return every quantity of scale that a rule may use.

    The depth is that of the network as built: a problem without hidden layers has 0.
    """
    return {
        "width": float(scale.width),
        "depth": float(len(shapes) - 1),
        "weights": float(sum(fan_in * fan_out for fan_in, fan_out in shapes)),
        "batch_size": float(scale.batch_size),
        "dataset_size": float(scale.dataset_size),
        "epochs": float(scale.epochs),
        "steps": float(scale.steps),
        "lr": scale.lr,
    }


def mean_coefficient(normalization: str, shapes: tuple[tuple[int, int], ...]) -> float:
    """Return the factor between a study's λ and the λ that an average weight feels.

    A rule is about the λ at the weights, a normalized study about the λ before its
    normalization. Between the two stands the layers' coefficient, averaged over all
    weights: ``Σ_l n_l c_l / Σ_l n_l`` with n_l the weights of a layer. For the asker's
    normalization that is exactly 1/(number of weights), so the asker's rule predicts
    that the λ of such a study stays, as it should.
    """
    sizes = [fan_in * fan_out for fan_in, fan_out in shapes]
    coefficients = layer_coefficients(normalization, shapes)
    bearing = sum(n * c for n, c in zip(sizes, coefficients, strict=True))
    return bearing / sum(sizes)
