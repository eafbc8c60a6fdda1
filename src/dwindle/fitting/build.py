"""From a table of results to an answer: columns, cells, exponents, what is open."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dwindle.decay.families import SGD
from dwindle.decay.knobs import resolve_knob
from dwindle.errors import RefusedError
from dwindle.fitting.answer import Fit
from dwindle.fitting.axes import fit_axes
from dwindle.fitting.cells import Fitted, fit_cell
from dwindle.fitting.columns import (
    ColumnChoice,
    Columns,
    find_columns,
    named,
    printed_name,
)
from dwindle.fitting.find_line import TO_FILL_IN, find_command, names_in_braces
from dwindle.fitting.table import Results
from dwindle.fitting.trainings import CellRows, Sorted, sort_rows
from dwindle.wording import capital, clean, counted, listed

_MOST_CELLS = 60  # the largest; nobody reads more
_USUAL = "torch.optim.AdamW"
_GUESSED = f"{_USUAL} is a guess: --as KNOB names where the decay is typed."
_OPTIMIZERS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam", "adamw": _USUAL}
_BEST_DECAY = "A best weight decay"
_CHOOSE = "Choose the columns: --knob, --metric; dwindle fit --help has all options."
_POOL = (
    "Pool what does not matter to you with --ignore COLUMN, or choose rows with "
    "--where COLUMN=VALUE."
)


def fit_table(table: Results, choice: ColumnChoice) -> Fit:
    """Answer from a table of results; see :func:`dwindle.fit`."""
    columns = find_columns(table, choice)
    names = tuple(table.columns)
    filters = {named(name, names): str(value) for name, value in choice.where.items()}
    found = sort_rows(
        table, columns, {name: value for name, value in filters.items() if name}
    )
    shown = _largest(table, columns, found)
    place, note = _typed_into(table, columns, choice.typed_into)
    record = resolve_knob(place)
    fitted = [
        fit_cell(
            each,
            log_scale=found.log_scale,
            is_reversed=columns.reversed,
            compare=choice.compare,
        )
        for each in shown
    ]
    axes = fit_axes(
        fitted,
        fixed=columns.fixed,
        # An objective without an optimizer reads like SGD's.
        family=record.family or SGD.name,
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
        notes=tuple(_notes(table, columns, found, fitted)),
    )
    command, needed = _command(answer, choice.script)
    # Only the rules and the command depend on the place that decay is typed into.
    about = (note,) if note and (axes or command) else ()
    # Notes on the command come first: they may be all that a user reads.
    return replace(answer, command=command, notes=(*needed, *answer.notes, *about))


def _largest(table: Results, columns: Columns, found: Sorted) -> list[CellRows]:
    """Return the cells to be read; refuse where nothing differs in λ alone."""
    several = [
        cell
        for cell in found.cells
        if len({each.weight_decay for each in cell.trainings}) > 1
    ]
    if not found.cells:
        counts = listed([f"{count} {why}" for why, count in found.left_out.items()])
        why = f"No row of {clean(table.source)} is a finished training: {counts}."
        raise RefusedError(_BEST_DECAY, why, _CHOOSE)
    if not several and len(found.cells) > 1:
        why = (
            f"No two of {counted(len(found.cells), 'group')} of trainings that are "
            f"alike differ in the weight decay: {_differing(found, columns)}."
        )
        raise RefusedError(_BEST_DECAY, why, _POOL)
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


def _typed_into(table: Results, columns: Columns, given: str | None) -> tuple[str, str]:
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
    return _USUAL, _GUESSED


def _notes(
    table: Results,
    columns: Columns,
    found: Sorted,
    fitted: Sequence[Fitted],
) -> list[str]:
    notes = []
    if columns.settings:
        notes.append(
            f"Not pooled, because these differ too: {_differing(found, columns)}. "
            "Pool with --ignore COLUMN, or choose rows with --where COLUMN=VALUE."
        )
    cells = [each.cell for each in fitted]
    lost = sum(cell.seeds_lost for cell in cells)
    if lost:
        notes.append(
            f"{counted(lost, 'seed')} left out: diverged at most of the weight decays, "
            "even where other seeds trained."
        )
    if columns.seed is None:
        notes.append(
            "No column is the seed: rows count as independent trainings. If all have "
            "one seed, the interval holds for that seed only."
        )
    elif not any(cell.paired for cell in cells):
        notes.append(
            "Seeds do not share weight decays: trainings are compared unpaired, which "
            "takes many more of them."
        )
    if len(found.cells) > len(fitted):
        count = len(found.cells) - len(fitted)
        notes.append(f"{counted(count, 'smaller cell')} not read.")
    notes += [f"{capital(each)}." for each in table.remarks]
    repeated = sum(
        len(cell.trainings) - len({(t.weight_decay, t.seed) for t in cell.trainings})
        for cell in found.cells
    )
    if columns.seed is not None and repeated:
        notes.append(
            f"{counted(repeated, 'row')} with the weight decay and seed of another, "
            "but not its loss: their mean counts."
        )
    return notes


_SEEDLESS = (
    "The command takes no {seed}, so its trainings could not be paired, and no line to "
    "settle this is printed: write --seed {seed} where the command takes it."
)


def _command(answer: Fit, script: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return what would settle the open cell that needs the least, and its notes.

    Empty where none is open.
    """
    open_cells = [
        cell
        for cell in answer.cells
        if cell.verdict == "cannot tell" and cell.value is not None
    ]
    if not open_cells:
        return "", ()
    cell = min(open_cells, key=lambda each: each.needed or math.inf)
    if script and cell.paired and "seed" not in names_in_braces(script):
        return "", (_SEEDLESS,)
    metric = answer.columns.metric
    notes: tuple[str, ...] = ()
    if printed_name(metric) is None:
        shown = clean(metric, limit=40)
        why = f"{shown} is only its column in the file"
        note = f"Replace {TO_FILL_IN} by the name that your training prints: {why}."
        notes = (note,)
    command = find_command(
        cell,
        knob=answer.typed_into,
        metric=metric,
        maximize=answer.columns.maximize,
        script=script,
    )
    return command, notes
