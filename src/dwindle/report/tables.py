"""Findings as tables of text: the same rows for the terminal and for the page."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dwindle.findings.model import (
    AxisFindings,
    CellFindings,
    Findings,
    RuleFindings,
)
from dwindle.report import text

Rows = tuple[tuple[str, ...], ...]

# How a training ended -> in words, where they are not the same.
_ENDED = {"untrained": "at chance", "error": "failed"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Column names and rows of text; ``caption`` says what is counted, in what unit."""

    caption: str
    columns: tuple[str, ...]
    rows: Rows


def ranked_rules(axis: AxisFindings) -> tuple[RuleFindings, ...]:
    """Return the rules that speak of an axis, the cheapest to follow first.

    Keeping λ as it is stands among them: a rule must beat it.
    """
    speaking = [rule for rule in held_rules(axis) if rule.applies]
    return tuple(sorted(speaking, key=_rank))


def held_rules(axis: AxisFindings) -> tuple[RuleFindings, ...]:
    """Return every rule held against an axis, and keeping λ as it is."""
    return (*axis.rules, axis.unchanged) if axis.unchanged else axis.rules


def regret_text(rule: RuleFindings) -> str:
    """Return a regret; a prediction beyond the grid makes it a lower bound."""
    if rule.regret is None:
        return text.NOTHING
    # Noise can put an estimate below zero; a loss that is lost cannot be negative.
    bound = "≥ " if rule.beyond_grid else ""
    return f"{bound}{text.fixed(rule.regret)}"


def _rank(rule: RuleFindings) -> tuple[bool, float, str]:
    missing = rule.regret is None
    return missing, rule.regret or 0.0, rule.rule


def silent_rules(axis: AxisFindings) -> tuple[RuleFindings, ...]:
    """Return the rules that do not apply to an axis, each with its reason."""
    return tuple(rule for rule in axis.rules if not rule.applies)


def optimum_text(cell: CellFindings) -> str:
    """Return the best λ of a cell, or the side of the grid where it lies.

    A cell whose best λ sits on the last point of the grid has no optimum, only a bound.
    """
    if cell.optimum is not None:
        return text.decay(cell.optimum)
    tried = [point.weight_decay for point in cell.curve if point.weight_decay > 0]
    if cell.at_edge == "low" and tried:
        return f"≤ {text.decay(min(tried))}"
    if cell.at_edge == "high" and tried:
        return f"≥ {text.decay(max(tried))}"
    return text.NOTHING


def count_cells(findings: Findings) -> int:
    """Return the number of scales; one that axes share is one cell."""
    cells = (cell for axis in findings.axes for cell in axis.cells)
    return len({tuple(sorted(cell.scale.items())) for cell in cells})


def diverged(cell: CellFindings) -> int:
    """Return how many trainings of a cell diverged."""
    return sum(point.diverged for point in cell.curve)


def at_chance(cell: CellFindings) -> int:
    """Return how many networks of a cell stayed at chance."""
    return sum(point.untrained for point in cell.curve)


def agreement(rule: RuleFindings) -> str:
    """Return in words whether a rule agrees with the measured exponent."""
    if rule.agrees is None:
        return "not excluded" if rule.not_excluded else "cannot tell"
    return "yes" if rule.agrees else "no"


def cells_table(axis: AxisFindings) -> Table:
    """Return one row per cell: best λ, interval, whether decay matters, losses."""
    return Table(
        caption=f"Cells over {text.quantity(axis.axis)}; losses in nats",
        columns=(
            text.quantity(axis.axis),
            "best λ",
            "90 % interval",
            "decay matters",
            "loss at best λ",
            "loss without decay",
            "decay buys",
            "diverged",
            "at chance",
        ),
        rows=tuple(_cell_row(cell) for cell in axis.cells),
    )


def _cell_row(cell: CellFindings) -> tuple[str, ...]:
    return (
        text.number(cell.value),
        optimum_text(cell),
        text.decay_interval(cell.low, cell.high),
        cell.matters,
        text.fixed(cell.loss_at_optimum),
        text.fixed(cell.loss_without_decay),
        text.fixed(cell.gain),
        str(diverged(cell)),
        str(at_chance(cell)),
    )


def curve_table(axis: AxisFindings) -> Table:
    """Return one row per λ and cell: everything that the curves are drawn from."""
    return Table(
        caption=f"Curves over {text.quantity(axis.axis)}; losses and penalty in nats",
        columns=(
            text.quantity(axis.axis),
            "λ",
            "loss",
            "90 % interval",
            "seeds",
            "diverged",
            "at chance",
            "train loss",
            "penalty",
        ),
        rows=tuple(row for cell in axis.cells for row in _curve_rows(cell)),
    )


def _curve_rows(cell: CellFindings) -> Iterator[tuple[str, ...]]:
    for point in cell.curve:
        low, high = text.fixed(point.low), text.fixed(point.high)
        yield (
            text.number(cell.value),
            text.decay(point.weight_decay),
            text.fixed(point.mean),
            f"{low}–{high}" if point.low is not None else text.NOTHING,
            str(point.n),
            str(point.diverged),
            str(point.untrained),
            text.fixed(point.train_loss),
            text.number(point.penalty),
        )


def rules_table(axis: AxisFindings) -> Table:
    """Return one row per rule that speaks of the axis, ranked by regret."""
    return Table(
        caption=(
            f"Rules over {text.quantity(axis.axis)}; "
            "regret is validation loss lost by following the rule, in nats"
        ),
        columns=("rule", "exponent", "agrees", "regret", "90 %", "share lost"),
        rows=tuple(_rule_row(rule) for rule in ranked_rules(axis)),
    )


def _rule_row(rule: RuleFindings) -> tuple[str, ...]:
    low, high = text.fixed(rule.regret_low), text.fixed(rule.regret_high)
    return (
        text.rule_title(rule.rule),
        text.fixed(rule.exponent, places=2),
        agreement(rule),
        regret_text(rule),
        f"{low}–{high}" if rule.regret_low is not None else text.NOTHING,
        text.share(rule.share_lost),
    )


def exponents_table(findings: Findings) -> Table:
    """Return one row per axis: the measured exponent, or why there is none."""
    return Table(
        caption="Exponent of the best λ over each quantity, with its 90 % interval",
        columns=("quantity", "held", "exponent of the best λ", "remark"),
        rows=tuple(
            (
                text.quantity(axis.axis),
                text.clean(axis.policy),
                text.exponent(axis.exponent, axis.low, axis.high),
                text.clean(axis.note if axis.exponent is not None else axis.why_null),
            )
            for axis in findings.axes
        ),
    )


def regret_table(findings: Findings) -> Table:
    """Return one row per rule and one column per axis: the loss lost, in nats."""
    names = regret_order(findings)
    return Table(
        caption="Validation loss lost by following each rule, in nats (– says nothing)",
        columns=("rule", *(text.quantity(axis.axis) for axis in findings.axes)),
        rows=tuple(
            (
                text.rule_title(name),
                *(_regret_of(name, axis) for axis in findings.axes),
            )
            for name in names
        ),
    )


def regret_order(findings: Findings) -> tuple[str, ...]:
    """Return the rules with any regret, the widest and then cheapest ones first."""
    known: dict[str, list[float]] = {}
    for axis in findings.axes:
        for rule in held_rules(axis):
            if rule.applies and rule.regret is not None:
                known.setdefault(rule.rule, []).append(rule.regret)
    # A rule that speaks of one easy axis only would otherwise lead the list.
    return tuple(
        sorted(known, key=lambda name: (-len(known[name]), sum(known[name]), name))
    )


def _regret_of(name: str, axis: AxisFindings) -> str:
    for rule in held_rules(axis):
        if rule.rule == name and rule.applies:
            return regret_text(rule)
    return text.NOTHING


def conditions_table(findings: Findings) -> Table:
    """Return everything under which the trainings are comparable, one fact a row."""
    return Table(
        caption="",
        columns=("condition", "value"),
        rows=(
            ("optimizer", text.clean(findings.optimizer)),
            ("normalization", text.clean(findings.normalization)),
            ("seeds", str(findings.seeds)),
            ("validation", text.clean(findings.validation or text.NOTHING)),
            ("trainings", trials_text(findings)),
            ("seconds of training", text.fixed(findings.seconds, places=1)),
            *_flat(findings.conditions),
        ),
    )


def _flat(facts: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        name = prefix + text.clean(key, limit=60)
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, str):
            yield name, text.clean(value)
        else:
            yield name, text.clean(json.dumps(value, default=str))


def trials_text(findings: Findings) -> str:
    """Return how many trainings ended well, diverged or failed.

    Example:
        >>> from dwindle.findings.model import Findings
        >>> trials_text(
        ...     Findings(
        ...         study="s",
        ...         optimizer="sgd",
        ...         normalization="none",
        ...         conditions={},
        ...         axes=(),
        ...         law={},
        ...         trials={"ok": 12, "diverged": 1, "error": 0},
        ...         seconds=0.0,
        ...         seeds=3,
        ...     )
        ... )
        '12 ok, 1 diverged'

    """
    parts = [
        f"{count} {_ENDED.get(status, text.clean(status, limit=40))}"
        for status, count in findings.trials.items()
        if count or status == "ok"
    ]
    unfinished = "" if findings.complete else " (study not finished)"
    return (", ".join(parts) or "none") + unfinished
