"""Where output goes: data to stdout, notes to stderr; tables, or one JSON document."""

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dwindle.plain import to_plain
from dwindle.show import WIDTH, Drawable, Line, Sheet, facts

if TYPE_CHECKING:
    from rich.console import Console

# The most that we use of a terminal: longer lines are hard to follow by eye.
_WIDEST = 120
# The least: below, words break letter by letter, and the terminal folds better itself.
_NARROWEST = 20


def _console(*, to_stderr: bool) -> "Console":
    from rich.console import Console

    console = Console(stderr=to_stderr, highlight=False)
    # Into a pipe or a file only COLUMNS sets the width; a terminal that does not know
    # its width reports 0.
    is_known = (console.is_terminal or "COLUMNS" in os.environ) and console.width > 0
    wanted = max(console.width, _NARROWEST) if is_known else WIDTH
    console.width = min(wanted, _WIDEST)
    return console


def stdout() -> "Console":
    """Return a console for data; without colors in a pipe or under ``NO_COLOR``."""
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


def warn(text: str) -> None:
    """Print a warning on stderr."""
    note(f"warning: {text}", style="yellow")


def answer(document: object, *parts: Drawable | str, as_json: bool) -> None:
    """Print one JSON document, or what a person reads instead."""
    if as_json:
        print_json(document)
    else:
        show(*parts)


def print_plan(
    plan: Mapping[str, object], rows: Mapping[str, str], training: str, *, as_json: bool
) -> None:
    """Print what would be done, line by line, and its first training."""
    line = Line(text=training, indent=2, whole=True)
    document = {**plan, "training": training}
    answer(document, "", facts(rows, indent=2), "", line, "", as_json=as_json)


def print_json(record: object) -> None:
    """Print one JSON document on stdout; a number that is not finite becomes null."""
    plain = to_plain(record)
    # A fact of an error may be anything that a person gave: then its text.
    json.dump(
        plain, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=str
    )
    sys.stdout.write("\n")
