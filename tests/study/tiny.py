"""A study small enough for a test."""

from dataclasses import replace

from study.pretended import VERSION

from dwindle.store.records import Conditions, Optimizer, ProblemFacts, Scale
from dwindle.store.spec import AxisSpec, StudySpec

BASE = Scale(width=8, depth=1, batch_size=32, dataset_size=64, epochs=2, lr=0.1)
SPEC = StudySpec(
    name="tiny",
    problem="digits-mlp",
    seeds=2,
    optimizer=Optimizer(name="sgd", momentum=0.9),
    base=BASE,
    axes=(
        AxisSpec(axis="width", values=(4, 8, 16)),
        AxisSpec(axis="batch_size", values=(16, 32)),
    ),
    # A third of a decade apart, the best one inside: nothing is added to the grid.
    low=4e-3,
    high=4e-2,
    points=4,
)


def conditions_of(spec):
    """The conditions of a study that ran anywhere."""
    return Conditions(
        engine_version=VERSION,
        torch_version="2.13.0",
        dtype="float32",
        device_type="cpu",
        problem=spec.problem,
        optimizer=spec.optimizer,
        normalization=spec.normalization,
    )


CONDITIONS = conditions_of(SPEC)
FACTS = ProblemFacts(inputs=64, classes=10, hidden=True)


def changed(**changes):
    """The tiny study with other facts."""
    return replace(SPEC, **changes)
