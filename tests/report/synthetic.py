"""Findings of simulated curves: what a figure should show is known in advance."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from findings.simulated_study import (
    BASE,
    DIVERGED,
    findings_of_rows,
    simulated_rows,
    study_of,
    study_spec,
)

from dwindle.findings.model import Answer, AxisFindings, Claim, Findings
from dwindle.store.records import Optimizer
from dwindle.store.spec import AxisSpec

AXES = {
    "width": (16, 32, 64, 128, 256),
    "depth": (1, 2, 4),
    "batch_size": (8, 16, 32, 64, 128),
    "dataset_size": (150, 300, 600, 1200),
    "epochs": (10, 30, 90),
    "lr": (0.0125, 0.025, 0.05, 0.1),
}
TRUE = {
    "width": -0.15,
    "depth": -0.3,
    "batch_size": 0.1,
    "dataset_size": -1.0,
    "epochs": -0.4,
    "lr": -0.3,
}


@cache
def findings(
    study: str = "synthetic sgd", optimizer: str = "sgd", axes: tuple[str, ...] = ()
) -> Findings:
    """A whole study; every axis unless some are named.

    At the first width decay does not matter; at the largest λ a seed diverges.
    """
    specs = [AxisSpec(axis=name, values=AXES[name]) for name in axes or AXES]
    momentum = 0.9 if optimizer == "sgd" else 0.0
    made = Optimizer(name=optimizer, momentum=momentum)
    spec = study_spec(name=study, optimizer=made, axes=tuple(specs))
    flat = AxisSpec(axis="width", values=AXES["width"]).scale_at(16, BASE)
    rows = [
        (trial, DIVERGED if (trial.weight_decay, trial.seed) == (0.1, 4) else outcome)
        for trial, outcome in simulated_rows(spec, TRUE, noise=0.1, weak={flat: 0.002})
    ]
    return findings_of_rows(spec, rows)


def axis(name: str) -> AxisFindings:
    """One axis with its cells and every rule."""
    return findings(axes=(name,)).axes[0]


def changed(
    whole: AxisFindings,
    *,
    first: Mapping[str, object] | None = None,
    cells: Mapping[str, object] | None = None,
    rules: Mapping[str, object] | None = None,
    **fields: object,
) -> AxisFindings:
    """An axis with other fields: of its first cell, of all cells, of all rules."""
    shown = [replace(each, **cells or {}) for each in whole.cells]
    shown[0] = replace(shown[0], **first or {})
    judged = tuple(replace(each, **rules or {}) for each in whole.rules)
    return replace(whole, **{"cells": tuple(shown), "rules": judged} | fields)


def study_over(shown: AxisFindings, **fields: object) -> Findings:
    """A study of one axis."""
    return replace(findings(axes=(shown.axis,)), axes=(shown,), **fields)


CLAIMS = (
    Claim(
        id="1",
        claim="The gradient of the question's penalty is 2λw, the answer's is λw",
        whose="question and answer",
        how="autograd on random weights in float64, compared entry by entry",
        number="ratio 2.000000",
        verdict="holds with a correction",
        explanation="Both are right about their own λ; between them lies a factor 2.",
    ),
    Claim(
        id="2",
        claim="With λ = 0.001 a weight that the error does not care about decays by "
        "0.1 % per iteration",
        whose="answer",
        how="torch.optim.SGD in float64 with zero gradients, one step and many",
        number="0.01 % per step at lr 0.1; 0.1 % with momentum 0.9",
        verdict="holds with a correction",
        table=(
            ("lr", "momentum", "shrink per step", "half-life in steps"),
            ("1", "0", "0.1 %", "693"),
            ("0.1", "0", "0.01 %", "6931"),
            ("0.1", "0.9", "0.1 %", "693"),
        ),
    ),
    Claim(
        id="3",
        claim="The number of layers and units does not enter the decay of one weight",
        whose="answer",
        how="measured on networks of 12 shapes",
        number="the same to 1e-15 in all",
        verdict="holds",
    ),
    Claim(
        id="4",
        claim="Divide λ by the number of weights and the penalty is comparable",
        whose="question",
        how="decay of one weight, measured at width 16 to 256",
        number="falls 117-fold",
        verdict="does not hold",
        explanation="The larger the network, the less each weight decays.",
    ),
)


def answer() -> Answer:
    """A whole answer with two studies."""
    studies = (findings(), findings("synthetic adamw", "adamw", ("width",)))
    return Answer(claims=CLAIMS, studies=studies, seconds=142.0)


@cache
def unknown() -> Findings:
    """A study that knows nothing: every training diverged, every number is None."""
    found = study_of(
        lambda *_: DIVERGED,
        name="synthetic unknown",
        optimizer=Optimizer(name="adamw"),
        normalization="layer-mean",
        axes=(AxisSpec(axis="width", values=(16, 32)),),
        seeds=2,
    )
    return replace(found, complete=False)
