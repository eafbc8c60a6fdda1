"""Findings and the answer in a terminal: the conclusion last, where eyes end up."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dwindle.findings.model import (
    Answer,
    AxisFindings,
    CellFindings,
    Claim,
    Findings,
    VerdictRow,
)
from dwindle.report import collapse, sentences, tables, text
from dwindle.report.content import (
    QUESTION,
    claim_mark,
    claim_table,
    verdict_groups,
    verdict_rules,
)

# Below this, seven columns of the verdict would break inside of numbers.
WIDE = 118
_STYLES = {"holds": "green", "corrected": "yellow", "fails": "red"}
_AGREES = {"yes": "green", "no": "red", "cannot tell": "dim"}
_MATTERS = {"yes": "", "no": "dim", "cannot tell": "dim"}
_BARS = "▁▂▃▄▅▆▇█"
_LOST = "×"


def print_answer(answer: Answer, console: Console) -> None:
    """Print claims, studies, the verdict table, the sentences and the next step."""
    _heading(console, QUESTION)
    for position, claim in enumerate(answer.claims, 1):
        console.print(_claim(position, claim))
        console.print()
    if answer.studies:
        _heading(console, "Studies")
        console.print(_studies(answer.studies))
    if answer.verdict:
        _heading(console, "Exponent of the best λ: measured, and what each rule says")
        wide = console.width >= WIDE
        console.print(_wide(answer.verdict) if wide else _narrow(answer.verdict))
    _conclusion(console, answer)


def print_findings(findings: Findings, console: Console) -> None:
    """Print every axis of a study: its cells, its exponent, the rules by regret."""
    _heading(console, f"Study: {text.clean(findings.study)}")
    console.print(_studies((findings,)))
    for axis in findings.axes:
        console.print()
        console.print(_axis(axis, wide=console.width >= WIDE))
    _conclusion(console, findings)


def sparkline(cell: CellFindings, *, ceiling: float) -> str:
    """Return a curve over λ as bars, the lowest loss lowest; ``×`` has no loss.

    Args:
        cell: One cell of an axis.
        ceiling: Loss above the lowest, in nats, that fills a bar.

    Returns:
        One character per λ, from small to large; λ = 0 is left out.

    """
    lowest = collapse.lowest_loss(cell)
    points = sorted(cell.curve, key=lambda point: point.weight_decay)
    return "".join(
        _bar(point.mean, lowest, ceiling) for point in points if point.weight_decay > 0
    )


def _bar(mean: float | None, lowest: float | None, ceiling: float) -> str:
    if mean is None or lowest is None:
        return _LOST
    level = int((mean - lowest) / ceiling * len(_BARS))
    return _BARS[min(max(level, 0), len(_BARS) - 1)]


def _heading(console: Console, title: str) -> None:
    console.print()
    console.rule(Text(title, style="bold"), align="left", style="dim")
    console.print()


def _conclusion(console: Console, shown: Answer | Findings) -> None:
    _heading(console, "Verdict")
    console.print(Text(sentences.headline(shown), style="bold"))
    for sentence in sentences.verdict(shown):
        console.print()
        console.print(Text(sentence))
    steps = sentences.next_steps(shown)
    if steps:
        _heading(console, "Next step")
    for step in steps:
        # Soft wrap: a line that is copied must not gain line breaks.
        console.print(Text(step, style="cyan"), soft_wrap=True)


def _claim(position: int, claim: Claim) -> RenderableType:
    kind, sign = claim_mark(claim)
    style = _STYLES[kind]
    told = text.clean(claim.claim, limit=600).rstrip(".")
    parts: list[RenderableType] = [
        Text(told, style="bold"),
        Text.assemble(
            (f"{sign} {text.clean(claim.verdict)}", f"bold {style}"),
            (": ", "dim"),
            text.clean(claim.number, limit=400),
        ),
    ]
    if claim.explanation:
        parts.append(Text(text.clean(claim.explanation, limit=2000)))
    whose = text.clean(claim.whose).rstrip(".")
    how = text.clean(claim.how, limit=600).rstrip(".")
    parts.append(Text(f"Said by: {whose}. Checked: {how}.", style="dim"))
    evidence = claim_table(claim)
    if evidence is not None:
        parts.append(_plain_table(evidence))
    laid_out = Table.grid(Column(no_wrap=True), Column(ratio=1), padding=(0, 2, 0, 0))
    laid_out.add_row(Text(f"{position}", style="bold"), Group(*parts))
    return laid_out


def _plain_table(table: tables.Table) -> Table:
    columns = [Column(_words(name), overflow="fold") for name in table.columns]
    shown = _table(columns)
    for row in table.rows:
        shown.add_row(*map(_words, row))
    return shown


def _words(value: str) -> Text:
    return Text(value)


def _table(columns: Iterable[Column]) -> Table:
    return Table(
        *columns,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        header_style="dim",
        border_style="dim",
    )


def _studies(studies: Sequence[Findings]) -> Table:
    names = ("study", "optimizer", "normalization", "cells", "trainings", "seconds")
    shown = _table(Column(Text(name), overflow="fold") for name in names)
    for study in studies:
        shown.add_row(
            _words(text.clean(study.study)),
            _words(text.clean(study.optimizer)),
            _words(text.clean(study.normalization)),
            str(sum(len(axis.cells) for axis in study.axes)),
            _words(tables.trials_text(study)),
            text.fixed(study.seconds, places=1),
        )
    return shown


def _wide(rows: tuple[VerdictRow, ...]) -> Table:
    titles = [text.rule_title(name) for name in verdict_rules(rows)]
    columns = [Column(Text(name), ratio=1) for name in titles]
    shown = _table(
        [Column(Text("quantity")), Column(Text("measured"), ratio=1), *columns]
    )
    shown.show_lines = False
    for group in verdict_groups(rows):
        shown.add_row(Text(group.study, style="bold"))
        for quantity, measured, *told in group.rows:
            shown.add_row(
                _words(*quantity),
                Text("\n".join(measured), style="bold"),
                *(_words("\n".join(each)) for each in told),
            )
        shown.add_section()
    return shown


def _narrow(rows: tuple[VerdictRow, ...]) -> Table:
    titles = [text.rule_title(name) for name in verdict_rules(rows)]
    shown = _table([Column(""), Column(""), Column("")])
    shown.show_header = False
    for group in verdict_groups(rows):
        shown.add_row(Text(group.study, style="bold"))
        for quantity, measured, *told in group.rows:
            shown.add_row(
                _words(*quantity),
                Text("measured", style="bold"),
                Text(" ".join(measured)),
            )
            for title, each in zip(titles, told, strict=True):
                if each != (text.NOTHING,):
                    shown.add_row("", Text(title, style="dim"), Text(" ".join(each)))
        shown.add_section()
    return shown


def _axis(axis: AxisFindings, *, wide: bool) -> RenderableType:
    name = text.quantity(axis.axis)
    held = f" ({text.clean(axis.policy)})" if axis.policy else ""
    power = text.exponent(axis.exponent, axis.low, axis.high)
    if axis.exponent is not None:
        law, remark = f"best λ ∝ {name}^{power}", axis.note
    else:
        law, remark = "no exponent", axis.why_null
    parts: list[RenderableType] = [
        Text.assemble((f"{name}{held}", "bold"), ": ", (law, "bold")),
        *([Text(text.clean(remark, limit=600), style="dim")] if remark else []),
        _cells(axis, wide=wide),
        _rules(axis),
    ]
    silent = [text.rule_title(rule.rule) for rule in tables.silent_rules(axis)]
    if silent:
        parts.append(Text(f"Do not speak of {name}: {', '.join(silent)}", style="dim"))
    return Group(*parts)


def _cells(axis: AxisFindings, *, wide: bool) -> Table:
    names = [text.quantity(axis.axis), "best λ", "90 %", "matters", "loss"]
    names += ["without decay"] if wide else []
    names += ["buys", "loss over λ"]
    lost = any(tables.diverged(cell) for cell in axis.cells)
    shown = _table(Column(Text(name)) for name in (*names, *(["diverged"] * lost)))
    ceiling = collapse.loss_ceiling(axis)
    for cell in axis.cells:
        shown.add_row(*_cell(cell, ceiling=ceiling, wide=wide, lost=lost))
    return shown


def _cell(
    cell: CellFindings, *, ceiling: float, wide: bool, lost: bool
) -> Iterable[Text]:
    style = _MATTERS.get(cell.matters, "")
    yield Text(text.number(cell.value, digits=4), style=style)
    yield Text(tables.optimum_text(cell), style=style)
    yield Text(text.decay_interval(cell.low, cell.high), style=style)
    yield Text(text.clean(cell.matters), style=style)
    yield Text(text.fixed(cell.loss_at_optimum), style=style)
    if wide:
        yield Text(text.fixed(cell.loss_without_decay), style=style)
    yield Text(text.fixed(cell.gain), style=style)
    yield Text(sparkline(cell, ceiling=ceiling), style=style)
    if lost:
        count = tables.diverged(cell)
        yield Text(str(count), style="red" if count else style)


def _rules(axis: AxisFindings) -> Table:
    table = tables.rules_table(axis)
    shown = _table(Column(Text(name)) for name in table.columns)
    for rule, row in zip(tables.ranked_rules(axis), table.rows, strict=True):
        told = [Text(value) for value in row]
        told[2].stylize(_AGREES[tables.agreement(rule)])
        shown.add_row(*told)
    return shown
