"""Tables, lines and sheets of text for terminals, files and notebooks.

Callers give columns and rows; widths, folding, and the form of a table that does not
fit are decided here. rich is imported only when it draws.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from dwindle.wording import plain_letters, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

# Columns of plain text by default.
WIDTH = 100
# With fewer columns a table that does not fit becomes one block per row.
NARROW = 90
_LEAST = 16  # shorter words are not broken
_GAP = 2  # columns between columns: one alone reads as a space within a cell
_BREAK = re.compile(" (?!%)")  # a percent sign stays with its number
# pre-line keeps the line breaks of a cell, which a browser would join.
_HTML_STYLE = "vertical-align:top;white-space:pre-line"

# A cell is a text, or several below each other with a style each.
Cell = str | tuple[str, ...]
Pieces = list[str]


class Styled(str):
    """A text with a style of rich (``bold red``), equal to the text without it."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str) -> Self:
        """Return the text with its style."""
        made = super().__new__(cls, text)
        made.style = style
        return made


class Column(NamedTuple):
    """A column: a ``text`` folds at spaces, a ``number`` or ``name`` is never cut."""

    name: str
    kind: Literal["text", "number", "name"] = "text"
    style: str = ""


# What stands before each of several notes.
POINT = Column("point", "name")


class Drawable(Protocol):
    """Anything that is drawn as lines of a given width, and as HTML."""

    def lines(self, width: int, encoding: str = "utf-8") -> Iterator[Pieces]:
        """Yield lines, each as a list of texts that may have styles."""

    def html(self) -> str:
        """Return HTML, with every text escaped."""


def as_text(drawn: Drawable, *, width: int = WIDTH, encoding: str = "utf-8") -> str:
    """Return plain text without colors and without blanks at the ends of lines."""
    lines = drawn.lines(width, encoding)
    return "\n".join("".join(pieces).rstrip() for pieces in lines)


def _as_rich(
    drawn: Drawable, _console: "Console", options: "ConsoleOptions"
) -> "Iterator[Text]":
    from rich.text import Text

    for pieces in drawn.lines(options.max_width, options.encoding):
        parts = [(piece, _style_of(piece)) for piece in pieces]
        # Already folded; a line for copying is not cut at the edge.
        yield Text.assemble(*parts, no_wrap=True, overflow="ignore")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A paragraph."""

    text: Cell
    style: str = ""
    indent: int = 0  # columns to its left
    whole: bool = False  # for copying: never folded

    def lines(self, width: int, encoding: str = "utf-8") -> Iterator[Pieces]:
        """Yield its lines, folded at spaces."""
        # A terminal may be narrower than the indent.
        room = None if self.whole else max(width - self.indent, 1)
        for each in _folded(_written(self.text, encoding, self.style), room):
            yield [" " * self.indent, each]

    def html(self) -> str:
        """Return a paragraph, or preformatted text where it is for copying."""
        tag = "pre" if self.whole else "p"
        return f"<{tag}>{_cell_html(self.text)}</{tag}>"

    __rich_console__ = _as_rich
    _repr_html_ = html


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows below the names of their columns; empty columns are left out.

    Example:
        >>> rows = [("adamw", "6,931"), ("sgd", "53")]
        >>> table = Table(columns=["name", Column("steps", "number")], rows=rows)
        >>> print(as_text(table))
        name   steps
        adamw  6,931
        sgd       53
        >>> print(as_text(table, width=10))
        adamw
          steps  6,931
        sgd
          steps  53

    """

    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Cell]]  # a text without a style gets that of its column
    title: str = ""
    footer: Sequence[str] = ()  # paragraphs below it
    heads: bool = True  # whether the names of the columns are shown
    indent: int = 0  # columns to its left

    def lines(self, width: int, encoding: str = "utf-8") -> Iterator[Pieces]:
        """Yield title, table or blocks, and footer."""
        if self.title:
            yield from Line(text=self.title, style="bold").lines(width, encoding)
        for pieces in self._body(width - self.indent, encoding):
            yield [" " * self.indent, *pieces]
        for text in self.footer:
            below = Line(text=text, style="dim", indent=self.indent)
            yield from below.lines(width, encoding)

    def _body(self, room: int, encoding: str) -> Iterator[Pieces]:
        columns, rows = self.filled()
        heads = [_written(each.name, encoding, "dim") for each in columns]
        # Letters are replaced before widths are measured: "lambda" is longer than "λ".
        grid = [
            [
                _written(cell, encoding, column.style)
                for column, cell in zip(columns, row, strict=True)
            ]
            for row in rows
        ]
        widths = _widths(
            columns,
            [heads, *grid] if self.heads else grid,
            room,
            may_fold=not self.heads or room >= NARROW,
        )
        if widths is None:
            yield from _blocks(heads if self.heads else [], grid, room)
            return
        if self.heads:
            yield from _row(columns, heads, widths, on_bottom=True)
        for row in grid:
            yield from _row(columns, row, widths)

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [each if isinstance(each, str) else each.name for each in self.columns]

    def html(self) -> str:
        """Return a table for a notebook."""
        columns, rows = self.filled()
        body = "".join(_html("td", columns, row) for row in rows)
        if self.heads:
            body = _html("th", columns, [each.name for each in columns]) + body
        title = f"<p><b>{escape(self.title)}</b></p>" if self.title else ""
        table = f"<table>{body}</table>" if rows else ""
        return title + table + "".join(f"<p>{escape(each)}</p>" for each in self.footer)

    def filled(self) -> tuple[list[Column], list[list[Cell]]]:
        """Return the columns that some row fills, and their cells."""
        kept = [
            at for at in range(len(self.columns)) if any(row[at] for row in self.rows)
        ]
        named = [self.columns[at] for at in kept]
        columns = [Column(each) if isinstance(each, str) else each for each in named]
        return columns, [[row[at] for at in kept] for row in self.rows]

    __rich_console__ = _as_rich
    _repr_html_ = html


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Lines and tables below each other; an empty text is an empty line."""

    parts: Sequence[Drawable | str]

    def lines(self, width: int, encoding: str = "utf-8") -> Iterator[Pieces]:
        """Yield the lines of all parts."""
        for part in self.parts:
            drawn = Line(text=part) if isinstance(part, str) else part
            yield from drawn.lines(width, encoding)

    def html(self) -> str:
        """Return all parts below each other; empty lines are left to the browser."""
        drawn = (
            Line(text=each) if isinstance(each, str) else each
            for each in self.parts
            if each
        )
        return f"<div>{''.join(each.html() for each in drawn)}</div>"

    __rich_console__ = _as_rich
    _repr_html_ = html


class Shown:
    """Shows one drawing as text, in a terminal and in a notebook."""

    def _drawn(self) -> Drawable:
        raise NotImplementedError

    def __str__(self) -> str:
        return as_text(self._drawn())

    def __rich__(self) -> Drawable:
        return self._drawn()

    def _repr_html_(self) -> str:
        return self._drawn().html()


def facts(
    named: Mapping[str, Cell],
    *,
    title: str = "",
    notes: Sequence[str] = (),
    indent: int = 0,
) -> Table:
    """Return a table of names beside their texts; empty texts are left out.

    Example:
        >>> print(as_text(facts({"rule": "neal", "source": "", "keeps": "prior"})))
        rule   neal
        keeps  prior

    """
    rows = [(name, cell) for name, cell in named.items() if cell]
    columns = (Column("name", style="dim"), Column("text"))
    return Table(
        columns=columns,
        rows=rows,
        title=title,
        footer=notes,
        heads=False,
        indent=indent,
    )


def pointed(notes: Sequence[str], *, indent: int = 2) -> Table:
    """Return notes as a list with points."""
    rows = [("·", each) for each in notes]
    columns = (POINT, Column("text"))
    return Table(columns=columns, rows=rows, heads=False, indent=indent)


def _written(cell: Cell, encoding: str, style: str) -> Pieces:
    """Return the lines of a cell in the letters of an encoding, with their styles."""
    lines = [
        Styled(line, _style_of(text) or style)
        for text in ((cell,) if isinstance(cell, str) else cell)
        for line in text.split("\n")
    ]
    return [
        Styled(plain_letters(visible(each), encoding), each.style) for each in lines
    ]


def _style_of(text: str) -> str:
    return text.style if isinstance(text, Styled) else ""


def _wide(text: str) -> int:
    """Return how many columns a text takes; some letters take two, or none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(letter)
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def _folded(lines: Pieces, room: int | None) -> Pieces:
    """Fold lines at spaces; a word that is too long is broken."""
    if room is None:
        return lines
    return [
        Styled(part, _style_of(line)) for line in lines for part in _parts(line, room)
    ]


def _parts(line: str, room: int) -> Iterator[str]:
    if _wide(line) <= room:
        yield line
        return
    part = ""
    for word in _BREAK.split(line):
        longer = f"{part} {word}" if part else word
        if _wide(longer) <= room:
            part = longer
            continue
        if part.strip():
            yield part.rstrip()
        part = word
        while _wide(part) > room:
            fits = next(
                at
                for at in range(len(part), 0, -1)
                # A single letter may be wider than the room: take it all the same.
                if at == 1 or _wide(part[:at]) <= room
            )
            yield part[:fits]
            part = part[fits:]
    yield part


def _widths(
    columns: Sequence[Column],
    grid: Sequence[Sequence[Pieces]],
    room: int,
    *,
    may_fold: bool,
) -> list[int] | None:
    """Return a width for each column, or None where they do not fit."""
    lines = [[line for row in grid for line in row[at]] for at in range(len(columns))]
    widths = [max(map(_wide, each), default=0) for each in lines]
    least = [
        min(
            _LEAST,
            max((_wide(x) for line in each for x in _BREAK.split(line)), default=0),
        )
        for each in lines
    ]
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        left = [
            at
            for at, column in enumerate(columns)
            if column.kind == "text" and widths[at] > least[at]
        ]
        if not left or not may_fold:
            return None
        # The widest text is narrowed first.
        widths[max(left, key=widths.__getitem__)] -= 1
    return widths


def _row(
    columns: Sequence[Column],
    row: Sequence[Pieces],
    widths: Sequence[int],
    *,
    on_bottom: bool = False,
) -> Iterator[Pieces]:
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    height = max(map(len, folded), default=0)
    for at in range(height):
        pieces: Pieces = []
        for column, cell, width in zip(columns, folded, widths, strict=True):
            line = at - (height - len(cell) if on_bottom else 0)
            piece = cell[line] if 0 <= line < len(cell) else ""
            blanks = " " * (width - _wide(piece))
            is_number = column.kind == "number"
            pieces += [blanks, piece] if is_number else [piece, blanks]
            pieces.append(" " * _GAP)
        # No trailing blanks in a copied line.
        while pieces and not pieces[-1].strip():
            pieces.pop()
        yield pieces


def _blocks(
    heads: Sequence[Pieces], grid: Sequence[Sequence[Pieces]], room: int
) -> Iterator[Pieces]:
    """Yield the first cell of a row, and below it the others beside their names."""
    # Long names fold into a third of the line; the cells need the rest.
    names = [_folded([" ".join(each)], max(room // 3, _LEAST)) for each in heads[1:]]
    widest = max((_wide(line) for name in names for line in name), default=0)
    start = _GAP + (widest + _GAP if names else 0)
    for first, *others in grid:
        for line in _folded(first, room):
            yield [Styled(line, f"bold {_style_of(line)}".strip())]
        for at, cell in enumerate(others):
            name = names[at] if names else []
            lines = _folded(cell, max(room - start, _LEAST)) if any(cell) else []
            for head, line in zip_longest(name if lines else [], lines, fillvalue=""):
                blanks = " " * (start - _GAP - _wide(head)) if line else ""
                yield [" " * _GAP, Styled(head, "dim"), blanks, line]


def _html(tag: str, columns: Sequence[Column], row: Sequence[Cell]) -> str:
    cells = [
        f'<{tag} style="text-align:{"right" if each.kind == "number" else "left"};'
        f'{_HTML_STYLE}">{_cell_html(cell)}</{tag}>'
        for each, cell in zip(columns, row, strict=True)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell_html(cell: Cell) -> str:
    return escape(cell if isinstance(cell, str) else "\n".join(cell))
