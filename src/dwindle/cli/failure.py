"""How an error reaches a person (stderr) and a program (an object on stdout)."""

import os
import sys

from dwindle.errors import DwindleError, MissingLibraryError, UnexpectedError

INTERRUPTED = 130
# Which extra installs a library that a command may ask for.
_EXTRAS = {
    **dict.fromkeys(("torch", "sklearn"), "study"),
    **dict.fromkeys(("jinja2", "scipy", "vl_convert"), "report"),
    "yaml": "yaml",
}


def tell(error: Exception, *, as_json: bool) -> int:
    """Print an error, with its object under ``--json``, and return the exit code."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        extra = _EXTRAS[error.name]
        error = MissingLibraryError(error.name, "This command", extra)
    if not isinstance(error, DwindleError):
        error = UnexpectedError(type(error).__name__, str(error))
    print(f"{_prefix(error)}{error}", file=sys.stderr)
    if as_json:
        # Imported here: most runs meet no error, and every run imports this module.
        from dwindle.cli.output import print_json

        facts = {name: _plain(value) for name, value in vars(error).items()}
        told = {"kind": type(error).__name__, "message": str(error), "facts": facts}
        try:
            print_json({"error": told})
            sys.stdout.flush()
        except OSError:  # nobody reads it, or its disk is full; stderr has the words
            drop_stdout()
    return error.exit_code


def drop_stdout() -> None:
    """Send what stdout still holds nowhere, after a write to it has failed."""
    # Python would complain once more when it flushes stdout on the way out.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prefix(error: DwindleError) -> str:
    # Having been interrupted is no error: everything went as the person wished.
    if error.exit_code == INTERRUPTED:
        return ""
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return "\033[1;31merror:\033[0m " if colored else "error: "


def _plain(value: object) -> object:
    """Return a fact of an error as JSON can hold it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
