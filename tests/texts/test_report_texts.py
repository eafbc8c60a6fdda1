"""What findings say word by word: conclusions, reasons, a terminal, a table of claims.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import dataclasses
import io
import math

from findings.simulated_study import (
    AXES,
    ended,
    findings_of_rows,
    simulated_findings,
    simulated_rows,
    study_spec,
)
from report import synthetic
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.report.terminal import print_answer
from dwindle.store.records import Optimizer, Outcome
from dwindle.store.spec import AxisSpec

WIDTH = AxisSpec(axis="width", values=(16, 64, 256))
TRUE = {"width": -0.3, "batch_size": 0.6, "dataset_size": -0.9, "lr": -0.8}
DEAD = dataclasses.replace(ended(2.31), train_loss=math.log(10))
GONE = Outcome(status="diverged", steps=4, seconds=0.1)


def study_of(outcome_of, *, axes=(WIDTH,), **grid) -> Findings:
    """A study whose trainings end as a function of λ and seed."""
    spec = study_spec(axes=axes, **grid)
    rows = [
        (trial, outcome_of(trial.weight_decay, trial.seed))
        for trial, _ in simulated_rows(spec, {})
    ]
    return findings_of_rows(spec, rows)


def studies() -> dict[str, Findings]:
    """One study for each thing that can be found, or stay open."""
    spec = study_spec(axes=tuple(a for a in AXES if a.axis in TRUE))
    weak = dict.fromkeys((scale for _, scale in WIDTH.cells(spec.base)), 0.0)
    far = AxisSpec(axis="width", values=(16, 64, 4096))
    adamw = dataclasses.replace(spec, name="adamw", optimizer=Optimizer(name="adamw"))
    asker = study_spec(name="asker", normalization="layer-mean", axes=AXES[:1])
    few = [
        row for row in simulated_rows(study_spec(axes=(WIDTH,)), {}) if row[0].seed < 2
    ]
    return {
        "true": simulated_findings(TRUE, spec=spec),
        "flat": simulated_findings({}, spec=spec),
        "noisy": simulated_findings(TRUE, spec=spec, noise=1.5),
        "adamw": simulated_findings(TRUE, spec=adamw),
        "asker": simulated_findings({"width": 1.2}, spec=asker),
        "1 / weights": simulated_findings(
            {"width": -1.47}, spec=study_spec(axes=AXES[:1])
        ),
        "beyond the grid": simulated_findings({}, spec=study_spec(axes=(far,))),
        "no gain": simulated_findings({}, spec=study_spec(axes=(WIDTH,)), weak=weak),
        "two seeds": findings_of_rows(study_spec(axes=(WIDTH,)), few),
        "grid too low": study_of(
            lambda _, seed: ended(0.5 + 0.001 * seed), low=1e-12, high=1e-9, points=7
        ),
        "grid too high": study_of(
            lambda decay, _: GONE if decay else ended(0.5), low=10, high=1e4, points=7
        ),
        "at chance": study_of(lambda *_: DEAD),
        "all diverged": study_of(
            lambda *_: GONE, axes=(WIDTH, AxisSpec(axis="depth", values=(1, 2, 4)))
        ),
        "no base": simulated_findings(
            {}, spec=study_spec(axes=(AxisSpec(axis="width", values=(16, 32)),))
        ),
    }


def test_conclusions(snapshot: SnapshotAssertion) -> None:
    """Every kind of study has its sentences, alone and as an answer."""
    found = studies()
    texts = {
        name: {
            **dataclasses.asdict(conclude(study)),
            "as an answer": conclude(
                Answer(claims=(), studies=(study,), seconds=0.0)
            ).headline,
            "axes": {
                axis.axis: [axis.why_null, axis.note, axis.would_tell]
                for axis in study.axes
            },
        }
        for name, study in found.items()
    }
    whole = Answer(
        claims=(),
        studies=tuple(found[n] for n in ("true", "adamw", "asker")),
        seconds=0.0,
    )
    assert {**texts, "whole": dataclasses.asdict(conclude(whole))} == snapshot


def test_a_terminal_of_80_columns(snapshot: SnapshotAssertion) -> None:
    """The whole answer as a small terminal shows it."""
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_answer(synthetic.answer(), console)
    assert console.file.getvalue() == snapshot  # type: ignore[attr-defined]
