"""Findings as tables of text: the same rows for the terminal and for the page."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from dwindle.findings.model import (
    AxisFindings,
    CellFindings,
    Claim,
    Findings,
    RuleFindings,
)
from dwindle.findings.names import (
    decay,
    exponent,
    quantity,
    regret,
    regret_interval,
    rule_title,
    sure_cells,
)
from dwindle.findings.verdict import (
    VerdictRow,
    find_rule,
    ranked_rules,
    regret_order,
)
from dwindle.report.collapse import corrections
from dwindle.report.figures import agreement, common_decay, terms_rows
from dwindle.show import Column, Table
from dwindle.wording import NOTHING, clean, fixed, interval, number

# How a training ended -> in words, where they are not the same.
_ENDED = {"untrained": "at chance", "error": "failed"}


def _table(
    title: str, names: Sequence[str], rows: Iterator[tuple[str, ...]], *, texts: int = 1
) -> Table:
    """Return a table of numbers, but for its first columns."""
    columns = [
        Column(name, "number" if i >= texts else "text") for i, name in enumerate(names)
    ]
    return Table(title=title, columns=columns, rows=tuple(rows))


def axis_heading(axis: AxisFindings) -> str:
    """Return an axis, and what moves or stays along it."""
    held = f" ({clean(axis.policy)})" if axis.policy else ""
    return f"{quantity(axis.axis)}{held}"


def optimum_text(cell: CellFindings) -> str:
    """Return the best λ of a cell, or the side of the grid where it lies.

    A cell whose best λ sits on the last point of the grid has no optimum, only a bound.
    """
    tried = [point.weight_decay for point in cell.curve if point.weight_decay > 0]
    if cell.optimum is None and cell.at_edge and tried:
        low, high = min(tried), max(tried)
        return interval(None, low) if cell.at_edge == "low" else interval(high, None)
    return decay(cell.optimum)


def matters_text(cell: CellFindings) -> str:
    """Return whether decay matters in a cell; ``open`` where that is undecided."""
    return "open" if cell.matters == "cannot tell" else cell.matters


def diverged(cell: CellFindings) -> int:
    """Return how many trainings of a cell diverged."""
    return sum(point.diverged for point in cell.curve)


def at_chance(cell: CellFindings) -> int:
    """Return how many networks of a cell stayed at chance."""
    return sum(point.untrained for point in cell.curve)


def share_lost(rule: RuleFindings) -> str:
    """Return the share of what decay buys that a rule loses."""
    if rule.share_lost is None:
        return NOTHING
    if rule.share_lost > 1:
        return "more than all"
    return f"{fixed(100 * rule.share_lost, 0)} %"


def cells_table(axis: AxisFindings) -> Table:
    """Return one row per cell: best λ, interval, whether decay matters, losses."""
    name = quantity(axis.axis)
    columns: dict[str, Callable[[CellFindings], str]] = {
        # Four digits: a width of 1024 is not one of 1020.
        name: lambda cell: number(cell.value, digits=4),
        "best λ": optimum_text,
        "90 % interval": lambda cell: interval(cell.low, cell.high),
        "decay matters": matters_text,
        "loss at best λ": lambda cell: fixed(cell.loss_at_optimum, 3),
        "loss without decay": lambda cell: fixed(cell.loss_without_decay, 3),
        "decay buys": lambda cell: fixed(cell.gain, 3),
        "diverged": lambda cell: str(diverged(cell)),
        "at chance": lambda cell: str(at_chance(cell)),
    }
    rows = (tuple(read(cell) for read in columns.values()) for cell in axis.cells)
    return _table(f"Cells over {name}; losses in nats", [*columns], rows)


def curve_table(axis: AxisFindings) -> Table:
    """Return one row per λ and cell: everything that the curves are drawn from."""
    name = quantity(axis.axis)
    names = (name, "λ", "loss", "90 % interval", "seeds", "diverged", "at chance")
    rows = (
        (
            number(cell.value, digits=4),
            decay(point.weight_decay),
            fixed(point.mean, 3),
            NOTHING
            if point.low is None
            else f"{fixed(point.low, 3)}–{fixed(point.high, 3)}",
            str(point.n),
            str(point.diverged),
            str(point.untrained),
            fixed(point.train_loss, 3),
            number(point.penalty),
        )
        for cell in axis.cells
        for point in cell.curve
    )
    title = f"Curves over {name}; losses and penalty in nats"
    return _table(title, (*names, "train loss", "penalty"), rows)


def rules_table(axis: AxisFindings) -> Table:
    """Return one row per rule that applies to the axis, ranked by regret."""
    names = ("rule", "exponent", "agrees", "regret", "90 %", "share lost")
    rows = (
        (
            rule_title(rule.rule),
            fixed(rule.exponent),
            agreement(rule),
            regret(rule),
            regret_interval(rule),
            share_lost(rule),
        )
        for rule in ranked_rules(axis)
    )
    lost = "regret is validation loss lost by following the rule, in nats"
    return _table(f"Rules over {quantity(axis.axis)}; {lost}", names, rows)


def collapse_tables(axis: AxisFindings) -> tuple[Table, ...]:
    """Return best λ as typed and after each correction, and the curves."""
    found = corrections(axis)

    def shifted(i: int, cell: CellFindings) -> Iterator[str]:
        for position, correction in enumerate(found):
            factor = correction.factors[i]
            if cell.optimum is None:
                yield NOTHING if position else optimum_text(cell)
            else:
                yield decay(cell.optimum * factor if factor else None)

    name = quantity(axis.axis)
    rows = (
        (number(cell.value, digits=4), *shifted(i, cell))
        for i, cell in enumerate(axis.cells)
    )
    title = f"Best λ over {name}, as typed and after each correction"
    shifts = _table(title, (name, *(each.title for each in found)), rows)
    return shifts, curve_table(axis)


def exponent_tables(findings: Findings) -> tuple[Table, ...]:
    """Return the measured exponents, or why there are none, and the rules by axis."""
    rows = (
        (
            quantity(axis.axis),
            clean(axis.policy),
            exponent(axis),
            clean(axis.remark),
        )
        for axis in findings.axes
    )
    title = "Exponent of the best λ over each quantity, with its 90 % interval"
    names = ("quantity", "held", "exponent of the best λ", "remark")
    measured = _table(title, names, rows, texts=4)
    return measured, *map(rules_table, findings.axes)


def regret_table(findings: Findings) -> Table:
    """Return one row per rule and one column per axis: the loss lost, in nats."""

    def on_axis(name: str, axis: AxisFindings) -> str:
        rule = find_rule(axis, name)
        return regret(rule) if rule else NOTHING

    rows = (
        (rule_title(name), *(on_axis(name, axis) for axis in findings.axes))
        for name in regret_order(findings)
    )
    title = "Validation loss lost by following each rule, in nats (–: does not apply)"
    names = ("rule", *(quantity(axis.axis) for axis in findings.axes))
    return _table(title, names, rows)


def term_tables(findings: Findings) -> Iterator[Table]:
    """Yield data term and penalty of every cell, for axes whose cells share a λ."""
    for axis in findings.axes:
        at, name = common_decay(axis), quantity(axis.axis)
        if at is not None:
            title = f"Data term and penalty over {name} at λ = {decay(at)}, in nats"
            rows = (tuple(map(number, row)) for row in terms_rows(axis))
            yield _table(title, (name, "data term", "penalty"), rows, texts=0)


def verdict_cell(rule: RuleFindings | None) -> tuple[str, ...]:
    """Return what a rule predicts and loses on an axis, in up to three lines."""
    if rule is None or rule.exponent is None:
        return (NOTHING,)
    if rule.regret is None:
        return (fixed(rule.exponent),)
    lines = (fixed(rule.exponent), f"loses {regret(rule)}")
    return lines if rule.regret_low is None else (*lines, f"({regret_interval(rule)})")


def measured_lines(row: VerdictRow) -> tuple[str, ...]:
    """Return the measured exponent and its interval, or in how many cells λ is sure."""
    if row.exponent is None:
        return NOTHING, sure_cells(row.telling, row.cells)
    lines = fixed(row.exponent), f"({fixed(row.low)} to {fixed(row.high)})"
    undecided = ("undecided:", "splits differ") if row.changes_with_split else ()
    return (*lines, *undecided)


def claim_table(claim: Claim) -> Table | None:
    """Return the evidence of a claim as a table; its first row names the columns."""
    if not claim.table:
        return None
    # Its columns are of any kind, so they stand as texts.
    columns, *rows = claim.table
    return _table("", columns, iter(rows), texts=len(columns))


def count_cells(findings: Findings) -> int:
    """Return the number of scales; one that axes share is one cell."""
    cells = (cell for axis in findings.axes for cell in axis.cells)
    return len({tuple(sorted(cell.scale.items())) for cell in cells})


def trials_text(findings: Findings) -> str:
    """Return how many trainings succeeded, diverged or failed."""
    parts = [
        f"{count} {_ENDED.get(status, clean(status, limit=40))}"
        for status, count in findings.trials.items()
        if count or status == "ok"
    ]
    unfinished = "" if findings.complete else " (study not finished)"
    return (", ".join(parts) or "none") + unfinished


def conditions_table(findings: Findings) -> Table:
    """Return everything under which the trainings are comparable, one fact a row."""

    def flat(
        facts: Mapping[str, object], prefix: str = ""
    ) -> Iterator[tuple[str, str]]:
        for key, value in facts.items():
            name = prefix + clean(key, limit=60)
            if isinstance(value, Mapping):
                yield from flat(value, f"{name}.")
            else:
                is_text = isinstance(value, str)
                yield name, clean(value if is_text else json.dumps(value, default=str))

    rows = (
        ("optimizer", clean(findings.optimizer)),
        ("normalization", clean(findings.normalization)),
        ("seeds", str(findings.seeds)),
        ("validation", clean(findings.validation or NOTHING)),
        ("trainings", trials_text(findings)),
        ("seconds of training", fixed(findings.seconds, 1)),
        # What is not known of the machine has no row.
        *((name, text) for name, text in flat(findings.conditions) if text),
    )
    return _table("", ("condition", "value"), iter(rows), texts=2)
