"""The prediction of a law at a target: value, interval, and every rule."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.errors import DwindleError, RangeError, UnknownNameError, UsageError
from dwindle.finding.found import answer_sheet
from dwindle.finding.records import Former
from dwindle.finding.unit import place_of
from dwindle.plain import Plain
from dwindle.report.render import ShownWithFigure
from dwindle.show import Column, Sheet, Table
from dwindle.stats.law import Law
from dwindle.tuning.cells import Cell, Cells
from dwindle.tuning.law_figure import LawFigure, LawLine
from dwindle.wording import (
    NOTHING,
    counted,
    listed,
    measured,
    number,
    quantities,
    quantity,
)

_CELLS = 2  # any law goes through one cell
_POINTS = 25  # of the law in a figure
# What a rule takes from a run.
_OF_RUN = ("width", "depth", "batch_size", "dataset_size", "epochs", "steps", "lr")


@dataclass(frozen=True, kw_only=True)
class Exponent:
    """How the value moves with a quantity; not ``measured``: a prior alone."""

    value: float
    low: float
    high: float
    measured: bool


@dataclass(frozen=True, kw_only=True)
class RuleValue:
    """The value of a published rule at the target, from the nearest cell."""

    rule: str
    value: float
    inside: bool | None
    keeps: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Tuned(ShownWithFigure, Plain):
    """The weight decay of a target scale, by a law through smaller ones.

    Args:
        name: The name of the training.
        knob: Where the value is typed.
        symbol: The name of the value there.
        target: The scale that it is for; without one there are scales and exponents.
        axes: The quantities that the law is over.
        value: The number to type; None where there is none; ``why_null`` is the reason.
        low: Lower end of its 90 % predictive interval.
        high: Upper end.
        exponents: How the value moves with each quantity.
        extrapolates: By what factor the target lies beyond the cells, by quantity.
        rules: The value of each published rule, and ``unchanged``.
        cells: Every scale that was trained.
        lines: The law along each axis.
        why_null: Why there is no value.
        notes: Further notes.
        former: Trainings of the file under earlier conditions; they do not count.

    """

    _LAW = ("exponents", "extrapolates", "rules", "why_null")
    IN_JSON = ("target", "value", "low", "high", *_LAW, "former")

    name: str = ""
    knob: str
    symbol: str
    target: Mapping[str, float] = field(default_factory=dict, hash=False)
    axes: tuple[str, ...] = ()
    value: float | None = None
    low: float | None = None
    high: float | None = None
    exponents: Mapping[str, Exponent] = field(default_factory=dict, hash=False)
    extrapolates: Mapping[str, float] = field(default_factory=dict, hash=False)
    rules: tuple[RuleValue, ...] = ()
    cells: tuple[Cell, ...] = ()
    lines: tuple[LawLine, ...] = ()
    why_null: str | None = None
    notes: tuple[str, ...] = ()
    former: tuple[Former, ...] = ()

    @property
    def line(self) -> str:
        """What to type, if there is a value."""
        return "" if self.value is None else f"{self.symbol} = {number(self.value)}"

    @property
    def scope(self) -> str:
        """What the value is for: where it is typed, and the scale."""
        at = {axis: self.target[axis] for axis in self.axes}
        return f"{place_of(self.knob)} at {quantities(at)}"

    @property
    def headline(self) -> str:
        """The value to type, or why there is none."""
        if not self.target:
            return f"{counted(len(self.cells), 'scale')} of {self.name}"
        if self.value is None:
            return f"No value for {self.scope}: {self.why_null}"
        return f"Set {self.line} in {self.scope}"

    @property
    def range_text(self) -> str:
        """The interval of the value, if there is one."""
        if self.value is None:
            return ""
        return f"90 % interval: {number(self.low)} to {number(self.high)}"

    @property
    def why(self) -> str:
        """Where the value comes from, or how to get one."""
        if not self.target:
            return "dwindle predict carries them to a scale: --target width=1024."
        if self.value is None:
            return ""
        used = [cell.scale for cell in self.cells if not cell.why_not]
        law = f"A law through {len(used)} scales"
        beyond = []
        for name, far in self.extrapolates.items():
            known = [scale[name] for scale in used]
            end = max(known) if self.target[name] > max(known) else min(known)
            beyond.append(f"×{number(far)} in {quantity(name)} beyond {number(end)}")
        return (
            f"{law} extrapolates {listed(beyond)}."
            if beyond
            else f"{law}, within them."
        )

    @property
    def figure(self) -> LawFigure:
        """The law with the answer in it."""
        return LawFigure(
            symbol=self.symbol,
            lines=self.lines,
            target=self.target,
            value=self.value,
            low=self.low,
            high=self.high,
        )

    @property
    def figure_text(self) -> str:
        """What the figure shows, for those who cannot see it."""
        return f"{self.headline}. {self.range_text}. {self.why}"

    def _drawn(self) -> Sheet:
        answer = self.headline, self.range_text, self.why
        rules = (self.rules_table(),) if self.rules else ()
        return answer_sheet(
            *(answer, self.exponents_text, self.notes, self.cells_table(), *rules),
            is_found=self.value is not None,
        )

    @property
    def exponents_text(self) -> dict[str, str]:
        """Each exponent with its interval, by name."""
        return {
            f"exponent of {quantity(name)}": measured(each.value, each.low, each.high)
            + ("" if each.measured else ", not measured here")
            for name, each in self.exponents.items()
        }

    def cells_table(self) -> Table:
        """Return every scale with its best value."""
        rows = [
            (
                quantities(cell.scale) or "as it is",
                number(cell.value) if cell.value is not None else NOTHING,
                f"{number(cell.low)} to {number(cell.high)}"
                if not cell.why_not
                else "",
                str(cell.trainings),
                cell.why_not,
            )
            for cell in self.cells
        ]
        columns: list[Column | str] = [
            "scale",
            Column("best", "number"),
            "90 % interval",
            Column("trainings", "number"),
            "",
        ]
        return Table(columns=columns, rows=rows, indent=2)

    def rules_table(self) -> Table:
        """Return the value of each rule."""
        words = {True: "yes", False: "no", None: ""}
        rows = [(r.rule, number(r.value), words[r.inside], r.keeps) for r in self.rules]
        columns: list[Column | str] = [
            Column("rule", "name"),
            Column("value", "number"),
            "in the interval",
            "keeps",
        ]
        return Table(columns=columns, rows=rows, indent=2)

    def __repr__(self) -> str:
        return f"<Tuned: {self.headline}>"


def tuned_of(cells: Cells, target: Mapping[str, float]) -> Tuned:
    """Return the prediction of the law through cells at a target, or the law alone."""
    axes = _axes(cells, target)
    if target:
        known = {axis: cells.base[axis] for axis in axes if axis in cells.base}
        target = {**known, **target}
    start = Tuned(
        name=cells.name,
        axes=axes,
        knob=cells.knob,
        symbol=cells.symbol,
        target=dict(target),
        cells=tuple(
            replace(each, scale={k: v for k, v in each.scale.items() if k in axes})
            for each in cells.cells
        ),
        notes=(
            *_notes(cells, axes),
            *cells.notes,
            *(each.text for each in cells.former),
        ),
        former=cells.former,
    )
    usable = len(cells.usable)
    if usable < _CELLS:
        have = f"{usable} of {counted(len(cells.cells), 'scale')}"
        why = f"a best value shows at {have}, a law needs {_CELLS}"
        return replace(start, why_null=why)
    law = cells.law(axes)
    start = replace(
        start,
        exponents={axis: _exponent(law, axis, cells) for axis in axes},
        lines=tuple(_line(law, axis, cells, target) for axis in axes),
    )
    if not target:
        return replace(start, why_null="no target")
    at = law.at(target)
    low, high = math.exp(at.low), math.exp(at.high)
    return replace(
        start,
        value=math.exp(at.value),
        low=low,
        high=high,
        extrapolates=law.beyond(target),
        rules=tuple(_rules(cells, axes, target, low, high)),
    )


def _exponent(law: Law, axis: str, cells: Cells) -> Exponent:
    each, measured = law.exponent(axis), _is_measured(cells, axis)
    return Exponent(value=each.value, low=each.low, high=each.high, measured=measured)


def _line(law: Law, axis: str, cells: Cells, target: Mapping[str, float]) -> LawLine:
    at = max((_row(axis, cell, cells.usable, law) for cell in cells.usable), key=len)
    base = at[0].scale
    reach = [cell.scale[axis] for cell in at]
    reach += [target[axis]] if axis in target else []
    low, high = math.log(min(reach)), math.log(max(reach))
    values = [
        math.exp(low + (high - low) * step / (_POINTS - 1)) for step in range(_POINTS)
    ]
    points = []
    for value in values:
        at_value = law.at({**base, axis: value})
        ends = math.exp(at_value.low), math.exp(at_value.high)
        points.append((value, math.exp(at_value.value), *ends))
    return LawLine(axis=axis, points=tuple(points), cells=tuple(at))


def _row(axis: str, cell: Cell, cells: Sequence[Cell], law: Law) -> list[Cell]:
    """Return the cells that differ from one in this axis alone, itself among them."""
    others = [each for each in law.priors if each != axis]
    same = [cell.scale[each] for each in others]
    return [each for each in cells if [each.scale[o] for o in others] == same]


def _is_measured(cells: Cells, axis: str) -> bool:
    return len({cell.scale[axis] for cell in cells.usable}) > 1


def _axes(cells: Cells, target: Mapping[str, float]) -> tuple[str, ...]:
    """Return the axes of the law: what differs between cells, or at the target."""
    known = dict.fromkeys(name for cell in cells.cells for name in cell.scale)
    for name, value in target.items():
        if name not in known:
            hint = f"The store knows {listed(list(known))}."
            raise UnknownNameError("quantity", name, tuple(known), hint)
        if not 0 < value < math.inf:
            raise RangeError(name, value, "a finite number above 0")
    for name in cells.axes:
        if target and name not in target and name not in cells.base:
            must = (
                f"A target must give its {quantity(name)}: the trainings differ in it."
            )
            raise UsageError(must, quantities(target), f"Add {name}=N to --target.")
    others = [
        name
        for name, value in target.items()
        if name not in cells.axes
        and any(c.scale.get(name) != value for c in cells.cells)
    ]
    return (*cells.axes, *others)


def _notes(cells: Cells, axes: tuple[str, ...]) -> Iterator[str]:
    for axis in axes:
        if not _is_measured(cells, axis):
            yield (
                f"No two scales that show a best value differ in {quantity(axis)}: "
                "its exponent is an assumption."
            )
    if len(cells.usable) == _CELLS:
        yield "Through two scales goes any law: a third would check it."


def _rules(
    cells: Cells,
    axes: tuple[str, ...],
    target: Mapping[str, float],
    low: float,
    high: float,
) -> Iterator[RuleValue]:
    """Yield unchanged and every rule that applies, from the cell nearest the target."""

    def distance(cell: Cell) -> float:
        return sum(abs(math.log(target[k] / cell.scale[k])) for k in axes)

    near = min(cells.usable, key=distance)
    value = near.value or math.nan
    yield RuleValue(
        rule="unchanged", value=value, inside=low <= value <= high, keeps="the number"
    )
    try:
        before = _run(cells.run, near.scale)
        after = _run(cells.run, {**near.scale, **target})
        found = rescale(value, cells.knob, before=before, after=after)
    except DwindleError:  # no rule is known for a user's own knob
        return
    for each in found.rules:
        if each.applies and each.value is not None and not each.silent_on:
            inside = low <= each.value <= high
            yield RuleValue(
                rule=each.rule, value=each.value, inside=inside, keeps=each.keeps
            )


def _run(run: Run, scale: Mapping[str, float]) -> Run:
    known: dict[str, Any] = {
        name: int(scale[name]) if scale[name] == int(scale[name]) else scale[name]
        for name in _OF_RUN
        if name in scale
    }
    if "epochs" in known:
        known.pop("steps", None)
    if "parameters" in scale:
        known["parameters"] = int(scale["parameters"])
    return replace(run, **known)
