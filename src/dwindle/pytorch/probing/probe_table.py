"""How a probe looks: as a table in a terminal, and in a notebook."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from dwindle.pytorch.probing.group_probe import GroupProbe, number

if TYPE_CHECKING:
    from rich.console import RenderableType

_HEADING = "{}, stepped on a copy with zero gradients"


def _known(value: float | None) -> str:
    return "" if value is None else number(value)


def _stored(seen: GroupProbe) -> str:
    happens = _known(seen.measured_shrink)
    return f"{happens} in {seen.dtype}" if happens else seen.dtype


_COLUMNS: Mapping[str, Callable[[GroupProbe], str]] = {
    "group": lambda seen: str(seen.group),
    "lr": lambda seen: _known(seen.lr),
    "knob": lambda seen: _known(seen.number),
    "decay": lambda seen: seen.family,
    "per step": lambda seen: _known(seen.shrink_per_step),
    "half-life, steps": lambda seen: _known(seen.half_life_steps),
    "as stored": _stored,
    "run leaves": lambda seen: _known(seen.kept),
}


def columns_of(groups: Sequence[GroupProbe]) -> dict[str, list[str]]:
    """Return the table as texts, column by column; empty columns are left out.

    Example:
        >>> columns_of([GroupProbe(group=0, lr=0.1)])["lr"]
        ['0.1']

    """
    columns = {
        name: [text(group) for group in groups] for name, text in _COLUMNS.items()
    }
    return {name: texts for name, texts in columns.items() if any(texts)}


def as_rich(
    optimizer: str, groups: Sequence[GroupProbe], sentences: Sequence[str]
) -> "RenderableType":
    """Return the table and the sentences as rich draws them."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = columns_of(groups)
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, row))
    told = [Text(f"{at}  {sentence}") for at, sentence in enumerate(sentences)]
    return Group(Text(_HEADING.format(optimizer), style="bold"), table, *told)


def as_html(
    optimizer: str, groups: Sequence[GroupProbe], sentences: Sequence[str]
) -> str:
    """Return the same for a notebook; every text is escaped."""
    columns = columns_of(groups)
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    heading = escape(_HEADING.format(optimizer))
    return (
        f"<p><b>{heading}</b></p><table><tr>{heads}</tr>{rows}</table>"
        f'<ol start="0">{told}</ol>'
    )
