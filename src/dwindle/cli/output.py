"""Where output goes: data to stdout, notes to stderr; tables, or one JSON document."""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dwindle.show import WIDTH, Drawable, Sheet

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console

# The most that we use of a terminal: longer lines are hard to follow by eye.
WIDEST = 120


def _console(*, to_stderr: bool) -> "Console":
    from rich.console import Console

    console = Console(stderr=to_stderr, highlight=False)
    # Into a pipe or a file, COLUMNS is the one word of the user about its width.
    is_known = console.is_terminal or "COLUMNS" in os.environ
    console.width = min(console.width, WIDEST) if is_known else WIDTH
    return console


def stdout() -> "Console":
    """Return a console for data; it drops colors when nobody looks (``NO_COLOR``)."""
    return _console(to_stderr=False)


def stderr() -> "Console":
    """Return a console for progress, notes and errors."""
    return _console(to_stderr=True)


def show(*parts: Drawable | str) -> None:
    """Print tables and lines on stdout; an empty text is an empty line."""
    # Uncropped: a name or a line to copy runs over the edge, as the shell would wrap.
    stdout().print(Sheet(parts=parts), crop=False)


def note(text: str, *, style: str = "") -> None:
    """Print one line on stderr, never folded: a path in it stays whole."""
    stderr().print(text, style=style or None, soft_wrap=True, markup=False)


def plain(record: "DataclassInstance") -> dict[str, Any]:  # JSON-like
    """Return a frozen record as a plain dict of its fields."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def print_json(document: Mapping[str, Any]) -> None:  # JSON-like
    """Print one JSON document on stdout; a number that is not finite becomes null."""
    found = _finite(document)
    json.dump(found, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:  # JSON-like in, JSON-like out
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(each) for each in value]
    return value
