"""dwindle evidence: what was measured of the best decay over scale, and what not."""

from collections.abc import Sequence

from dwindle.cli.options import Option
from dwindle.cli.output import answer
from dwindle.decay.evidence.records import (
    FAMILIES_OF_EVIDENCE,
    KINDS,
    QUANTITIES,
    EvidenceFamily,
    Expected,
    Record,
    expected,
    nobody_measured,
    quantity_named,
    read_evidence,
    read_posterior,
)
from dwindle.show import Cell, Column, Line, Styled, Table
from dwindle.wording import fixed, listed, number

OPTIONS = (Option("QUANTITY", "only this one, record by record: batch, epochs, width"),)
_ABOUT = (
    "Exponents of the best lr · λ: where the quantity doubles, it goes times 2 to that "
    "power. ± is half of the 90 % range in a new setting. In brackets: how often it "
    "was measured; at 0, a rule was stated for it, and no curve of it was seen."
)


def command(*, quantity: str | None, as_json: bool) -> None:
    """List measured exponents of the best decay over scale, pooled and one by one.

    Without QUANTITY: what to expect of each in every class of trainings, and what
    nobody has measured. With it: every record, its source, and which text was read.
    """
    there = read_evidence()
    names = tuple(QUANTITIES) if quantity is None else (quantity_named(quantity).name,)
    chosen = [each for each in there.records if each.quantity in names]
    everything = expected(names)
    cited = {name: each.citation for name, each in there.sources.items()}
    missing = nobody_measured(everything)
    document = {
        "records": chosen,
        "sources": {each.source: cited[each.source] for each in chosen},
        "expected": everything,
        "nobody_measured": missing,
        "leave_one_source_out": read_posterior()["leave_one_source_out"],
    }
    last: Cell
    if quantity is None:
        tables = [_overview(everything, family) for family in FAMILIES_OF_EVIDENCE]
        last = (_ABOUT, "dwindle evidence QUANTITY prints the records of one.")
    else:
        tables = [_pooled(everything, names[0]), _records(chosen)]
        gaps = listed([_cell_name(each) for each in missing], between=";")
        last = f"Nobody has measured it in: {gaps}."
    below = Line(text=last, style="dim", indent=2)
    parts = [part for table in tables for part in ("", table)]
    answer(document, *parts, "", below, "", as_json=as_json)


def _overview(everything: Sequence[Expected], family: EvidenceFamily) -> Table:
    """Return the quantities of one family of optimizers over the classes."""
    cells: dict[tuple[str, str], Cell] = {}
    for each in everything:
        if each.family == family:
            half = (each.high - each.low) / 2
            text = f"{fixed(each.exponent, 1)} ± {fixed(half, 1)} ({each.measured})"
            text = text if each.measured + each.restated else "nobody"
            cell = text if each.measured else Styled(text, "dim")
            cells[each.quantity, each.kind_of_run] = cell
    rows: list[list[Cell]] = [
        [name, *(cells.get((name, kind), "") for kind in KINDS)]
        for name in QUANTITIES
        if any((name, kind) in cells for kind in KINDS)
    ]
    heads = ("single pass", "normalized", "plain", "fine-tuning")  # as KINDS has them
    columns = [
        _NAME._replace(name="quantity"),
        *(Column(each, "name") for each in heads),
    ]
    title = f"{FAMILIES_OF_EVIDENCE[family]}:"
    return Table(columns=columns, rows=rows, title=title, indent=2)


_NAME = Column("source", "name", "cyan")
_EXPONENT = (Column("exponent", "number"), Column("90 %", "number"))


def _pooled(everything: Sequence[Expected], name: str) -> Table:
    counts = [Column(each, "number") for each in ("measured", "restated")]
    columns = [Column("to expect in a new setting", style="cyan"), *_EXPONENT, *counts]
    rows = [
        (
            _cell_name(each),
            *_exponent(each),
            number(each.measured),
            number(each.restated),
        )
        for each in everything
        if each.measured + each.restated
    ]
    title = f"{name}: {QUANTITIES[name].title}, exponent of the best lr · λ"
    return Table(columns=columns, rows=rows, title=title, indent=2)


def _records(records: Sequence[Record]) -> Table:
    columns = [
        *(_NAME, *_EXPONENT),
        *(Column("over", "number"), Column("setting, and how it is known")),
    ]
    rows = [
        (
            *(each.source, *_exponent(each), f"×{number(each.factor)}"),
            (
                f"{each.setting}; {_cell_name(each)}",
                Styled(f"{each.kind}; {each.estimator}; {each.read}", "dim"),
            ),
        )
        for each in records
    ]
    return Table(columns=columns, rows=rows, indent=2)


def _exponent(each: Record | Expected) -> tuple[str, str]:
    return fixed(each.exponent), f"{fixed(each.low)} to {fixed(each.high)}"


def _cell_name(each: Record | Expected) -> str:
    return f"{KINDS[each.kind_of_run]}, {FAMILIES_OF_EVIDENCE[each.family]}"
