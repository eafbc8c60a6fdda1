"""How an error reaches a person (stderr) and a program (an object on stdout)."""

import os
import sys

from dwindle.errors import DwindleError

FAILED = 3
INTERRUPTED = 130


def tell(error: DwindleError, *, as_json: bool) -> None:
    """Print an error for a person and, when asked, for a program."""
    print(f"{_prefix(error)}{error}", file=sys.stderr)
    if as_json:
        _print_error_object(type(error).__name__, str(error), dict(vars(error)))


def _prefix(error: DwindleError) -> str:
    # Having been interrupted is no error: everything went as the person wished.
    if error.exit_code == INTERRUPTED:
        return ""
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return "\033[1;31merror:\033[0m " if colored else "error: "


def tell_unexpected(error: Exception, *, as_json: bool) -> None:
    """Print a failure that no class of ours describes, without its traceback."""
    text = f"{type(error).__name__}: {error}"
    print(
        f"error: dwindle failed in a way that it did not expect. Got {text}. "
        "Run the same line with --debug for the traceback, and please report it.",
        file=sys.stderr,
    )
    if as_json:
        _print_error_object("UnexpectedError", text, {})


def _print_error_object(kind: str, message: str, facts: dict[str, object]) -> None:
    # Imported here: most runs meet no error, and this module is on every run's way.
    from dwindle.cli.output import print_json

    facts = {name: _plain(value) for name, value in facts.items()}
    print_json({"error": {"kind": kind, "message": message, "facts": facts}})


def _plain(value: object) -> object:
    """Return a fact of an error as JSON can hold it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
