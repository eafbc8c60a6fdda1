"""How an audit looks: in a terminal, as plain text, and in a notebook."""

from collections.abc import Iterable, Iterator, Mapping

from dwindle.audit.findings import Audit, Finding, GroupLine
from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table
from dwindle.wording import count, number, percent, time_on

_CLOCKS = ("epochs", "tokens", "examples", "steps")
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}
_USUAL_DTYPE = "float32"
_NOTHING = "Nothing was found."
_NOTHING_NEW = "Nothing new was found."


def sheet_of(audit: Audit, *, whole_lines: bool = True) -> Sheet:
    """Return the audit as it is drawn: facts, groups, findings, and what is missing.

    Args:
        audit: What to draw.
        whole_lines: Whether lines to copy may run over the edge, where nothing is
            cropped, instead of being folded.

    """
    title = Styled(" · ".join(filter(None, (audit.target, audit.optimizer))), "bold")
    parts: list[Drawable | str] = ["", Line(text=title, indent=2)]
    if audit.facts:
        facts = " · ".join(f"{name} {text}" for name, text in audit.facts.items())
        parts.append(Line(text=facts, style="dim", indent=2))
    if audit.table:
        parts += ["", table_of(audit.table)]
    for found in _each_line_once(audit.findings):
        parts += ["", *_finding(found, whole=whole_lines)]
    parts += ["", Line(text=summary(audit), style="bold", indent=2)]
    closing = list(audit.unchecked)
    if audit.findings:
        code = audit.findings[0].code
        closing.append(f"dwindle audit --explain {code} says why it matters.")
    parts += [Line(text=text, style="dim", indent=2) for text in closing]
    return Sheet(parts=[*parts, ""])


def table_of(lines: Iterable[GroupLine]) -> Table:
    """Return the table of groups; a column that no group fills is left out.

    Example:
        >>> from dwindle.show import as_text
        >>> print(as_text(table_of([GroupLine(group="0", lr=3e-4, weight_decay=0.1)])))
          group      lr  weight_decay
          0      0.0003           0.1

    """
    rows = list(lines)
    # Where all number formats are the usual one there is no column for them.
    is_usual = {line.dtype for line in rows} <= {None, _USUAL_DTYPE}
    return Table(
        columns=[
            Column("group", "name"),
            *(Column(name, "number") for name in ("tensors", "numbers", "lr")),
            Column("weight_decay", "number"),
            Column("decay is", "name"),
            *(Column(name, "number") for name in ("half-life", "run keeps")),
            Column("dtype", "name"),
        ],
        rows=[_row(line, "" if is_usual else line.dtype or "") for line in rows],
        indent=2,
    )


def _row(line: GroupLine, dtype: str) -> list[str]:
    cells = [
        line.group,
        _or_empty(line.parameters, count(line.parameters)),
        _or_empty(line.numbers, count(line.numbers)),
        _or_empty(line.lr, number(line.lr, digits=6)),
        _or_empty(line.weight_decay, number(line.weight_decay, digits=6)),
        "held" if line.is_held else line.family or line.walk or "",
        half_life_text(line.half_life),
        _or_empty(line.kept, percent(line.kept)),
        dtype,
    ]
    decays = line.weight_decay or any(line.half_life.values())
    return cells if decays else [Styled(cell, "dim") for cell in cells]


def _or_empty(value: float | None, text: str) -> str:
    return "" if value is None else text


def half_life_text(times: Mapping[str, float | None]) -> str:
    """Return a half-life on the first clock that is known, epochs before steps.

    Example:
        >>> half_life_text({"steps": 6931.1, "epochs": None})
        '6,931 steps'

    """
    for clock in _CLOCKS:
        value = times.get(clock)
        if value is not None:
            return time_on(clock, value)
    return ""


def summary(audit: Audit) -> str:
    """Return how many findings there are: ``1 error, 2 warnings``.

    Of a change it names what is left out, for it was there before as well.
    """
    counts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity, count in audit.counts.items()
        if count
    ]
    counted = f"{', '.join(counts)}." if counts else ""
    if not audit.in_both:
        return counted or _NOTHING
    both = ", ".join(audit.in_both)
    return f"{counted or _NOTHING_NEW} Left out, for both have it: {both}."


def _each_line_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings; one whose line stands above already says where."""
    first: dict[str, str] = {}
    for found in findings:
        code = first.setdefault(found.line, found.code) if found.line else found.code
        is_first = code == found.code
        yield found if is_first else found.without_line("above", above=code)


def _finding(found: Finding, *, whole: bool) -> Iterator[Line]:
    head = f"{found.code} {found.severity}  {found.title}"
    yield Line(text=head, style=_STYLES[found.severity], indent=2)
    if found.where:
        yield Line(text=found.where, style="cyan", indent=8)
    for text in filter(None, (found.evidence, found.remedy)):
        yield Line(text=text, indent=8)
    if found.line:
        yield Line(text=found.line, style="bold green", indent=12, whole=whole)
