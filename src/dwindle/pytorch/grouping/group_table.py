"""Which parameter went into which group, and why, as a table.

Parameters that differ only by numbers in their names are one line
(``blocks.0–11.attn.qkv.weight``).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dwindle.pytorch.grouping.selection import Choice
from dwindle.show import Column, Line, Sheet, Table
from dwindle.wording import counted

# Not one within a word: conv1 and conv2 are layers of different sizes.
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


def table_of(
    model: str,
    groups: Sequence[Mapping[str, Any]],
    rows: Sequence[Choice],
    *,
    heads: bool = False,
) -> Sheet:
    """Return the table, group by group; what is in none comes at the end.

    Args:
        model: Class of the model.
        groups: The groups.
        rows: The parameters, each with the number of its group.
        heads: Whether columns have names, which lines of text tell by themselves.

    """
    parts: list[Line | Table | str] = [Line(text=_heading(model, rows), style="bold")]
    members: dict[int | None, list[Choice]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row)
    for position, group in enumerate(groups):
        here = members[position]
        color = "green" if here[0].decays else "yellow"
        title = Line(text=_title(position, group, here), style=f"bold {color}")
        parts += ["", title, _lines(here, color, heads=heads)]
    if None in members:
        title = Line(text=f"in no group: {_counted(members[None])}", style="bold dim")
        parts += ["", title, _lines(members[None], "dim", heads=heads)]
    return Sheet(parts=parts)


def _heading(model: str, rows: Sequence[Choice]) -> str:
    decaying = [row for row in rows if row.decays]
    if not decaying:
        return f"{model}: nothing decays, of {_counted(rows)}"
    some, whole = (sum(row.held.numbers for row in each) for each in (decaying, rows))
    return (
        f"{model}: {len(decaying)} of {len(rows)} tensors decay, "
        f"{some:,} of {whole:,} numbers ({100 * some / whole:.3g} %)"
    )


def _title(position: int, group: Mapping[str, Any], rows: Sequence[Choice]) -> str:
    decays, coefficient = rows[0].decays, rows[0].coefficient
    verb = "decays" if decays else "does not decay"
    options = {name: group[name] for name in ("lr", "lr_scale") if name in group}
    if decays and "weight_decay" in group:
        options = {"weight_decay": group["weight_decay"], **options}
    if coefficient not in (0, 1):
        options["decay_scale"] = coefficient
    # An lr may be a tensor that holds one number.
    shown = (f"{name} {float(number):.4g}" for name, number in options.items())
    return " · ".join((f"group {position} {verb}", _counted(rows), *shown))


def _counted(rows: Sequence[Choice]) -> str:
    numbers = sum(row.held.numbers for row in rows)
    return f"{counted(len(rows), 'tensor')} ({numbers:,} numbers)"


def _lines(rows: Sequence[Choice], color: str, *, heads: bool) -> Table:
    # Only what is there for one and the same reason is one line.
    alike: dict[tuple[str, str], list[Choice]] = {}
    for row in rows:
        key = (_NUMBER.sub("#", " = ".join(row.names)), row.why)
        alike.setdefault(key, []).append(row)
    columns = (
        Column("parameter", "name", style=color),  # a name is for copying
        Column("tensors", style="dim"),
        Column("shape"),
        Column("why", style="dim"),
    )
    lines = [
        (_names(each), f"×{len(each)}" if each[1:] else "", _shapes(each), each[0].why)
        for each in alike.values()
    ]
    return Table(columns=columns, rows=lines, heads=heads, indent=2)


def _names(rows: Sequence[Choice]) -> str:
    """Return the one name, or one for all with the range of each number in it."""
    texts = [" = ".join(row.names) for row in rows]
    columns = zip(*(map(int, _NUMBER.findall(text)) for text in texts), strict=True)
    ranges = iter([(min(column), max(column)) for column in columns])

    def one_or_all(_: re.Match[str]) -> str:
        low, high = next(ranges)
        return str(low) if low == high else f"{low}–{high}"

    return _NUMBER.sub(one_or_all, texts[0])


def _shapes(rows: Sequence[Choice]) -> str:
    shapes = {row.held.shape for row in rows}
    if len(shapes) == 1:
        return "×".join(map(str, rows[0].held.shape)) or "one number"
    return f"{len(shapes)} shapes"
