"""What fit found: the answer first, the columns that it took, and the next step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dwindle.findings.model import AxisFindings
from dwindle.findings.names import rule_title
from dwindle.fitting.cells import FittedCell
from dwindle.fitting.columns import Columns
from dwindle.fitting.compared import Compared
from dwindle.plain import to_plain
from dwindle.show import Column, Drawable, Line, Sheet, Shown, Table, facts
from dwindle.wording import (
    MOST_NOTES,
    capital,
    clean,
    counted,
    fixed,
    interval,
    listed,
    measured,
    no_gain,
    number,
    quantity,
)

_CELLS_SHOWN = 12  # half a screen; --json has all of them
_NAME = 40  # letters of a column's name: a tracker's path may be much longer
_EXACT = 3  # digits of a value


@dataclass(frozen=True, kw_only=True, repr=False)
class Fit(Shown):
    """What results show: cells with their best weight decay, exponents over scale.

    ``knob`` is the column of the weight decay and ``typed_into`` the place that it is
    typed into, as far as is known; ``command`` is the line that trains what would
    settle the first open cell, empty where none is open. ``left_out`` counts rows
    that did not count, by the reason.
    """

    source: str
    columns: Columns
    typed_into: str
    cells: tuple[FittedCell, ...]
    axes: tuple[AxisFindings, ...]
    trainings: int
    left_out: Mapping[str, int]
    score: str = ""
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def value(self) -> float | None:
        """The best weight decay where there is one cell; None elsewhere."""
        return self.cells[0].value if len(self.cells) == 1 else None

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return it as ``fit --json`` prints it."""
        roles = ("knob", "metric", "seed", "maximize", "scale", "settings", "unused")
        return {
            "source": self.source,
            "columns": {each: to_plain(getattr(self.columns, each)) for each in roles},
            "typed_into": self.typed_into,
            "trainings": self.trainings,
            "left_out": dict(self.left_out),
            "cells": to_plain(self.cells),
            "axes": to_plain(self.axes),
            "notes": list(self.notes),
            "command": self.command,
        }

    @property
    def headline(self) -> str:
        """The answer where there is one cell; how many there are elsewhere."""
        if len(self.cells) == 1:
            return _answer(self.cells[0], clean(self.columns.knob, limit=_NAME))
        return f"{len(self.cells)} cells of {clean(self.source)}"

    def _drawn(self) -> Drawable:
        return Sheet(parts=tuple(_parts(self)))

    def __repr__(self) -> str:
        return f"<Fit: {self.headline}>"


def _parts(found: Fit) -> Iterator[Drawable | str]:
    name = clean(found.columns.knob, limit=_NAME)
    yield ""
    if len(found.cells) == 1:
        cell = found.cells[0]
        yield Line(text=found.headline, style="bold", indent=2)
        yield Line(text=f"{capital(cell.why)}.", indent=2)
        if cell.compared:
            yield Line(text=_difference(cell.compared), indent=2)
    else:
        yield _cells(found, name)
    for axis in found.axes:
        yield ""
        yield Line(text=_over(axis), indent=2)
    yield ""
    yield facts(_columns(found), indent=2)
    if found.notes:
        yield ""
    for each in found.notes[:MOST_NOTES]:
        yield Line(text=clean(each, limit=400), style="dim", indent=2)
    if found.command:
        yield ""
        yield Line(text="What would settle it:", indent=2)
        yield Line(text=found.command, indent=2, whole=True)
    yield ""


def _over(axis: AxisFindings) -> str:
    """Return how the best decay moves along an axis, and the rules beside it."""
    about = quantity(clean(axis.axis, limit=_NAME))
    if axis.exponent is None:
        return f"Over {about}: no exponent, {axis.why_null}."
    exponent = measured(axis.exponent, axis.low, axis.high)
    agreeing = [rule_title(rule.rule) for rule in axis.rules if rule.agrees]
    open_ = [rule_title(rule.rule) for rule in axis.rules if rule.not_excluded]
    rules = "no rule agrees"
    if agreeing or open_:
        how = "that agree" if agreeing else "that it does not exclude"
        rules = f"rules {how}: {listed(agreeing or open_, most=3)}"
    return f"Over {about}: exponent of the best one {exponent}; {rules}."


def _answer(cell: FittedCell, name: str) -> str:
    """Return the answer of a cell in one line."""
    if cell.value is None:
        return f"No best {name} can be given."
    value = number(cell.value, digits=_EXACT)
    limits = interval(cell.low, cell.high, digits=_EXACT)
    within = f" (90 % interval {limits})" if cell.low or cell.high else ""
    if cell.verdict == "optimum":
        return f"{name} = {value}{within}"
    if cell.verdict == "at most":
        return f"{name} ≤ {number(cell.high or cell.value, digits=_EXACT)}"
    if cell.verdict == "at least":
        return f"{name} ≥ {number(cell.low or cell.value, digits=_EXACT)}"
    if cell.matters == "no":
        return f"{name} = {value} was lowest: {no_gain()}"
    more = ""
    if cell.needed:
        more = f": {_seeds_wanted(cell.needed, noise_known=cell.noise_known)}"
    return f"Cannot tell{more}; the lowest loss is at {name} = {value}{within}."


def _seeds_wanted(needed: int, *, noise_known: bool, verb: str = "") -> str:
    """Return how many seeds would settle it; before any noise shows, would show it."""
    more = f"{counted(needed, 'more paired seed')} would"
    return f"about {more}{verb}" if noise_known else f"{more} show the noise"


def _difference(pair: Compared) -> str:
    """Return whether the difference of two decays is noise, in one sentence."""
    found = pair.found

    def written(value: float) -> str:
        # A percentage has two places; a difference in a unit may be of any size.
        return fixed(100 * value) if pair.is_share else number(value, digits=_EXACT)

    by = f"{written(pair.by)}{' %' if pair.is_share else ''}"
    how = counted(found.n, "paired seed") if found.paired else "unpaired"
    if pair.low is not None and pair.high is not None:
        how = f"{written(pair.low)} to {written(pair.high)}; {how}"
    sure = {
        "better": "not noise",
        "worse": "not noise, and it is the worse one",
        "cannot tell": "it may be noise",
    }[found.verdict]
    more = ""
    if found.needed:
        known = pair.low is not None
        wanted = _seeds_wanted(found.needed, noise_known=known, verb=" decide")
        more = f"; {wanted}"
    one, other = (number(each, digits=_EXACT) for each in (pair.one, pair.other))
    return f"{one} instead of {other} lowers the loss by {by} ({how}): {sure}{more}."


def _cells(found: Fit, name: str) -> Table:
    """Return one line for each cell."""
    shown = found.cells[:_CELLS_SHOWN]
    own = [*found.columns.scale, *found.columns.settings]
    columns = [
        *(Column(quantity(clean(each, limit=_NAME)), "number") for each in own),
        Column(name, "number", "bold"),
        Column("90 %", "number"),
        Column("verdict"),
        Column("trainings", "number"),
        Column("more seeds", "number"),
    ]
    rows = [
        (
            *(number(value) for value in cell.scale.values()),
            *(clean(value, limit=_NAME) for value in cell.settings.values()),
            number(cell.value, digits=_EXACT),
            interval(cell.low, cell.high, digits=_EXACT),
            cell.verdict,
            str(cell.trainings),
            "" if cell.needed is None else f"≈ {cell.needed}",
        )
        for cell in shown
    ]
    more = len(found.cells) - len(shown)
    footer = (f"{counted(more, 'more cell')}: --json has all of them",) if more else ()
    return Table(columns=columns, rows=rows, indent=2, footer=footer)


def _columns(found: Fit) -> dict[str, str]:
    columns = found.columns
    better = "higher is better" if columns.maximize else "lower is better"
    read = f", read as {clean(found.score, limit=_NAME)}" if found.score else ""
    left_out = [f"{count} {why}" for why, count in found.left_out.items()]
    diverged = sum(cell.diverged for cell in found.cells)
    counts = counted(found.trainings, "training")
    if diverged:
        counts += f", {diverged} of which diverged"
    unused = [clean(each, limit=_NAME) for each in columns.unused]
    return {
        "weight decay": clean(columns.knob, limit=_NAME),
        "metric": f"{clean(columns.metric, limit=_NAME)} ({better}{read})",
        "seed": clean(columns.seed or "no column", limit=_NAME),
        "cells by": listed([clean(e, limit=_NAME) for e in columns.scale.values()]),
        "rows": "; left out: ".join(filter(None, [counts, listed(left_out)])),
        "not used": listed(unused, most=6),
    }
