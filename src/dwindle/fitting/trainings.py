"""From rows to trainings: what counts, what is left out, and which belong together."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dwindle.fitting.columns import Columns, read_value
from dwindle.fitting.table import Results, Value

_SAME_DIGITS = 9  # of two λ, or two values of a scale, that are one

_LOST = frozenset({"diverged", "nan"})
_LEFT_OUT = {
    **dict.fromkeys(("fail", "failed", "crashed", "crash", "error", "oom"), "failed"),
    **dict.fromkeys(("killed", "canceled", "cancelled", "terminated"), "failed"),
    **dict.fromkeys(("running", "pending", "scheduled", "waiting"), "unfinished"),
    **dict.fromkeys(("queued", "preempting", "preempted"), "unfinished"),
    "pruned": "pruned",
}


@dataclass(frozen=True, slots=True)
class Training:
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
    trainings: Sequence[Training]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sorted:
    """All cells of a table, and why rows are not in them, with their counts."""

    cells: Sequence[CellRows]
    left_out: Mapping[str, int]
    log_scale: bool
    score: str = ""
    remarks: Sequence[str] = ()


@dataclass(kw_only=True)
class _Bins:
    cells: dict[tuple[tuple[float, ...], tuple[str, ...]], list[Training]] = field(
        default_factory=dict
    )
    left_out: Counter[str] = field(default_factory=Counter)


def sort_rows(
    table: Results, columns: Columns, where: Mapping[str, str] | None = None
) -> Sorted:
    """Sort the rows of a table into cells.

    A row that failed, was pruned or still runs, or lacks λ or its loss, is left out and
    counted; so is one that is equal to another in every column. Of a training that has
    a row per epoch or step the last one counts. A loss that is nan or infinite
    diverged. Scores between 0 and 1 (or in percent) become the error that they leave.

    Args:
        table: Results.
        columns: Which column is what.
        where: Values that columns must have, as text or number.

    """
    bins = _Bins()
    rows = _chosen_rows(table, columns, where or {}, bins.left_out)
    losses, score = _losses([table.columns[columns.metric][at] for at in rows], columns)
    knob, seeds = table.columns[columns.knob], table.columns.get(columns.seed or "")
    scales = [table.columns[name] for name in columns.scale.values()]
    settings = [table.columns[name] for name in columns.settings]
    for at, loss in zip(rows, losses, strict=True):
        decay = _number(knob[at])
        scale = tuple(_number(column[at]) for column in scales)
        if loss is None and _status(table, columns, at) in _LOST:
            loss = math.inf  # noqa: PLW2901 - said by its state instead
        why = _why_not(decay, loss, scale, is_reversed=columns.reversed)
        if why or decay is None or loss is None:
            bins.left_out[why] += 1
            continue
        key = (
            tuple(value for value in scale if value is not None),
            tuple(_text(column[at]) for column in settings),
        )
        seed = None if seeds is None or _is_empty(seeds[at]) else _text(seeds[at])
        bins.cells.setdefault(key, []).append(Training(decay, seed, loss))
    cells = [
        CellRows(
            scale=dict(zip(columns.scale, scale, strict=True)),
            settings=dict(zip(columns.settings, values, strict=True)),
            trainings=tuple(trainings),
        )
        for (scale, values), trainings in sorted(bins.cells.items())
    ]
    finite = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return Sorted(
        cells=cells,
        left_out={why: count for why, count in bins.left_out.items() if count},
        log_scale=bool(finite) and min(finite) > 0,
        score=score,
    )


def _chosen_rows(
    table: Results, columns: Columns, where: Mapping[str, str], left_out: Counter[str]
) -> list[int]:
    """Return the rows that count, by their numbers."""
    rows: list[int] = []
    seen: set[tuple[object, ...]] = set()
    filters = [(table.columns[name], _text(value)) for name, value in where.items()]
    # Only what says which training it is and how it ended: a clock may differ.
    for at, cells in enumerate(zip(*table.columns.values(), strict=True)):
        if any(_text(column[at]) != value for column, value in filters):
            left_out["of other settings than --where"] += 1
            continue
        why = _LEFT_OUT.get(_status(table, columns, at), "")
        key = cells if _all_plain(cells) else tuple(map(repr, cells))
        if why:
            left_out[why] += 1
        elif key in seen:
            left_out["equal to another row"] += 1
        else:
            seen.add(key)
            rows.append(at)
    return _last_of_each(table, columns, rows, left_out)


def _last_of_each(
    table: Results, columns: Columns, rows: list[int], left_out: Counter[str]
) -> list[int]:
    """Keep the last row of a training that has one per epoch or step."""
    if columns.progress is None:
        return rows
    names = [columns.knob, columns.seed, columns.run, *columns.scale.values()]
    names += columns.settings
    identity = [table.columns[name] for name in names if name]
    progress = table.columns[columns.progress]
    last: dict[tuple[str, ...], tuple[float, int]] = {}
    for at in rows:
        key = tuple(_text(column[at]) for column in identity)
        found = _number(progress[at])
        # A row without its loss, such as a training step between evaluations, is none.
        if found is None or _is_empty(table.columns[columns.metric][at]):
            continue
        if key not in last or found >= last[key][0]:
            last[key] = (found, at)
    kept = sorted(at for _, at in last.values())
    if not kept or len(kept) == len(rows):
        return rows
    left_out["earlier in their training"] += len(rows) - len(kept)
    return kept


def _losses(
    values: Sequence[Value], columns: Columns
) -> tuple[list[float | None], str]:
    """Return losses, lower for better, and how a score was turned into one."""
    read = [None if _is_empty(value) else _number_of_text(value) for value in values]
    read = [
        math.inf if each is not None and math.isnan(each) else each for each in read
    ]
    if not columns.maximize:
        return [each if each != -math.inf else math.inf for each in read], ""
    finite = [each for each in read if each is not None and math.isfinite(each)]
    top = max(finite, default=0.0)
    whole = 1.0 if top < 1 else 100.0
    if finite and min(finite) >= 0 and top < whole and (whole == 1 or top > 10):  # noqa: PLR2004 - percents, not a small reward
        score = f"{whole:g} − {columns.metric}"
    else:
        whole, score = 0.0, f"−{columns.metric}"
    return [
        None if each is None else whole - each if math.isfinite(each) else math.inf
        for each in read
    ], score


def _why_not(
    decay: float | None,
    loss: float | None,
    scale: Sequence[float | None],
    *,
    is_reversed: bool,
) -> str:
    if decay is None or math.isnan(decay) or decay < 0:
        return "without a weight decay"
    if math.isinf(decay) != is_reversed and math.isinf(decay):
        return "without a weight decay"
    if is_reversed and decay == 0:
        return "without a weight decay"
    if loss is None:
        return "without a loss"
    return "without a scale" if None in scale else ""


def _status(table: Results, columns: Columns, at: int) -> str:
    if columns.status is None:
        return ""
    return str(table.columns[columns.status][at] or "").strip().casefold()


@lru_cache(maxsize=1 << 16)
def _number_of_text(value: Value) -> float | None:
    return read_value(value)


def _number(value: Value) -> float | None:
    found = _number_of_text(value) if _all_plain((value,)) else read_value(value)
    if found is None or not math.isfinite(found) or found == 0:
        return found
    return float(f"{found:.{_SAME_DIGITS}g}")


def _text(value: Value) -> str:
    """Return a cell as a key: 1 and 1.0 and "1" are one seed."""
    found = _number_of_text(value) if _all_plain((value,)) else None
    return str(value).strip() if found is None else f"{found:.12g}"


def _is_empty(value: Value) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _all_plain(cells: Sequence[Value]) -> bool:
    return all(each is None or isinstance(each, str | int | float) for each in cells)
