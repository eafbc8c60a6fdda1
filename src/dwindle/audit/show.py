"""How an audit looks: in a terminal, as plain text, and in a notebook."""

import io
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from dwindle.audit.codes import count, share
from dwindle.audit.findings import Audit, Finding, GroupLine

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_WIDTH_OF_TEXT = 100
_CLOCKS = ("epochs", "tokens", "examples", "steps")
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}
_USUAL_DTYPE = "float32"
# Two lines where the numbers below are shorter than their name.
_HEADERS: Mapping[str, str] = {
    "weight_decay": "weight\ndecay",
    "run keeps": "run\nkeeps",
}
_NOTHING = "Nothing was found."
_NOTHING_NEW = "Nothing new was found."


def columns_of(audit: Audit) -> dict[str, list[str]]:
    """Return the table of groups as texts, column by column; empty ones are left out.

    Example:
        >>> line = GroupLine(group="0", lr=3e-4, weight_decay=0.1)
        >>> columns_of(Audit(target="", table=(line,)))
        {'group': ['0'], 'lr': ['0.0003'], 'weight_decay': ['0.1']}

    """
    rows = audit.table
    columns = {
        "group": [line.group for line in rows],
        "tensors": [_size(line.parameters) for line in rows],
        "numbers": [_size(line.numbers) for line in rows],
        "lr": [_number(line.lr) for line in rows],
        "weight_decay": [_number(line.weight_decay) for line in rows],
        "decay is": [_kind(line) for line in rows],
        "half-life": [half_life_text(line.half_life) for line in rows],
        "run keeps": ["" if line.kept is None else share(line.kept) for line in rows],
        "dtype": _dtypes(rows),
    }
    return {name: texts for name, texts in columns.items() if any(texts)}


def half_life_text(times: Mapping[str, float | None]) -> str:
    """Return a half-life on the first clock that is known, epochs before steps.

    Example:
        >>> half_life_text({"steps": 6931.1, "epochs": None})
        '6,931 steps'

    """
    for clock in _CLOCKS:
        value = times.get(clock)
        if value is not None:
            return f"{count(value)} {clock}"
    return ""


def summary(audit: Audit) -> str:
    """Return how many findings there are: ``1 error, 2 warnings``.

    Of a change it names what is left out, for it was there before as well.
    """
    told = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity, count in audit.counts.items()
        if count
    ]
    if not audit.in_both:
        return ", ".join(told) + "." if told else _NOTHING
    counted = ", ".join(told) + "." if told else _NOTHING_NEW
    return f"{counted} Left out, for both have it: {', '.join(audit.in_both)}."


def as_rich(audit: Audit, *, whole_lines: bool = False) -> "RenderableType":
    """Return the audit as rich draws it.

    Args:
        audit: What to draw.
        whole_lines: Whether lines to copy may run over the edge, for a console that
            does not crop, instead of being folded.

    """
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(), _heading(audit)]
    parts.extend(_indented(text, 2, "dim") for text in _facts(audit))
    if audit.table:
        parts += [Text(), _groups(audit)]
    for found in _each_line_once(audit.findings):
        parts += [Text(), _first_line(found), *_body(found, whole_lines=whole_lines)]
    parts += [Text(), Text(f"  {summary(audit)}", style="bold")]
    parts.extend(_indented(text, 2, "dim") for text in _closing(audit))
    return Group(*parts, Text())


def as_text(audit: Audit) -> str:
    """Return the audit as plain text, without colors."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDTH_OF_TEXT, color_system=None)
    with console.capture() as captured:
        console.print(as_rich(audit, whole_lines=True), crop=False)
    lines = captured.get().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def as_html(audit: Audit) -> str:
    """Return the audit as HTML for a notebook; every text is escaped."""
    columns = columns_of(audit)
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    table = f"<table><tr>{heads}</tr>{rows}</table>" if columns else ""
    facts = "<br>".join(map(escape, _facts(audit)))
    found = "".join(
        f"<li>{_finding_html(each)}</li>" for each in _each_line_once(audit.findings)
    )
    return (
        f"<div><p><b>{escape(_title(audit))}</b><br>{facts}</p>{table}"
        f"<ul>{found}</ul><p>{escape(summary(audit))}</p></div>"
    )


def _each_line_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings; one whose line stands above already says where."""
    first: dict[str, str] = {}
    for found in findings:
        code = first.setdefault(found.line, found.code) if found.line else found.code
        if code == found.code:
            yield found
        else:
            yield found.without_line("above", above=code)


def _finding_html(found: Finding) -> str:
    head = f"{found.code} {found.severity}: {found.title}"
    texts = "<br>".join(
        escape(each) for each in (found.where, found.evidence, found.remedy) if each
    )
    line = f"<pre>{escape(found.line)}</pre>" if found.line else ""
    return f"<b>{escape(head)}</b><br>{texts}{line}"


def _title(audit: Audit) -> str:
    return " · ".join(filter(None, (audit.target, audit.optimizer)))


def _heading(audit: Audit) -> "RenderableType":
    from rich.padding import Padding
    from rich.text import Text

    title = Text(audit.target, style="bold")
    if audit.optimizer:
        title.append(f" · {audit.optimizer}", style="not bold")
    return Padding(title, (0, 2, 0, 2), expand=False)


def _facts(audit: Audit) -> Iterator[str]:
    if audit.facts:
        yield " · ".join(f"{name} {text}" for name, text in audit.facts.items())


def _closing(audit: Audit) -> Iterator[str]:
    yield from audit.unchecked
    if audit.findings:
        code = audit.findings[0].code
        yield f"dwindle audit --explain {code} tells why it matters."


def _groups(audit: Audit) -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns = columns_of(audit)
    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim")
    for name in columns:
        is_text = name in {"group", "decay is", "dtype"}
        table.add_column(
            _HEADERS.get(name, name),
            justify="left" if is_text else "right",
            vertical="bottom",
            overflow="fold",
        )
    rows = zip(*columns.values(), strict=True)
    for line, row in zip(audit.table, rows, strict=True):
        decays = line.weight_decay or any(line.half_life.values())
        table.add_row(*map(Text, row), style=None if decays else "dim")
    return table


def _first_line(found: Finding) -> "RenderableType":
    from rich.text import Text

    style = _STYLES[found.severity]
    line = Text("  ").append(f"{found.code} {found.severity}", style=style)
    return line.append(f"  {found.title}", style="bold")


def _body(found: Finding, *, whole_lines: bool) -> "Iterator[RenderableType]":
    from rich.text import Text

    if found.where:
        yield _indented(found.where, 8, "cyan")
    for text in (found.evidence, found.remedy):
        if text:
            yield _indented(text, 8)
    for line in found.line.splitlines():
        yield Text(
            f"{' ' * 12}{line}",
            style="bold green",
            no_wrap=whole_lines,
            overflow="ignore" if whole_lines else "fold",
        )


def _indented(text: str, columns: int, style: str = "") -> "RenderableType":
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text, style=style), (0, 2, 0, columns), expand=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _size(value: int | None) -> str:
    return "" if value is None else count(value)


def _kind(line: GroupLine) -> str:
    return "held" if line.is_held else line.family or line.walk or ""


def _dtypes(rows: tuple[GroupLine, ...]) -> list[str]:
    """Return the number formats; where all are the usual one there is no column."""
    told = [line.dtype or "" for line in rows]
    return [] if {*told} <= {"", _USUAL_DTYPE} else told
