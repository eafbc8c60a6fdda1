"""Results that somebody already has: the best weight decay, how sure, what is missing."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dwindle.decay.knobs import resolve_knob
from dwindle.errors import RefusedError
from dwindle.findings.model import AxisFindings
from dwindle.fitting.axes import fit_axes
from dwindle.fitting.cells import Fitted, FittedCell, fit_cell
from dwindle.fitting.columns import Choice, Columns, find_columns, named
from dwindle.fitting.next_command import find_command
from dwindle.fitting.results import read_results
from dwindle.fitting.table import Results
from dwindle.fitting.trainings import CellRows, Sorted, sort_rows
from dwindle.plain import to_plain
from dwindle.show import Drawable, Shown
from dwindle.wording import clean, counted, listed

_MOST_CELLS = 60  # the largest; nobody reads more
_USUAL = "torch.optim.AdamW"
_OPTIMIZERS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam", "adamw": _USUAL}
_FAMILY_OF_PENALTY = "coupled-sgd"  # of a knob with an objective and no optimizer


@dataclass(frozen=True, kw_only=True)
class Fit(Shown):
    """What results say: cells with their best weight decay, exponents over scale.

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

    def _drawn(self) -> Drawable:
        from dwindle.fitting.shown import drawn

        return drawn(self)


def fit(  # noqa: PLR0913 - each is a choice of its own, and all have defaults
    results: object,
    *,
    knob: str | None = None,
    metric: str | None = None,
    seed: str | None = None,
    cells: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    where: Mapping[str, object] | None = None,
    maximize: bool | None = None,
    typed_into: str | None = None,
    study: str | None = None,
    script: Sequence[str] = (),
) -> Fit:
    """Return what results that already exist say of the best weight decay.

    Args:
        results: A path (CSV, JSON, JSONL, Parquet, SQLite of Optuna), a list of dicts,
            a dict of columns, or a DataFrame; one row per training.
        knob: Column of the weight decay; guessed when left out, as are the others.
        metric: Column of the loss or score.
        seed: Column of the seed.
        cells: Columns that make a cell of their own for each of their values.
        ignore: Columns whose differences are pooled, on your word.
        where: Values that columns must have.
        maximize: Whether more of the metric is better.
        typed_into: Where the weight decay is typed, as ``dwindle knobs`` has it: it
            decides which rules apply.
        study: Which study of a file of Optuna.
        script: The command that trains, for the line that would settle what is open.

    Returns:
        Cells, exponents and the next step; it prints and shows itself.

    Raises:
        DataFilesError: If it is no table of results.
        UnknownNameError: If a named column is not there.
        AmbiguousNameError: If several columns may be meant.
        RefusedError: If no two trainings differ in the weight decay alone.

    Example:
        >>> rows = [
        ...     {"weight_decay": 10**-k, "seed": s, "val_loss": 2 + 0.1 * (k - 2) ** 2 + s}
        ...     for k in range(5)
        ...     for s in range(3)
        ... ]
        >>> found = fit(rows)
        >>> round(found.value, 3), found.cells[0].verdict
        (0.01, 'optimum')

    """
    table = read_results(results, study=study)
    choice = Choice(
        knob=knob, metric=metric, seed=seed, cells=cells, ignore=ignore, maximize=maximize
    )
    columns = find_columns(table, choice)
    names = tuple(table.columns)
    filters = {named(name, names): str(value) for name, value in (where or {}).items()}
    found = sort_rows(
        table, columns, {name: value for name, value in filters.items() if name}
    )
    shown = _largest(table, columns, found)
    place, note = _typed_into(table, columns, typed_into)
    record = resolve_knob(place)
    fitted = [
        fit_cell(each, log_scale=found.log_scale, is_reversed=columns.reversed)
        for each in shown
    ]
    axes = fit_axes(
        fitted,
        fixed=columns.fixed,
        family=record.family or _FAMILY_OF_PENALTY,
        log_scale=found.log_scale,
        is_reversed=columns.reversed,
    )
    answer = Fit(
        source=table.source,
        columns=columns,
        typed_into=place,
        cells=tuple(each.cell for each in fitted),
        axes=axes,
        trainings=sum(len(each.trainings) for each in found.cells),
        left_out=found.left_out,
        score=found.score,
        notes=tuple(_notes(table, columns, found, fitted, note if axes else "")),
    )
    return replace(answer, command=_command(answer, script))


def _largest(table: Results, columns: Columns, found: Sorted) -> list[CellRows]:
    """Return the cells to be read; refuse where nothing differs in λ alone."""
    several = [
        cell
        for cell in found.cells
        if len({each.weight_decay for each in cell.trainings}) > 1
    ]
    if not found.cells:
        counts = listed([f"{count} {why}" for why, count in found.left_out.items()])
        raise RefusedError(
            "A best weight decay",
            f"No row of {clean(table.source)} is a finished training: {counts}.",
            "Choose the columns: --knob, --metric; dwindle fit --help has all options.",
        )
    if not several and len(found.cells) > 1:
        raise RefusedError(
            "A best weight decay",
            f"No two of {counted(len(found.cells), 'group')} of trainings that are "
            f"alike differ in the weight decay: {_differing(found, columns)}.",
            "Pool what does not matter to you with --ignore COLUMN, or choose rows "
            "with --where COLUMN=VALUE.",
        )
    kept = sorted(
        several or found.cells, key=lambda cell: len(cell.trainings), reverse=True
    )[:_MOST_CELLS]
    return [cell for cell in found.cells if cell in kept]


def _differing(found: Sorted, columns: Columns) -> str:
    """Return what else differs between rows, each with its number of values."""
    parts = []
    for name in (*columns.scale, *columns.settings):
        values = Counter(
            cell.scale.get(name, cell.settings.get(name)) for cell in found.cells
        )
        parts.append(f"{clean(name, limit=40)} has {counted(len(values), 'value')}")
    return listed(parts, most=6)


def _typed_into(
    table: Results, columns: Columns, given: str | None
) -> tuple[str, str]:
    """Return the knob that the decay was typed into, and a note where it is a guess."""
    if given is not None:
        return resolve_knob(given).name, ""
    if columns.reversed:
        return "sklearn.linear_model.LogisticRegression", ""
    for name, column in table.columns.items():
        if clean(name).casefold().endswith(("optimizer", "optim", "opt")):
            known = {_OPTIMIZERS.get(str(each).casefold()) for each in column}
            if len(known) == 1 and (found := known.pop()):
                return found, ""
    return _USUAL, f"Rules are those for {_USUAL}; --as KNOB chooses another place."


def _notes(
    table: Results,
    columns: Columns,
    found: Sorted,
    fitted: Sequence[Fitted],
    about_rules: str,
) -> list[str]:
    notes = []
    if columns.settings:
        notes.append(
            f"Not pooled, since they differ too: {_differing(found, columns)}. "
            "--ignore COLUMN pools, --where COLUMN=VALUE chooses."
        )
    cells = [each.cell for each in fitted]
    if columns.seed is None:
        notes.append(
            "No column is a seed: rows count as independent trainings. If all had one "
            "seed, the interval is for that seed."
        )
    elif not any(cell.paired for cell in cells):
        notes.append(
            "Seeds do not share weight decays: trainings are compared unpaired, which "
            "takes many more of them."
        )
    if len(found.cells) > len(fitted):
        count = len(found.cells) - len(fitted)
        notes.append(f"{counted(count, 'smaller cell')} not read.")
    notes += [f"{each[0].upper()}{each[1:]}." for each in table.remarks]
    return [*notes, *filter(None, [about_rules])]


def _command(answer: Fit, script: Sequence[str]) -> str:
    """Return what would settle the open cell that needs the least; empty if none is."""
    open_cells = [
        cell for cell in answer.cells if cell.verdict == "cannot tell" and cell.value
    ]
    if not open_cells:
        return ""
    cell = min(open_cells, key=lambda each: each.needed or math.inf)
    return find_command(
        cell,
        knob=answer.typed_into,
        metric=answer.columns.metric,
        maximize=answer.columns.maximize,
        script=script,
    )
