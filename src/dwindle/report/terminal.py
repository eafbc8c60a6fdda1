"""Findings and the answer in a terminal: the conclusion last, where eyes end up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

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
    RowGroup,
    claim_mark,
    claim_table,
    verdict_groups,
    verdict_rules,
)

# Below these, the columns of the verdict would break inside of numbers.
WIDE = 110
WIDEST = 124
_STYLES = {"holds": "green", "corrected": "yellow", "fails": "red"}
_AGREES = {"yes": "green", "no": "red", "not excluded": "dim", "cannot tell": "dim"}
_MATTERS = {"yes": "yes", "no": "no", "cannot tell": "unclear"}
_BARS = "▁▂▃▄▅▆▇█"
_LOST = "×"
_MOST_BARS = 24  # more push the numbers beside them out of the table


def print_answer(answer: Answer, console: Console) -> None:
    """Print claims, studies, the verdict table, the sentences and the next step."""
    _heading(console, QUESTION)
    for position, claim in enumerate(answer.claims, 1):
        console.print(_claim(position, claim))
        console.print()
    if answer.studies:
        _heading(console, "Studies")
        console.print(_studies(answer.studies))
        _print_validation(console, answer.studies)
    if answer.verdict:
        _heading(console, "Exponent of the best λ: measured, and what each rule says")
        console.print(_verdict(answer.verdict, console.width))
    _conclusion(console, answer)


def print_findings(findings: Findings, console: Console) -> None:
    """Print every axis of a study: its cells, its exponent, the rules by regret."""
    _heading(console, f"Study: {text.clean(findings.study)}")
    console.print(_studies((findings,)))
    _print_validation(console, (findings,))
    for axis in findings.axes:
        console.print()
        console.print(_axis(axis, console.width))
    _conclusion(console, findings)


def sparkline(cell: CellFindings, *, ceiling: float) -> str:
    """Return a curve over λ as bars, the lowest loss lowest; ``×`` has no loss.

    Args:
        cell: One cell of an axis.
        ceiling: Loss above the lowest, in nats, that fills a bar.

    Returns:
        One character per λ, from small to large; λ = 0 is left out. Of more λ than 24
        neighbors share one, which shows the lowest of their losses.

    """
    lowest = collapse.lowest_loss(cell)
    points = sorted(cell.curve, key=lambda point: point.weight_decay)
    means = [point.mean for point in points if point.weight_decay > 0]
    count = min(len(means), _MOST_BARS)
    edges = [i * len(means) // count for i in range(count + 1)] if count else []
    parts = (means[start:end] for start, end in pairwise(edges))
    return "".join(
        _bar(min((m for m in part if m is not None), default=None), lowest, ceiling)
        for part in parts
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
        parts += [Text(), _plain_table(evidence)]
    laid_out = Table.grid(Column(no_wrap=True), Column(ratio=1), padding=(0, 2, 0, 0))
    laid_out.add_row(Text(f"{position}", style="bold"), Group(*parts))
    return laid_out


def _plain_table(table: tables.Table) -> Table:
    columns = [Column(_words(name), overflow="fold") for name in table.columns]
    shown = _table(columns)
    for row in table.rows:
        shown.add_row(*map(_words, row))
    return shown


def _print_validation(console: Console, studies: Sequence[Findings]) -> None:
    """Print once what losses are measured on, or once a study where they differ."""
    for told in dict.fromkeys(study.validation for study in studies):
        if told:
            console.print(Text(f"Validation: {told}.", style="dim"))


def _words(value: str) -> Text:
    return Text(value)  # never markup: a name in brackets stays a name


def _table(columns: Iterable[Column]) -> Table:
    return Table(
        *columns,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
    )


def _number_columns(names: Iterable[str]) -> list[Column]:
    """Columns that are never broken nor cut: half a number is a wrong number."""
    return [Column(Text(name), no_wrap=True) for name in names]


def _studies(studies: Sequence[Findings]) -> Table:
    names = ("study", "optimizer", "normalization", "cells", "trainings", "seconds")
    shown = _table(Column(Text(name), overflow="fold") for name in names)
    for study in studies:
        shown.add_row(
            _words(text.clean(study.study)),
            _words(text.clean(study.optimizer)),
            _words(text.clean(study.normalization)),
            str(tables.count_cells(study)),
            _words(tables.trials_text(study)),
            text.fixed(study.seconds, places=1),
        )
    return shown


def _verdict(rows: tuple[VerdictRow, ...], width: int) -> RenderableType:
    parts: list[RenderableType] = []
    for group in verdict_groups(rows):
        titles = [text.rule_title(name) for name in verdict_rules(rows)]
        drawn = _wide(group, titles, width) if width >= WIDE else _narrow(group, titles)
        parts += [Text(group.study, style="bold"), drawn, Text()]
    return Group(*parts[:-1])


def _wide(group: RowGroup, titles: Sequence[str], width: int) -> Table:
    # Without room for it, the interval of a regret is left to the page and to --json.
    shown_lines = 3 if width >= WIDEST else 2
    columns = [Column(Text(name), overflow="fold", ratio=1) for name in titles]
    first = [Column("", width=13), Column(Text("measured"), width=17)]
    shown = _table([*first, *columns])
    for quantity, measured, *told in group.rows:
        shown.add_row(
            _words(*quantity),
            Text("\n".join(measured), style="bold"),
            *(_words("\n".join(each[:shown_lines])) for each in told),
        )
    return shown


def _narrow(group: RowGroup, titles: Sequence[str]) -> Table:
    shown = _table([Column("", width=13), Column(""), Column("", overflow="fold")])
    shown.show_header = False
    for quantity, measured, *told in group.rows:
        law = Text(" ".join(measured), style="bold")
        shown.add_row(_words(*quantity), Text("measured", style="bold"), law)
        for title, each in zip(titles, told, strict=True):
            if each != (text.NOTHING,):
                shown.add_row("", Text(title, style="dim"), Text(" ".join(each)))
    return shown


def _axis(axis: AxisFindings, width: int) -> RenderableType:
    name = text.quantity(axis.axis)
    held = f" ({text.clean(axis.policy)})" if axis.policy else ""
    verdicts: list[RenderableType] = (
        [_rules(axis), Text()] if _has_verdicts(axis) else []
    )
    power = text.exponent(axis.exponent, axis.low, axis.high)
    if axis.exponent is not None:
        law, remark = f"best λ ∝ {name}^{power}", axis.note
    else:
        law, remark = "no exponent", axis.why_null
    parts: list[RenderableType] = [
        Text.assemble((f"{name}{held}", "bold"), ": ", (law, "bold")),
        *([Text(text.clean(remark, limit=600), style="dim")] if remark else []),
        *([Text(f"What would tell: {axis.would_tell}.")] if axis.would_tell else []),
        Text(),
        _cells(axis, width),
        Text(),
        *verdicts,
    ]
    silent = [text.rule_title(rule.rule) for rule in tables.silent_rules(axis)]
    if silent:
        parts.append(Text(f"Do not speak of {name}: {', '.join(silent)}", style="dim"))
    return Group(*parts)


def _has_verdicts(axis: AxisFindings) -> bool:
    """Whether any rule has more than "cannot tell" to show."""
    held = tables.ranked_rules(axis)
    return any(rule.regret is not None or rule.agrees is not None for rule in held)


def _cells(axis: AxisFindings, width: int) -> Table:
    points = [point for cell in axis.cells for point in cell.curve]
    lost = any(point.diverged or point.untrained for point in points)
    is_wide = width >= WIDE
    fields = [each for each in _FIELDS if each.shown(is_wide=is_wide, any_lost=lost)]
    ceiling = collapse.loss_ceiling(axis)
    names = [text.quantity(axis.axis), *(field.name for field in fields)]
    rows = [
        [text.number(cell.value, digits=4), *(f.value(cell, ceiling) for f in fields)]
        for cell in axis.cells
    ]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > width:
        # Curves are drawn on the page, too; the numbers are not to be cut.
        drawn = names.index(_DRAWN)
        names, *rows = ([*row[:drawn], *row[drawn + 1 :]] for row in (names, *rows))
    shown = _table(_number_columns(names))
    for cell, row in zip(axis.cells, rows, strict=True):
        style = "" if cell.matters == "yes" else "dim"
        shown.add_row(*(Text(value, style=style) for value in row))
    return shown


@dataclass(frozen=True)
class _Field:
    """A column of the table of cells, and when there is room and reason for it."""

    name: str
    value: Callable[[CellFindings, float], str]
    needs: Literal["nothing", "room", "losses"] = "nothing"

    def shown(self, *, is_wide: bool, any_lost: bool) -> bool:
        known = {"nothing": True, "room": is_wide, "losses": any_lost}
        return known[self.needs]


_GAP = 2  # between two columns
_DRAWN = "loss over λ"
_FIELDS = (
    _Field("best λ", lambda cell, _: tables.optimum_text(cell)),
    _Field("90 %", lambda cell, _: text.decay_interval(cell.low, cell.high)),
    _Field("matters", lambda cell, _: _MATTERS.get(cell.matters, "?")),
    _Field("loss", lambda cell, _: text.fixed(cell.loss_at_optimum)),
    _Field("λ = 0", lambda cell, _: text.fixed(cell.loss_without_decay)),
    _Field("buys", lambda cell, _: text.fixed(cell.gain), "room"),
    _Field(_DRAWN, lambda cell, top: sparkline(cell, ceiling=top)),
    _Field("diverged", lambda cell, _: str(tables.diverged(cell)), "losses"),
    _Field("chance", lambda cell, _: str(tables.at_chance(cell)), "losses"),
)


def _rules(axis: AxisFindings) -> Table:
    table = tables.rules_table(axis)
    name, *numbers = table.columns
    shown = _table([Column(Text(name), overflow="fold"), *_number_columns(numbers)])
    for rule, row in zip(tables.ranked_rules(axis), table.rows, strict=True):
        told = [Text(value) for value in row]
        told[2].stylize(_AGREES[tables.agreement(rule)])
        shown.add_row(*told)
    return shown
