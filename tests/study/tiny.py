"""A study small enough for a test, its trainings, and its store."""

from dataclasses import replace

from study.pretended import VERSION, pretended_outcome

from dwindle.store.records import Conditions, Optimizer, ProblemFacts, Scale
from dwindle.store.spec import AxisSpec, StudySpec
from dwindle.store.store import Store
from dwindle.study.cost import pack_bytes
from dwindle.study.problems import problem

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
# For three of the widest models: small packs, so that there is much to stop in.
WIDEST = replace(BASE, width=16)
ROOM = pack_bytes(WIDEST, problem(SPEC.problem), SPEC.optimizer, models=3)
FACTS = ProblemFacts(inputs=64, classes=10, hidden=True)


def changed(**changes):
    """The tiny study with other facts."""
    return replace(SPEC, **changes)


def opened(path, spec=SPEC, conditions=CONDITIONS):
    """The store of a study, open for writing."""
    return Store(path, spec=spec, conditions=conditions, problem=FACTS)


def trials(spec=SPEC, decays=(0.0, 1e-3, 1e-2)):
    """Trainings of all cells and seeds at some decays."""
    return [
        spec.trial(scale, decay, seed)
        for scale in spec.scales
        for seed in range(spec.seeds)
        for decay in decays
    ]


def trained(some):
    """Trainings with what they ended with, as a store takes them."""
    return [(trial, pretended_outcome(trial)) for trial in some]
