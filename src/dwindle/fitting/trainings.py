"""From rows to trainings: what counts, what is left out, and which belong together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median
from typing import NamedTuple

from dwindle.fitting.columns import Columns, read_value
from dwindle.fitting.table import Results, Value, unfit
from dwindle.wording import clean, counted, number

_DIGITS = 9  # of two λ, or two values of a scale, that are one

# Of one metric the best and the worst run differ by less than 3, or there are some in
# between; a hundred times its share is a percentage up to what runs differ by.
_UNITS_APART, _ALIKE = 3, 1.15
_LEAST_PERCENT = 10  # chance among ten classes, which the best run of a table beats
# A cell of these types is its own key; one of others is read first.
_PLAIN = {str, int, float, type(None)}
_LOST = frozenset({"diverged", "nan"})
_LEFT_OUT = {
    **dict.fromkeys(("fail", "failed", "crashed", "crash", "error", "oom"), "failed"),
    **dict.fromkeys(("killed", "canceled", "cancelled", "terminated"), "failed"),
    **dict.fromkeys(("running", "pending", "scheduled", "waiting"), "unfinished"),
    **dict.fromkeys(("queued", "preempting", "preempted"), "unfinished"),
    "pruned": "pruned",
}


class TrainingRow(NamedTuple):
    """One training: λ as typed, its seed (None where no column has one), its loss.

    ``loss`` is lower for better, also where the column is a score; infinite where the
    training diverged.
    """

    weight_decay: float
    seed: str | None
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CellRows:
    """Trainings that differ in nothing but λ and seed.

    ``scale`` has the quantities that differ between cells, ``settings`` the other
    hyper-parameters that do.
    """

    scale: Mapping[str, float]
    settings: Mapping[str, str]
    trainings: Sequence[TrainingRow]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sorted:
    """All cells of a table, and why rows are not in them, with their counts."""

    cells: Sequence[CellRows]
    left_out: Mapping[str, int]
    log_scale: bool
    score: str = ""


def sort_rows(
    table: Results, columns: Columns, where: Mapping[str, str] | None = None
) -> Sorted:
    """Sort the rows of a table into cells.

    A row that failed, was pruned or still runs, or lacks λ or its loss, is left out and
    counted; so is one that is equal to another in every column, and one without a value
    of ``where``. Of a training that has a row per epoch or step the last one counts. A
    loss that is nan or infinite diverged. Scores between 0 and 1 (or in percent) become
    the error that they leave.
    """
    left_out: Counter[str] = Counter()
    rows = _chosen_rows(table, columns, where or {}, left_out)
    # Column by column: tables of 100,000 rows are usual.
    metric = _numbers(table.columns[columns.metric])
    if columns.is_share:
        _refuse_two_units(table, columns, [metric[at] or 0.0 for at in rows])
    losses, score = _losses(metric, columns)
    decays = _rounded(table.columns[columns.knob])
    seeds = _texts(table.columns[columns.seed]) if columns.seed else [""] * table.rows
    scales = [_rounded(table.columns[name]) for name in columns.scale.values()]
    settings = [_texts(table.columns[name]) for name in columns.settings]
    status = _status(table, columns)
    is_reversed = columns.reversed
    cells: dict[tuple[tuple[float, ...], tuple[str, ...]], list[TrainingRow]] = {}
    for at in rows:
        decay, loss = decays[at], losses[at]
        if loss is None and status and status[at] in _LOST:
            loss = inf
        scale = tuple([value for column in scales if (value := column[at]) is not None])
        if decay is None:
            left_out["without a weight decay"] += 1
        # C has no decay at infinity, and none at 0.
        elif not (decay > 0 if is_reversed else 0 <= decay < inf):
            left_out["with an impossible weight decay"] += 1
        elif loss is None:
            left_out["without a loss"] += 1
        elif len(scale) < len(scales):
            left_out["without a scale"] += 1
        else:
            key = scale, tuple([column[at] for column in settings])
            training = TrainingRow(decay, seeds[at] or None, loss)
            cells.setdefault(key, []).append(training)
    finite = [x for at in rows if (x := losses[at]) is not None and isfinite(x)]
    return Sorted(
        cells=[
            CellRows(
                scale=dict(zip(columns.scale, scale, strict=True)),
                settings=dict(zip(columns.settings, values, strict=True)),
                trainings=tuple(trainings),
            )
            for (scale, values), trainings in sorted(cells.items())
        ],
        left_out=left_out,
        log_scale=bool(finite) and min(finite) > 0,
        score=score,
    )


def _chosen_rows(
    table: Results, columns: Columns, where: Mapping[str, str], left_out: Counter[str]
) -> list[int]:
    """Return the rows that count, by their numbers."""
    filters = [
        (_texts(table.columns[name]), _key(value)) for name, value in where.items()
    ]
    kept = [
        at
        for at in range(table.rows)
        if all(column[at] == value for column, value in filters)
    ]
    left_out["of other settings than --where"] = table.rows - len(kept)
    # A cell of a list or of NumPy's has no hash, or is another one than its number.
    keys = [
        column if _all_plain(column) else list(map(repr, column))
        for column in table.columns.values()
    ]
    cells = list(zip(*keys, strict=True))
    status = _status(table, columns)
    rows: list[int] = []
    seen: set[tuple[object, ...]] = set()
    for at in kept:
        why = _LEFT_OUT.get(status[at]) if status else None
        if why:
            left_out[why] += 1
        elif cells[at] in seen:
            left_out["equal to another row"] += 1
        else:
            seen.add(cells[at])
            rows.append(at)
    found = _last_of_each(table, columns, rows, left_out)
    for each in [each for each, count in left_out.items() if not count]:
        del left_out[each]
    return found


def _last_of_each(
    table: Results, columns: Columns, rows: list[int], left_out: Counter[str]
) -> list[int]:
    """Keep the last row of a training that has one per epoch or step."""
    if columns.progress is None:
        return rows
    names = [columns.knob, columns.seed, columns.run, *columns.scale.values()]
    names += columns.settings
    identity = [_texts(table.columns[name]) for name in names if name]
    progress = _numbers(table.columns[columns.progress])
    losses = _numbers(table.columns[columns.metric])
    last: dict[tuple[str, ...], tuple[float, int]] = {}
    for at in rows:
        key, found = tuple([column[at] for column in identity]), progress[at]
        # A row without its loss, such as a training step between evaluations, is none.
        if found is None or losses[at] is None:
            continue
        if key not in last or found >= last[key][0]:
            last[key] = (found, at)
    if not last or len(last) == len(rows):
        return rows
    left_out["earlier in their training"] = len(rows) - len(last)
    return sorted(at for _, at in last.values())


def _losses(
    read: Sequence[float | None], columns: Columns
) -> tuple[list[float | None], str]:
    """Return losses, lower for better, and how a score was turned into one."""
    finite = [each for each in read if each is not None and isfinite(each)]
    whole, score = 0.0, ""
    if columns.maximize:
        whole, score = _whole(finite), f"−{columns.metric}"
        score = f"{whole:g} − {columns.metric}" if whole else score
    sign = -1.0 if columns.maximize else 1.0
    losses = [
        None if each is None else whole + sign * each if isfinite(each) else inf
        for each in read
    ]
    return losses, score


def _refuse_two_units(
    table: Results, columns: Columns, metric: Sequence[float]
) -> None:
    """Refuse 0.91 and 91.2 in one column: a difference of units would be one of λ."""
    shares = [each for each in metric if 0 < each <= 1]
    percents = [each for each in metric if 1 < each <= 100]  # noqa: PLR2004 - of all
    if not shares or not percents or min(percents) < _UNITS_APART * max(shares):
        return
    # Percentages far from the shares times 100 (1 beside 0.91) may be small errors.
    usual = 100 * median(shares)
    if min(percents) / _ALIKE <= usual <= max(percents) * _ALIKE:
        got = (
            f"{counted(len(shares), 'row')} up to {number(max(shares))} and "
            f"{counted(len(percents), 'row')} from {number(min(percents))}"
        )
        must = f"a table with one unit in {clean(columns.metric, limit=40)}"
        remedy = (
            f"Write shares or percentages alone: {number(percents[0])} is "
            f"{number(percents[0] / 100)}. Or choose rows: --where COLUMN=VALUE."
        )
        raise unfit(table.source, must, got, remedy)


def _whole(scores: Sequence[float]) -> float:
    """Return what a perfect score is: 1, 100 for percents, 0 where it is unknown."""
    if not scores or min(scores) < 0:
        return 0.0
    if max(scores) < 1:
        return 1.0
    # Percents that are all below 10 are rather rewards of another kind.
    return 100.0 if _LEAST_PERCENT < max(scores) < 100 else 0.0  # noqa: PLR2004


def _status(table: Results, columns: Columns) -> list[str]:
    if columns.status is None:
        return []
    column = table.columns[columns.status]
    return ["" if each is None else str(each).strip().casefold() for each in column]


def _numbers(column: Sequence[Value]) -> list[float | None]:
    """Return a column as numbers; None where there is none, NaN where it is written."""
    if not _all_plain(column):
        return [read_value(each) for each in column]
    read = {each: read_value(each) for each in set(column)}
    return [read[each] for each in column]


def _rounded(column: Sequence[Value]) -> list[float | None]:
    """Return numbers that are one where they differ by rounding."""
    numbers = _numbers(column)
    same = {each: each and float(f"{each:.{_DIGITS}g}") for each in {*numbers} - {None}}
    return [None if each is None else same[each] for each in numbers]


def _texts(column: Sequence[Value]) -> list[str]:
    """Return a column as keys: 1 and 1.0 and "1" are one seed."""
    plain = column if _all_plain(column) else list(map(str, column))
    keys = {each: _key(each) for each in set(plain)}
    return [keys[each] for each in plain]


def _key(value: Value) -> str:
    if value is None:
        return ""
    number = read_value(value)
    return str(value).strip() if number is None else f"{number:.12g}"


def _all_plain(column: Sequence[Value]) -> bool:
    """Whether a column holds what is its own key, as that of a file does."""
    return {type(each) for each in column} <= _PLAIN
