"""A study whose trainings are simulated curves: the law behind them is known."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from stats.simulated_curves import SGD_WIDE, STEP, Population, draw_curves, true_optimum

from dwindle.findings.build import build_findings
from dwindle.findings.model import Findings
from dwindle.store.records import Optimizer, Outcome, ProblemFacts, Scale, Trial
from dwindle.store.spec import AxisSpec, StudySpec

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
        rows += _rows(spec, scale, losses, without)
    return rows


def _rows(
    spec: StudySpec, scale: Scale, losses: np.ndarray, without: np.ndarray
) -> list[tuple[Trial, Outcome]]:
    grid = np.geomspace(spec.low, spec.high, spec.points)
    decays = [0.0, *(float(decay) for decay in grid)]
    table = np.concatenate([without[:, None], losses], axis=1)
    return [
        (trial_at(spec, scale, decay, seed), ended(float(table[seed, column])))
        for seed in range(spec.seeds)
        for column, decay in enumerate(decays)
    ]


def trial_at(spec: StudySpec, scale: Scale, decay: float, seed: int) -> Trial:
    """One training of a study."""
    return Trial(
        problem=spec.problem,
        optimizer=spec.optimizer,
        scale=scale,
        normalization=spec.normalization,
        weight_decay=decay,
        seed=seed,
    )


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
    return build_findings(
        spec,
        rows,
        problem=DIGITS,
        conditions={"optimizer": {"momentum": 0.9, "betas": [0.9, 0.99]}},
        seconds=1.0,
        complete=True,
    )
