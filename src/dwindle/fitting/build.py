"""From a table of results to an answer: columns, cells, exponents, what is open."""

import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dwindle.decay.families import SGD
from dwindle.decay.knobs import resolve_knob
from dwindle.errors import RefusedError
from dwindle.fitting.answer import Fit
from dwindle.fitting.axes import fit_axes
from dwindle.fitting.cells import Fitted, FittedCell, fit_cell
from dwindle.fitting.columns import Choice, Columns, find_columns, named
from dwindle.fitting.table import Results
from dwindle.fitting.trainings import CellRows, Sorted, sort_rows
from dwindle.wording import clean, counted, listed, number

_MOST_CELLS = 60  # the largest; nobody reads more
_USUAL = "torch.optim.AdamW"
_GUESSED = f"{_USUAL} is a guess: --as KNOB names where the decay is typed."
_OPTIMIZERS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam", "adamw": _USUAL}
_ASKED = "A best weight decay"
_CHOOSE = "Choose the columns: --knob, --metric; dwindle fit --help has all options."
_POOL = (
    "Pool what does not matter to you with --ignore COLUMN, or choose rows with "
    "--where COLUMN=VALUE."
)


def fit_table(  # noqa: PLR0913 - what is left of the choices of fit
    table: Results,
    choice: Choice,
    *,
    where: Mapping[str, object],
    typed_into: str | None,
    script: Sequence[str],
    compare: Sequence[float],
) -> Fit:
    """Answer from a table of results; see :func:`dwindle.fit`."""
    columns = find_columns(table, choice)
    names = tuple(table.columns)
    filters = {named(name, names): str(value) for name, value in where.items()}
    found = sort_rows(
        table, columns, {name: value for name, value in filters.items() if name}
    )
    shown = _largest(table, columns, found)
    place, note = _typed_into(table, columns, typed_into)
    record = resolve_knob(place)
    fitted = [
        fit_cell(
            each,
            log_scale=found.log_scale,
            is_reversed=columns.reversed,
            compare=compare,
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
    command = _command(answer, script)
    # Of the place nothing else depends than rules and what is to be typed.
    notes = (*answer.notes, note) if note and (axes or command) else answer.notes
    return replace(answer, command=command, notes=notes)


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
        raise RefusedError(_ASKED, why, _CHOOSE)
    if not several and len(found.cells) > 1:
        why = (
            f"No two of {counted(len(found.cells), 'group')} of trainings that are "
            f"alike differ in the weight decay: {_differing(found, columns)}."
        )
        raise RefusedError(_ASKED, why, _POOL)
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
            f"Not pooled, since they differ too: {_differing(found, columns)}. "
            "--ignore COLUMN pools, --where COLUMN=VALUE chooses."
        )
    cells = [each.cell for each in fitted]
    lost = sum(cell.seeds_lost for cell in cells)
    if lost:
        notes.append(
            f"{counted(lost, 'seed')} left out: diverged at most weight decays, also "
            "where other seeds trained."
        )
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


_SCRIPT = ("python", "train.py", "--weight-decay", "{weight_decay}", "--seed", "{seed}")
# What may be a flag of somebody's script; any other name stays out of the line.
_FLAG = re.compile(r"[A-Za-z][\w.-]*")
_BESIDE = 10  # times the one λ that was trained: on both sides, as far as is usual
_FIRST = 3  # trainings of seed 0 that find starts with where it has a guess
_PER_SEED = 2  # and of every further seed
_MOST = 200  # a line with more trainings is not what anybody runs next


def find_command(
    cell: FittedCell,
    *,
    knob: str,
    metric: str,
    maximize: bool,
    script: Sequence[str] = (),
) -> str:
    """Return a line for a shell that trains what would settle a cell that has a value.

    Every word is quoted for a POSIX shell; without the user's own ``script`` its
    command is one to be filled in.
    """
    tried = [decay for decay, _, _ in cell.curve if 0 < decay < float("inf")]
    low, high = min(tried), max(tried)
    if low == high:
        low, high = low / _BESIDE, high * _BESIDE
    needed = cell.needed or 4
    words = [
        *("dwindle", "find", "--knob", knob),
        *("--low", number(low), "--high", number(high)),
        *(("--guess", number(cell.value)) if cell.value else ()),
        *("--trainings", str(min(_FIRST + _PER_SEED * needed, _MOST))),
        *("--metric", clean(metric)),
        *(("--maximize",) if maximize else ()),
        "--",
        *(script or (*_SCRIPT, *_flags(cell.scale), *_flags(cell.settings))),
    ]
    return shlex.join(map(clean, words))


def _flags(named: Mapping[str, float] | Mapping[str, str]) -> list[str]:
    return [
        f"--{name.replace('_', '-')}={value:g}"
        if isinstance(value, float)
        else f"--{name.replace('_', '-')}={value}"
        for name, value in named.items()
        if _FLAG.fullmatch(name)
    ]
