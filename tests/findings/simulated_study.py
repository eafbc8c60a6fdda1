"""A study whose trainings are simulated curves: the law behind them is known."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from stats.simulated_curves import SGD_WIDE, STEP, Population, draw_curves, true_optimum
from study.tiny import conditions_of

from dwindle.findings.build import findings_of
from dwindle.findings.cells import StudyCell, gather, measure_cell
from dwindle.findings.model import Findings
from dwindle.store.records import (
    Optimizer,
    Outcome,
    ProblemFacts,
    Scale,
    Trial,
)
from dwindle.store.spec import AxisSpec, StudySpec
from dwindle.store.store import StoredStudy

BASE = Scale(width=64, depth=2, batch_size=32, dataset_size=600, epochs=30, lr=0.05)
AXES = (
    AxisSpec(axis="width", values=(16, 32, 64, 128, 256)),
    AxisSpec(axis="depth", values=(1, 2, 3, 4)),
    AxisSpec(axis="batch_size", values=(8, 16, 32, 64, 128)),
    AxisSpec(axis="dataset_size", values=(150, 300, 600, 1200)),
    AxisSpec(axis="epochs", values=(8, 15, 30, 60)),
    AxisSpec(axis="lr", values=(0.0125, 0.025, 0.05, 0.1)),
)
DIGITS = ProblemFacts(inputs=64, classes=10, hidden=True)
# The base cell's optimum, in steps of the grid: room on both sides.
MIDDLE = 6.0


def study_spec(**changes: object) -> StudySpec:
    """The answer's SGD study, or a variation of it."""
    plain = StudySpec(
        name="simulated sgd",
        problem="digits-mlp",
        seeds=5,
        optimizer=Optimizer(name="sgd", momentum=0.9),
        base=BASE,
        axes=AXES,
        low=1e-5,
        high=1e-1,
    )
    return dataclasses.replace(plain, **changes)


def simulated_rows(
    spec: StudySpec,
    exponents: Mapping[str, float],
    *,
    noise: float = 0.3,
    kind: Population = SGD_WIDE,
    weak: Mapping[Scale, float] | None = None,
) -> list[tuple[Trial, Outcome]]:
    """Outcomes whose best λ follows a power law with these exponents.

    ``weak`` gives cells another depth of the dip, 0 for none at all.
    """
    generator = np.random.default_rng(0)
    rows = []
    for scale in spec.scales:
        power = sum(
            exponent * math.log(getattr(scale, axis) / getattr(spec.base, axis))
            for axis, exponent in exponents.items()
        )
        shift = power + MIDDLE * STEP - true_optimum(kind)
        gain = (weak or {}).get(scale, kind.gain)
        flattened = dataclasses.replace(kind, gain=gain)
        losses, without = draw_curves(
            flattened, generator, seeds=spec.seeds, noise=noise, shift=shift
        )
        table = np.concatenate([without[:, None], losses], axis=1)
        decays = [0.0, *np.geomspace(spec.low, spec.high, spec.points).tolist()]
        rows += [
            (spec.trial(scale, decay, seed), ended(float(loss)))
            for seed, of_seed in enumerate(table)
            for decay, loss in zip(decays, of_seed, strict=False)  # 13 λ, or fewer
        ]
    return rows


def ended(loss: float) -> Outcome:
    """A training that ended well."""
    return Outcome(
        status="ok",
        steps=570,
        seconds=0.1,
        loss=loss,
        train_loss=min(0.5 * loss, 2.0),  # never at chance, ln 10
        penalty=1,
    )


def simulated_findings(
    exponents: Mapping[str, float], *, spec: StudySpec | None = None, **how: object
) -> Findings:
    """Findings of a simulated study."""
    spec = spec or study_spec()
    return findings_of_rows(spec, simulated_rows(spec, exponents, **how))


def findings_of_rows(spec: StudySpec, rows: list[tuple[Trial, Outcome]]) -> Findings:
    """Findings of any rows, as from a finished store."""
    return findings_of(study_with(spec, rows))


def study_with(
    spec: StudySpec,
    rows: list[tuple[Trial, Outcome]],
    problem: ProblemFacts = DIGITS,
) -> StoredStudy:
    """A finished store of these rows."""
    return StoredStudy(
        path=Path("a.db"),
        spec=spec,
        conditions=dataclasses.replace(conditions_of(spec), engine_version="1"),
        problem=problem,
        rows=tuple(rows),
        planned=len(rows),
        seconds=1.0,
        complete=True,
    )


DEAD = dataclasses.replace(ended(2.31), train_loss=math.log(10))
DIVERGED = Outcome(status="diverged", steps=9, seconds=0.1, diverged_at_step=9)
FAILED = Outcome(status="error", steps=0, seconds=0.1, error="no memory")
FEW_WIDTHS = AxisSpec(axis="width", values=(16, 64, 256))


def study_of(
    outcome_of: Callable[[float, int], Outcome],
    *,
    axes: tuple[AxisSpec, ...] = (FEW_WIDTHS,),
    **grid: float,
) -> Findings:
    """A study whose trainings end as a function of λ and seed."""
    spec = study_spec(axes=axes, **grid)
    grid_of_study = simulated_rows(spec, {})
    return findings_of_rows(
        spec, [(t, outcome_of(t.weight_decay, t.seed)) for t, _ in grid_of_study]
    )


Found = dict[float, dict[int, Outcome]]  # λ -> seed -> outcome


def trainings(seeds: int = 5) -> Found:
    """Trainings of the base cell; its optimum is at λ = 1e-3."""
    one = (AxisSpec(axis="width", values=(64,)),)
    return gather(simulated_rows(study_spec(axes=one, seeds=seeds), {}))[BASE]


def with_dead(places: range, seeds: range) -> Found:
    """The simulated cell with networks at chance: some seeds at some λ."""
    found = trainings()
    for place in places:
        found[sorted(found)[place]] |= dict.fromkeys(seeds, DEAD)
    return found


def measured(found: Found) -> StudyCell:
    """The cell of these trainings."""
    scale = {"width": 64.0, "dataset_size": 600.0}
    return measure_cell(found, value=64, scale=scale, coefficient=1.0, classes=10)


@cache
def cells() -> dict[str, StudyCell]:
    """The base cell, whole and with everything that can happen to a training."""
    decays = sorted(trainings())
    all_seeds = range(5)
    found = {
        "whole": trainings(),
        "empty": {},
        "one seed": trainings(seeds=1),
        "two seeds": trainings(seeds=2),
        # Four seeds have a low loss, the fifth is gone.
        "one diverged": trainings()
        | {decays[7]: dict.fromkeys(range(4), ended(0.01)) | {4: DIVERGED}},
        "a cliff": trainings()
        | {decay: dict.fromkeys(all_seeds, DIVERGED) for decay in decays[6:]},
        "all diverged": {d: dict.fromkeys(all_seeds, DIVERGED) for d in decays},
        "not trained yet": {
            decay: {seed: o for seed, o in seeds.items() if seed != i % 5}
            for i, (decay, seeds) in enumerate(trainings().items())
        },
        "one failed": trainings() | {decays[3]: trainings()[decays[3]] | {0: FAILED}},
        "a seed failed": {
            d: seeds | {3: FAILED} for d, seeds in trainings(seeds=4).items()
        },
        "a seed diverged": {
            d: seeds | {4: DIVERGED} for d, seeds in trainings(seeds=4).items()
        },
        "four seeds": trainings(seeds=4),
        "a seed begun": trainings(seeds=4)
        | {0.0: trainings(seeds=4)[0.0] | {4: ended(1.0)}},
        "no number": trainings()
        | {decays[2]: trainings()[decays[2]] | {1: ended(math.inf)}},
        "one at chance": with_dead(range(7, 8), range(2, 3)),
        "one at chance without decay": with_dead(range(1), range(2, 3)),
        "survivors": {
            decay: seeds | {i % 5: DEAD}
            for i, (decay, seeds) in enumerate(sorted(trainings().items()))
        },
        "a wall": with_dead(range(11, 14), all_seeds),
        "at chance": with_dead(range(14), all_seeds),
    }
    return {name: measured(each) for name, each in found.items()}
