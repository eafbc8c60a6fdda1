"""Findings and the answer in a terminal: the conclusion last, where eyes end up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from dwindle.findings.conclusion import conclude
from dwindle.findings.model import (
    Answer,
    AxisFindings,
    CellFindings,
    Claim,
    Findings,
)
from dwindle.findings.names import exponent, quantity, rule_title
from dwindle.findings.verdict import VerdictRow, ranked_rules, verdict_rows
from dwindle.report import collapse, tables
from dwindle.report.page import MARKS, QUESTION
from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table, as_text
from dwindle.wording import clean, fixed, interval, number

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 110  # columns, from which on what decay buys has its own
_BARS = "▁▂▃▄▅▆▇█"
_LOST = "×"
_DRAWN = "loss over λ"
# Nothing folds at this width, so it shows how wide a table is.
_ANY_WIDTH = 10_000
_MOST_BARS = 24  # more push the numbers beside them out of the table

Parts = Iterator[Drawable | str]


def print_found(found: Answer | Findings, console: "Console") -> None:
    """Print an answer with its claims, or a study axis by axis; the conclusion last."""
    of_kind = _answer if isinstance(found, Answer) else _study
    parts = of_kind(found, console.width)  # type: ignore[arg-type] # each of its kind
    # Uncropped: a line to copy runs over the edge rather than losing its end.
    console.print(Sheet(parts=tuple(parts)), crop=False)


def _answer(answer: Answer, width: int) -> Parts:
    yield from _heading(QUESTION, width)
    # The answer first; what it follows from comes below.
    yield Line(text=conclude(answer).headline, style="bold")
    yield ""
    for position, claim in enumerate(answer.claims, 1):
        yield from _claim(position, claim)
        yield ""
    if answer.studies:
        yield from _heading("Studies", width)
        yield from _studies(answer.studies)
    rows = verdict_rows(answer.studies)
    if rows:
        title = "Exponent of the best λ: measured, and what each rule predicts"
        yield from _heading(title, width)
        for study, of_study in groupby(rows, lambda row: row.study):
            yield Line(text=clean(study), style="bold")
            yield _verdict(list(of_study))
            yield ""
    yield from _conclusion(answer, width)


def _study(findings: Findings, width: int) -> Parts:
    yield from _heading(f"Study: {clean(findings.study)}", width)
    yield from _studies((findings,))
    for axis in findings.axes:
        yield ""
        yield from _axis(axis, width)
    yield from _conclusion(findings, width)


def _heading(title: str, width: int) -> Parts:
    yield ""
    yield Line(text=f"{title} {'─' * (width - len(title) - 1)}"[:width], style="bold")
    yield ""


def _conclusion(shown: Answer | Findings, width: int) -> Parts:
    conclusion = conclude(shown)
    yield from _heading("Verdict", width)
    if not isinstance(shown, Answer):
        yield Line(text=conclusion.headline, style="bold")
        yield ""
    for sentence in (*conclusion.sentences, *conclusion.remarks):
        yield sentence
        yield ""
    if conclusion.next_steps:
        yield from _heading("Next step", width)
    # Whole: a line that is copied must not gain line breaks.
    for step in conclusion.next_steps:
        yield Line(text=step, style="cyan", whole=True)


def _claim(position: int, claim: Claim) -> Parts:
    mark = MARKS[claim.verdict]
    yield Line(text=f"{position}  {clean(claim.claim, limit=600)}", style="bold")
    verdict = Styled(f"{mark.sign} {claim.verdict}", f"bold {mark.style}")
    yield Line(text=(verdict, clean(claim.number, limit=400)), indent=3)
    if claim.explanation:
        yield Line(text=clean(claim.explanation, limit=2000), indent=3)
    whose, how = clean(claim.whose), clean(claim.how, limit=600)
    yield Line(text=f"From: {whose}. Checked: {how}.", style="dim", indent=3)
    evidence = tables.claim_table(claim)
    if evidence is not None:
        yield ""
        yield Table(columns=evidence.columns, rows=evidence.rows, indent=3)


def _studies(studies: Sequence[Findings]) -> Parts:
    names = ("study", "optimizer", "normalization", "cells", "trainings", "seconds")
    rows = [
        (
            clean(study.study),
            clean(study.optimizer),
            clean(study.normalization),
            str(tables.count_cells(study)),
            tables.trials_text(study),
            fixed(study.seconds, 1),
        )
        for study in studies
    ]
    yield Table(columns=names, rows=rows)
    for validation in dict.fromkeys(study.validation for study in studies):
        if validation:
            yield Line(text=f"Validation: {validation}.", style="dim")


def _verdict(rows: Sequence[VerdictRow]) -> Table:
    """Return a line for the measured exponent, and for each rule that predicts one."""
    lines: list[tuple[str, str, str]] = []
    for row in rows:  # its name stands once, above its rules
        power = Styled(" ".join(tables.measured_lines(row)), "bold")
        lines.append((quantity(row.axis), Styled("measured", "bold"), power))
        lines += [
            ("", rule_title(name), " ".join(tables.verdict_cell(rule)))
            for name, rule in row.rules.items()
            if rule is not None and rule.exponent is not None
        ]
    columns = (Column("quantity", "name"), Column("rule", style="dim"), "exponent")
    return Table(columns=columns, rows=lines, heads=False)


def _axis(axis: AxisFindings, width: int) -> Parts:
    name = quantity(axis.axis)
    law = f"best λ ∝ {name}^{exponent(axis)}"
    law = "no exponent" if axis.exponent is None else law
    yield Line(text=f"{tables.axis_heading(axis)}: {law}", style="bold")
    if axis.remark:
        yield Line(text=clean(axis.remark, limit=600), style="dim")
    if axis.would_tell:
        yield f"What would decide it: {axis.would_tell}."
    yield ""
    yield _cells(axis, width)
    ranked = ranked_rules(axis)
    # A table without a number adds nothing to the line above it.
    if any(rule.regret is not None or rule.agrees is not None for rule in ranked):
        rules = tables.rules_table(axis)
        yield ""
        yield Table(columns=rules.columns, rows=rules.rows)
    silent = [rule_title(rule.rule) for rule in axis.rules if not rule.applies]
    if silent:
        yield ""
        yield Line(text=f"Not about {name}: {', '.join(silent)}", style="dim")


def _cells(axis: AxisFindings, width: int) -> Table:
    """Return a row per cell; columns that are drawn or rarely read need room."""
    points = [point for cell in axis.cells for point in cell.curve]
    any_lost = any(point.diverged or point.untrained for point in points)
    ceiling = collapse.loss_ceiling(axis)
    columns: dict[str, Callable[[CellFindings], str]] = {
        quantity(axis.axis): lambda cell: number(cell.value, digits=4),
        "best λ": tables.optimum_text,
        "90 %": lambda cell: interval(cell.low, cell.high),
        "matters": tables.matters_text,
        "loss": lambda cell: fixed(cell.loss_at_optimum, 3),
        "λ = 0": lambda cell: fixed(cell.loss_without_decay, 3),
    }
    if width >= WIDE:
        columns["buys"] = lambda cell: fixed(cell.gain, 3)
    columns[_DRAWN] = lambda cell: sparkline(cell, ceiling=ceiling)
    if any_lost:
        columns["diverged"] = lambda cell: str(tables.diverged(cell))
        columns["chance"] = lambda cell: str(tables.at_chance(cell))

    def table(shown: Iterable[str]) -> Table:
        rows = [
            [
                Styled(columns[name](cell), "" if cell.matters == "yes" else "dim")
                for name in shown
            ]
            for cell in axis.cells
        ]
        return Table(columns=[Column(name, "number") for name in shown], rows=rows)

    whole = table(columns)
    if max(map(len, as_text(whole, width=_ANY_WIDTH).splitlines()), default=0) <= width:
        return whole
    # Curves are drawn on the page, too; the numbers are not to be cut.
    return table([name for name in columns if name != _DRAWN])


def sparkline(cell: CellFindings, *, ceiling: float) -> str:
    """Return a curve over λ as bars, the lowest loss lowest; ``×`` has no loss.

    ``ceiling`` is the loss above the lowest, in nats, that fills a bar. λ = 0 is left
    out; of more λ than 24 neighbors share a bar, which shows their lowest loss.
    """
    lowest = collapse.lowest_loss(cell)
    points = sorted(cell.curve, key=lambda point: point.weight_decay)
    means = [point.mean for point in points if point.weight_decay > 0]
    count = min(len(means), _MOST_BARS)
    edges = [i * len(means) // count for i in range(count + 1)] if count else []
    bars = ""
    for start, end in pairwise(edges):
        mean = min((m for m in means[start:end] if m is not None), default=None)
        if mean is None or lowest is None:
            bars += _LOST
            continue
        level = int((mean - lowest) / ceiling * len(_BARS))
        bars += _BARS[min(max(level, 0), len(_BARS) - 1)]
    return bars
