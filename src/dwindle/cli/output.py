"""Where words go: data to stdout, notes to stderr, and how both look."""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.table import Table

# Columns of text where no terminal says how wide it is, and the most that we use of
# one: longer lines are hard to follow by eye.
WIDTH_OF_FILES = 100
WIDEST = 120
WIDTH_OF_NAMES = 36


def _console(*, to_stderr: bool) -> "Console":
    from rich.console import Console

    console = Console(stderr=to_stderr, highlight=False)
    # Into a pipe or a file, COLUMNS is the one word of the user about its width.
    is_known = console.is_terminal or "COLUMNS" in os.environ
    console.width = min(console.width, WIDEST) if is_known else WIDTH_OF_FILES
    return console


def stdout() -> "Console":
    """Return a console for data; it drops colors when nobody looks (``NO_COLOR``)."""
    return _console(to_stderr=False)


def stderr() -> "Console":
    """Return a console for progress, notes and errors."""
    return _console(to_stderr=True)


def quiet_table() -> "Table":
    """Return an empty table without lines: what is in it speaks."""
    from rich.table import Table

    return Table(box=None, padding=(0, 0, 0, 2), header_style="dim")


def facts_table(facts: Mapping[str, str]) -> "Table":
    """Return one thing told line by line, name beside text, without empty texts."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(style="dim", max_width=WIDTH_OF_NAMES)
    table.add_column(overflow="fold")
    for name, text in facts.items():
        if text:
            table.add_row(name, Text(text))
    return table


def plain(record: "DataclassInstance") -> dict[str, Any]:  # JSON-like
    """Return a frozen record as a plain dict of its fields."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def print_json(plain: Mapping[str, Any]) -> None:  # JSON-like
    """Print one JSON document on stdout; a number that is not finite becomes null."""
    json.dump(_finite(plain), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _finite(plain: Any) -> Any:  # JSON-like in, JSON-like out
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    if isinstance(plain, Mapping):
        return {str(key): _finite(value) for key, value in plain.items()}
    if isinstance(plain, Sequence) and not isinstance(plain, str):
        return [_finite(value) for value in plain]
    return plain
