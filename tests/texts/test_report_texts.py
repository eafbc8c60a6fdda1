"""What findings say word by word: conclusions, reasons, a terminal, a table of claims.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import dataclasses
import io
import math

import pytest
from findings.simulated_study import (
    AXES,
    DEAD,
    DIVERGED,
    FEW_WIDTHS,
    cells,
    ended,
    findings_of_rows,
    simulated_findings,
    simulated_rows,
    study_of,
    study_spec,
)
from report import synthetic
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from dwindle.errors import OutputExistsError, RefusedError, ReportWriteError
from dwindle.findings.conclusion import conclude
from dwindle.findings.model import Answer, Findings
from dwindle.report.page import picture_of
from dwindle.report.terminal import print_found
from dwindle.report.writing import write_whole
from dwindle.store.records import Optimizer
from dwindle.store.spec import AxisSpec

TRUE = {"width": -0.3, "batch_size": 0.6, "dataset_size": -0.9, "lr": -0.8}
SPEC = study_spec(axes=(FEW_WIDTHS,))


def judged(slope: float, **changes: object) -> Findings:
    """A study over width whose rules, or whose exponent, are changed."""
    study = simulated_findings({"width": slope}, spec=study_spec(axes=AXES[:1]))
    axis = study.axes[0]
    own = {name: changes.pop(name) for name in {"exponent", "low", "high"} & {*changes}}
    rules = tuple(dataclasses.replace(rule, **changes) for rule in axis.rules)
    axis = dataclasses.replace(axis, rules=rules, **own)
    return dataclasses.replace(study, axes=(axis,))


def scattered() -> Findings:
    """Cells off any power law."""
    rows = [
        row
        for width, exponent in ((16, -1.0), (64, 0.0), (256, 1.0))
        for row in simulated_rows(SPEC, {"width": exponent}, noise=0.1)
        if row[0].scale.width == width
    ]
    return findings_of_rows(SPEC, rows)


def coarse() -> Findings:
    """Three λ over four decades, as an older store has them."""
    rows = [
        row
        for row in simulated_rows(SPEC, {})
        if row[0].weight_decay == 0
        or any(math.isclose(row[0].weight_decay, at) for at in (1e-5, 1e-3, 1e-1))
    ]
    return findings_of_rows(study_spec(axes=(FEW_WIDTHS,), points=3), rows)


def studies() -> dict[str, Findings]:
    """One study for each thing that can be found, or stay open."""
    spec = study_spec(axes=tuple(a for a in AXES if a.axis in TRUE))
    weak = dict.fromkeys((scale for _, scale in FEW_WIDTHS.cells(spec.base)), 0.0)
    far = AxisSpec(axis="width", values=(16, 64, 4096))
    wide = AxisSpec(axis="width", values=(64, 256, 512))
    near = AxisSpec(axis="lr", values=(0.0495, 0.05, 0.0505))
    single = (
        AxisSpec(axis="width", values=(64,)),
        AxisSpec(axis="dataset_size", values=(600,)),
    )
    shallow = AxisSpec(axis="depth", values=(0, 1, 2, 4))
    adamw = dataclasses.replace(spec, name="adamw", optimizer=Optimizer(name="adamw"))
    asker = study_spec(name="asker", normalization="layer-mean", axes=AXES[:1])
    data = study_spec(name="asker", normalization="layer-mean", axes=AXES[3:4])
    rows = simulated_rows(SPEC, {})
    level = (0.5, 0.501, 0.502, 0.499, 0.5)
    excludes = {"exponent": -0.4, "low": -0.9, "high": 0.2}
    half = dataclasses.replace(
        simulated_findings({}, spec=study_spec(axes=AXES[3:4])),
        complete=False,
        trials={"ok": 3, "diverged": 1},
    )
    return {
        "true": simulated_findings(TRUE, spec=spec),
        "flat": simulated_findings({}, spec=spec),
        "noisy": simulated_findings(TRUE, spec=spec, noise=1.5),
        "adamw": simulated_findings(TRUE, spec=adamw),
        "asker": simulated_findings({"width": 1.2}, spec=asker),
        "asker over data": simulated_findings({}, spec=data),
        "1 / weights": judged(-1.47),
        "beyond the grid": simulated_findings({}, spec=study_spec(axes=(far,))),
        "at an edge": simulated_findings({"width": 5.0}, spec=study_spec(axes=(wide,))),
        "from zero": simulated_findings({}, spec=study_spec(axes=(shallow,))),
        "no gain": simulated_findings({}, spec=SPEC, weak=weak),
        "hidden by noise": simulated_findings(
            {}, spec=SPEC, weak=dict.fromkeys(weak, 0.01), noise=1.0
        ),
        "scattered": scattered(),
        "coarse": coarse(),
        "two seeds": findings_of_rows(SPEC, [r for r in rows if r[0].seed < 2]),
        "grid too low": study_of(
            lambda _, seed: ended(level[seed]), low=1e-12, high=1e-9, points=7
        ),
        "grid up to a wall": study_of(
            lambda at, seed: ended(level[seed] * (1 + 9 * at))
        ),
        "grid too high": study_of(
            lambda at, _: DIVERGED if at else ended(0.5), low=10, high=1e4, points=7
        ),
        "grid above which none train": study_of(
            lambda at, _: DEAD if at else ended(0.5), low=10, high=1e4, points=7
        ),
        "at chance": study_of(lambda *_: DEAD),
        "survivors": study_of(
            lambda at, seed: (
                DEAD
                if (seed + int(3 * math.log10(at or 1))) % 4 == 0
                else ended(0.5 + 0.1 * seed + at)
            ),
            points=5,
        ),
        "all diverged": study_of(
            lambda *_: DIVERGED,
            axes=(FEW_WIDTHS, AxisSpec(axis="depth", values=(1, 2, 4))),
        ),
        "no base": simulated_findings(
            {}, spec=study_spec(axes=(AxisSpec(axis="width", values=(16, 32)),))
        ),
        "half done": half,
        "one cell each": simulated_findings({}, spec=study_spec(axes=single)),
        "far too near": simulated_findings({"lr": 4.0}, spec=study_spec(axes=(near,))),
        "overlapping regrets": judged(-0.6, regret_low=0.0, regret_high=9.0),
        "more than decay buys": judged(0.6, share_lost=10.14),
        "no share": judged(0.6, share_lost=None, regret=0.125, beyond_grid=1),
        "excludes nothing": judged(0.0, **excludes, agrees=None),
        "excludes the question": judged(0.0, **excludes, agrees=False),
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
    nothing = Answer(claims=(), studies=(), seconds=0.0)
    answers = {"whole": whole, "nothing": nothing}
    said = {name: dataclasses.asdict(conclude(each)) for name, each in answers.items()}
    assert {**texts, **said} == snapshot


def test_reasons_of_cells(snapshot: SnapshotAssertion) -> None:
    """Why a cell enters no slope, and what a reader of its optimum has to know."""
    whole = cells()["whole"]
    bare = dataclasses.replace(whole.findings, low=None, high=None)
    shown = cells() | {"no limit": dataclasses.replace(whole, findings=bare)}
    texts = {
        name: [cell.excluded_because, cell.findings.why] for name, cell in shown.items()
    }
    assert texts == snapshot


def test_a_terminal_of_80_columns(snapshot: SnapshotAssertion) -> None:
    """The whole answer as a small terminal shows it."""
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_found(synthetic.answer(), console)
    assert console.file.getvalue() == snapshot  # type: ignore[attr-defined]


def test_errors_of_pages_and_pictures(snapshot: SnapshotAssertion) -> None:
    """What stays and why, what the system refuses, and where there is no picture."""
    with pytest.raises(RefusedError) as refused:
        picture_of(synthetic.unknown())
    with pytest.raises(ReportWriteError) as unnamed:
        write_whole("", b"page")
    shown = [
        refused.value,
        unnamed.value,
        OutputExistsError("a.db", "a database", replaceable=False),
        OutputExistsError("a.html", "a file of somebody else", replaceable=True),
    ]
    assert [str(error) for error in shown] == snapshot
