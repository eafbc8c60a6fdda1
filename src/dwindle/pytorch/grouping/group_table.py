"""Which parameter went into which group, and why, as a table.

Parameters that differ only by numbers in their names are one line
(``blocks.0–11.attn.qkv.weight``).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dwindle.pytorch.parameters.roles import Role
from dwindle.show import Column, Line, Sheet, Table
from dwindle.wording import counted

# Not one within a word: conv1 and conv2 are layers of different sizes.
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One parameter: its group, whether it decays, and why.

    ``group`` is the position in the list of groups, None of a parameter that is in
    none (frozen, or left out of the groups that were given). ``coefficient`` is the
    factor on the decay: 0 where nothing decays, 1 where everything does.
    """

    name: str
    names: tuple[str, ...]
    role: Role
    owner: str
    shape: tuple[int, ...]
    decays: bool
    coefficient: float
    why: str
    group: int | None

    @property
    def numbers(self) -> int:
        """How many numbers the parameter has."""
        return math.prod(self.shape)


def table_of(
    model: str, groups: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> Sheet:
    """Return the table, group by group; what is in none comes at the end."""
    parts: list[Line | Table | str] = [Line(text=_heading(model, rows), style="bold")]
    members: dict[int | None, list[Row]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row)
    for position, group in enumerate(groups):
        here = members[position]
        color = "green" if here[0].decays else "yellow"
        title = Line(text=_title(position, group, here), style=f"bold {color}")
        parts += ["", title, _lines(here, color)]
    if None in members:
        title = Line(text=f"in no group: {_counted(members[None])}", style="bold dim")
        parts += ["", title, _lines(members[None], "dim")]
    return Sheet(parts=parts)


def _heading(model: str, rows: Sequence[Row]) -> str:
    decaying = [row for row in rows if row.decays]
    if not decaying:
        return f"{model}: nothing decays, of {_counted(rows)}"
    some, whole = (sum(row.numbers for row in each) for each in (decaying, rows))
    return (
        f"{model}: {len(decaying)} of {len(rows)} tensors decay, "
        f"{some:,} of {whole:,} numbers ({100 * some / whole:.3g} %)"
    )


def _title(position: int, group: Mapping[str, Any], rows: Sequence[Row]) -> str:
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


def _counted(rows: Sequence[Row]) -> str:
    numbers = sum(row.numbers for row in rows)
    return f"{counted(len(rows), 'tensor')} ({numbers:,} numbers)"


def _lines(rows: Sequence[Row], color: str) -> Table:
    # Only what is there for one and the same reason is one line.
    alike: dict[tuple[str, str], list[Row]] = {}
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
    return Table(columns=columns, rows=lines, heads=False, indent=2)


def _names(rows: Sequence[Row]) -> str:
    """Return the one name, or one for all with the range of each number in it."""
    texts = [" = ".join(row.names) for row in rows]
    columns = zip(*(map(int, _NUMBER.findall(text)) for text in texts), strict=True)
    ranges = iter([(min(column), max(column)) for column in columns])

    def one_or_all(_: re.Match[str]) -> str:
        low, high = next(ranges)
        return str(low) if low == high else f"{low}–{high}"

    return _NUMBER.sub(one_or_all, texts[0])


def _shapes(rows: Sequence[Row]) -> str:
    shapes = {row.shape for row in rows}
    if len(shapes) == 1:
        return "×".join(map(str, rows[0].shape)) or "one number"
    return f"{len(shapes)} shapes"
