"""What stands on the page, in order, as plain text and finished figures."""

from collections.abc import Iterator
from dataclasses import dataclass

from dwindle.findings.model import (
    Answer,
    AxisFindings,
    Claim,
    Findings,
    VerdictRow,
)
from dwindle.report import collapse, figures, render, sentences, tables, text
from dwindle.report.figure_terms import common_decay, terms_rows
from dwindle.report.tables import Table
from dwindle.report.themes import PAGE

QUESTION = "Should L2 regularization be corrected for scale?"

# A verdict is told by word and sign as well as by color.
_MARKS = {
    "holds": ("holds", "✓"),
    "holds with a correction": ("corrected", "≈"),
    "does not hold": ("fails", "✗"),
}


@dataclass(frozen=True, kw_only=True)
class PanelView:
    """One drawing with its heading."""

    svg: str
    title: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """Panels side by side, and their numbers as tables."""

    panels: tuple[PanelView, ...]
    tables: tuple[Table, ...]
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class CollapseView:
    """The collapse plot of one axis under its heading."""

    heading: str
    remark: str
    figure: FigureView


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """Everything that the page shows of one study."""

    name: str
    collapse: tuple[CollapseView, ...]
    exponents: FigureView
    regret: FigureView | None
    terms: FigureView | None
    cells: tuple[Table, ...]
    conditions: Table


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """One claim with the look of its verdict."""

    position: int
    claim: str
    whose: str
    how: str
    number: str
    explanation: str
    verdict: str
    kind: str
    sign: str
    table: Table | None


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """The rows of the verdict table that belong to one study; values are lines."""

    study: str
    rows: tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole page."""

    title: str
    headline: str
    verdict: tuple[str, ...]
    row_rules: tuple[str, ...]
    rows: tuple[RowGroup, ...]
    claims: tuple[ClaimView, ...]
    studies: tuple[StudyView, ...]
    next_steps: tuple[str, ...]


def page_of(shown: Answer | Findings) -> Page:
    """Return the page of an answer or of a single study."""
    whole = isinstance(shown, Answer)
    studies = sentences.studies_of(shown)
    rows = shown.verdict if isinstance(shown, Answer) else ()
    claims = shown.claims if isinstance(shown, Answer) else ()
    title = QUESTION if whole else f"Study: {text.clean(studies[0].study)}"
    return Page(
        title=title,
        headline=sentences.headline(shown),
        verdict=sentences.verdict(shown),
        row_rules=tuple(text.rule_title(name) for name in verdict_rules(rows)),
        rows=verdict_groups(rows),
        claims=tuple(_claim_view(i, claim) for i, claim in enumerate(claims, 1)),
        studies=tuple(_study_view(f"s{i}", each) for i, each in enumerate(studies)),
        next_steps=sentences.next_steps(shown),
    )


def verdict_rules(rows: tuple[VerdictRow, ...]) -> tuple[str, ...]:
    """Return the rules of a verdict table in the order they first appear."""
    return tuple(dict.fromkeys(name for row in rows for name in row.rules))


def verdict_groups(rows: tuple[VerdictRow, ...]) -> tuple[RowGroup, ...]:
    """Return the rows of a verdict table by study, in their order."""
    names = verdict_rules(rows)
    by_study: dict[str, list[tuple[tuple[str, ...], ...]]] = {}
    for row in rows:
        told = (row.rules.get(name, text.NOTHING) for name in names)
        line = ((text.quantity(row.axis),), *map(verdict_lines, (row.measured, *told)))
        by_study.setdefault(text.clean(row.study), []).append(line)
    return tuple(
        RowGroup(study=study, rows=tuple(lines)) for study, lines in by_study.items()
    )


def verdict_lines(value: str) -> tuple[str, ...]:
    """Return a value of the verdict in the lines that it reads in.

    Example:
        >>> verdict_lines("−0.40 (−0.87 to 0.08)")
        ('−0.40', '(−0.87 to 0.08)')
        >>> verdict_lines("1.00, loses 0.043 (0.007–0.078)")
        ('1.00', 'loses 0.043', '(0.007–0.078)')

    """
    broken = text.clean(value).replace(", loses", "\nloses").replace(" (", "\n(", 1)
    return tuple(broken.replace("cannot tell: ", "cannot tell\n").split("\n"))


def claim_mark(claim: Claim) -> tuple[str, str]:
    """Return the kind of a verdict and the sign that stands before it."""
    return _MARKS.get(claim.verdict, ("corrected", "?"))


def claim_table(claim: Claim) -> Table | None:
    """Return the evidence of a claim as a table; its first row names the columns."""
    if not claim.table:
        return None
    columns, *rows = (tuple(text.clean(v) for v in row) for row in claim.table)
    return Table(caption="", columns=columns, rows=tuple(rows))


def _claim_view(position: int, claim: Claim) -> ClaimView:
    kind, sign = claim_mark(claim)
    return ClaimView(
        position=position,
        claim=text.clean(claim.claim, limit=600).rstrip("."),
        whose=text.clean(claim.whose).rstrip("."),
        how=text.clean(claim.how, limit=600).rstrip("."),
        number=text.clean(claim.number, limit=400),
        explanation=text.clean(claim.explanation, limit=2000),
        verdict=text.clean(claim.verdict),
        kind=kind,
        sign=sign,
        table=claim_table(claim),
    )


def _study_view(key: str, findings: Findings) -> StudyView:
    return StudyView(
        name=text.clean(findings.study),
        collapse=tuple(
            _collapse_view(f"{key}c{i}", axis) for i, axis in enumerate(findings.axes)
        ),
        exponents=_exponents_view(key, findings),
        regret=_regret_view(key, findings),
        terms=_terms_view(key, findings),
        cells=tuple(tables.cells_table(axis) for axis in findings.axes),
        conditions=tables.conditions_table(findings),
    )


def _collapse_view(key: str, axis: AxisFindings) -> CollapseView:
    found = collapse.corrections(axis)
    name = text.quantity(axis.axis)
    power = text.exponent(axis.exponent, axis.low, axis.high)
    measured = (
        f"best λ ∝ {name}^{power}"
        if axis.exponent is not None
        else f"no exponent, {text.clean(axis.why_null or 'too few optima', limit=2000)}"
    )
    note = _capital(text.clean(axis.note, limit=2000))
    tell = f"What would tell: {text.clean(axis.would_tell)}" if axis.would_tell else ""
    held = f" ({text.clean(axis.policy)})" if axis.policy else ""
    return CollapseView(
        heading=f"{name}{held}",
        remark=" ".join(
            f"{each}." for each in (_capital(measured), note, tell) if each
        ),
        figure=FigureView(
            panels=tuple(
                _collapse_panel(f"{key}p{i}", axis, each)
                for i, each in enumerate(found)
            ),
            tables=(_shift_table(axis, found), tables.curve_table(axis)),
        ),
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _collapse_panel(
    key: str, axis: AxisFindings, correction: collapse.Correction
) -> PanelView:
    panel = figures.Panel(axis=axis, correction=correction, theme=PAGE)
    remark = figures.spread_text(axis, correction)
    alt = (
        f"Validation loss over λ for every {text.quantity(axis.axis)}, "
        f"{correction.title}: {remark}."
    )
    drawn = render.svg(figures.collapse_panel(panel), name=key, alt=alt)
    same = f"Also: {', '.join(correction.also)}. " if correction.also else ""
    return PanelView(
        svg=drawn,
        title=_capital(correction.title),
        remark=f"{same}{_capital(remark)}.",
    )


def _shift_table(axis: AxisFindings, found: tuple[collapse.Correction, ...]) -> Table:
    name = text.quantity(axis.axis)
    return Table(
        caption=f"Best λ over {name}, as typed and after each correction",
        columns=(name, *(each.title for each in found)),
        rows=tuple(
            (text.number(cell.value, digits=4), *_shifted(i, axis, found))
            for i, cell in enumerate(axis.cells)
        ),
    )


def _shifted(
    i: int, axis: AxisFindings, found: tuple[collapse.Correction, ...]
) -> Iterator[str]:
    cell = axis.cells[i]
    for correction in found:
        factor = correction.factors[i]
        if cell.optimum is None:
            yield tables.optimum_text(cell) if correction is found[0] else text.NOTHING
        else:
            yield text.decay(cell.optimum * factor if factor else None)


def _exponents_view(key: str, findings: Findings) -> FigureView:
    panels = tuple(
        PanelView(
            svg=render.svg(
                figures.exponents_panel(axis, PAGE),
                name=f"{key}e{i}",
                alt=_exponents_alt(axis),
            ),
            title=_capital(text.quantity(axis.axis)),
            remark=f"measured {text.exponent(axis.exponent, axis.low, axis.high)}",
        )
        for i, axis in enumerate(findings.axes)
        if any(rule.exponent is not None and rule.applies for rule in axis.rules)
    )
    by_axis = (tables.rules_table(axis) for axis in findings.axes)
    return FigureView(
        panels=panels,
        tables=(tables.exponents_table(findings), *by_axis),
        kind="exponents",
    )


def _exponents_alt(axis: AxisFindings) -> str:
    power = text.exponent(axis.exponent, axis.low, axis.high)
    told = ", ".join(
        f"{text.rule_title(rule.rule)} {text.fixed(rule.exponent, places=2)}"
        for rule in tables.ranked_rules(axis)
    )
    return f"Exponent over {text.quantity(axis.axis)}: measured {power}; {told}."


def _regret_view(key: str, findings: Findings) -> FigureView | None:
    if not tables.regret_order(findings):
        return None
    drawn = render.svg(
        figures.regret_map(findings, PAGE),
        name=f"{key}r",
        alt="Regret of every rule on every axis; the numbers are in the table below.",
    )
    return FigureView(
        panels=(PanelView(svg=drawn),),
        tables=(tables.regret_table(findings),),
        kind="single",
    )


def _terms_view(key: str, findings: Findings) -> FigureView | None:
    panels = tuple(
        _terms_panel(f"{key}t{i}", axis, at)
        for i, axis in enumerate(findings.axes)
        if (at := common_decay(axis)) is not None
    )
    if not panels:
        return None
    shown = tuple(a for a in findings.axes if common_decay(a) is not None)
    return FigureView(panels=panels, tables=tuple(_terms_table(a) for a in shown))


def _terms_panel(key: str, axis: AxisFindings, at: float) -> PanelView:
    name = text.quantity(axis.axis)
    told = "; ".join(
        f"{text.number(value)}: {text.number(data)} and {text.number(penalty)}"
        for value, data, penalty in terms_rows(axis)
    )
    return PanelView(
        svg=render.svg(
            figures.terms_panel(axis, PAGE),
            name=key,
            alt=f"Data term and penalty over {name}, in nats. {told}.",
        ),
        title=_capital(name),
        remark=f"λ = {text.decay(at)} in every cell",
    )


def _terms_table(axis: AxisFindings) -> Table:
    name, at = text.quantity(axis.axis), text.decay(common_decay(axis))
    return Table(
        caption=f"Data term and penalty over {name} at λ = {at}, in nats",
        columns=(name, "data term", "penalty"),
        rows=tuple(
            tuple(text.number(each) for each in row) for row in terms_rows(axis)
        ),
    )
