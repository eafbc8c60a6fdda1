"""How param groups look: which parameter went where, and why, twelve blocks as one.

Parameters that differ only by numbers in their names are one line
(``blocks.0–11.attn.qkv.weight``).
"""

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from dwindle.pytorch.grouping.group_rows import Row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_WIDTH_OF_TEXT = 110
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
_HEADS = ("parameter", "tensors", "shape", "why")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One group, or all that is in none: its title and its lines, as texts."""

    title: str
    style: str
    lines: tuple[tuple[str, str, str, str], ...]


def blocks_of(
    groups: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> tuple[Block, ...]:
    """Return the table as texts, group by group, what is in none at the end."""
    members: dict[int | None, list[Row]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row)
    told = [
        Block(
            title=_title(position, group, members[position]),
            style="green" if members[position][0].decays else "yellow",
            lines=_lines(members[position]),
        )
        for position, group in enumerate(groups)
    ]
    if None in members:
        title = f"in no group: {_counted(members[None])}"
        told.append(Block(title=title, style="dim", lines=_lines(members[None])))
    return tuple(told)


def as_rich(
    model: str, groups: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> "RenderableType":
    """Return the table as rich draws it, colored."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_heading(model, rows), style="bold")]
    for block in blocks_of(groups, rows):
        parts += [Text(), Text(block.title, style=f"bold {block.style}")]
        parts.append(_lines_as_rich(block))
    return Group(*parts)


def as_text(
    model: str, groups: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> str:
    """Return the table as plain text, without colors."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDTH_OF_TEXT, color_system=None)
    with console.capture() as captured:
        console.print(as_rich(model, groups, rows))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def as_html(
    model: str, groups: Sequence[Mapping[str, Any]], rows: Sequence[Row]
) -> str:
    """Return the table as HTML for a notebook; every text is escaped."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in _HEADS)
    body = "".join(map(_block_as_html, blocks_of(groups, rows)))
    heading = escape(_heading(model, rows))
    return f"<div><p><b>{heading}</b></p><table><tr>{heads}</tr>{body}</table></div>"


def show(table: object) -> None:
    """Print a table in color, once: under torchrun only the first process does."""
    if os.environ.get("RANK", "0") == "0":
        from rich.console import Console

        Console().print(table)


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
    verb = "decays" if rows[0].decays else "does not decay"
    told = [f"group {position} {verb}", _counted(rows)]
    told += [
        f"{name} {_value(group[name])}"
        for name in ("weight_decay", "lr", "lr_scale")
        if name in group and (rows[0].decays or name != "weight_decay")
    ]
    if rows[0].coefficient not in (0, 1):
        told.append(f"decay_scale {_value(rows[0].coefficient)}")
    return " · ".join(told)


def _value(number: Any) -> str:  # a float, or a tensor that holds one
    return f"{float(number):.4g}"


def _counted(rows: Sequence[Row]) -> str:
    tensors = f"{len(rows)} tensor{'s' if len(rows) != 1 else ''}"
    return f"{tensors} ({sum(row.numbers for row in rows):,} numbers)"


def _lines(rows: Sequence[Row]) -> tuple[tuple[str, str, str, str], ...]:
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = (_NUMBER.sub("#", " = ".join(row.names)), row.why)
        alike.setdefault(key, []).append(row)
    return tuple(
        (_names(each), str(len(each)), _shapes(each), each[0].why)
        for each in alike.values()
    )


def _names(rows: Sequence[Row]) -> str:
    """Return the one name, or one for all with the range of each number in it."""
    texts = [" = ".join(row.names) for row in rows]
    found = [_NUMBER.findall(text) for text in texts]
    columns = zip(*found, strict=True)
    ranges = iter([_range([int(number) for number in column]) for column in columns])
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def _shapes(rows: Sequence[Row]) -> str:
    shapes = dict.fromkeys(row.shape for row in rows)
    if len(shapes) == 1:
        return "×".join(map(str, rows[0].shape)) or "one number"
    return f"{len(shapes)} shapes"


def _lines_as_rich(block: Block) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 0, 0, 2), show_header=False)
    for name in _HEADS:
        # A name is for copying: whatever else has to give way.
        table.add_column(name, overflow="fold", no_wrap=name == "parameter")
    for name, tensors, shape, why in block.lines:
        count = f"×{tensors}" if tensors != "1" else ""
        told = (Text(name, style=block.style), Text(count, style="dim"))
        table.add_row(*told, Text(shape), Text(why, style="dim"))
    return table


def _block_as_html(block: Block) -> str:
    title = f'<tr><th colspan="{len(_HEADS)}">{escape(block.title)}</th></tr>'
    rows = (
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>"
        for line in block.lines
    )
    return title + "".join(rows)
