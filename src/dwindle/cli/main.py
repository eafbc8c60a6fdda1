"""The entry point: picks the command, and turns every error into a text and a code.

Exit codes: 0 fine, 1 findings (of an audit), 2 usage, bad input or a refused
conversion, 3 a failure while running, 130 interrupted.
"""

import io
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, NamedTuple

from dwindle.errors import (
    DwindleError,
    MissingLibraryError,
    ReportWriteError,
    UnexpectedError,
    UnknownNameError,
)
from dwindle.plain import table_beside
from dwindle.wording import handler_of_missing_letters

# 128 + SIGINT, as shells report it.
INTERRUPTED = 130
_HELP = {"--help", "-h"}
_SAVED = "What was saved is kept; the same command again continues."
# Commands that train, and save what they have. The others have nothing to go on with.
_SAVING = frozenset({"find", "tune", "study", "answer"})
# Which extra installs a library that a command may need.
_EXTRAS = {
    **dict.fromkeys(("torch", "sklearn"), "study"),
    **dict.fromkeys(("jinja2", "scipy", "vl_convert"), "report"),
    "yaml": "yaml",
}


class Command(NamedTuple):
    """One command; its ``OPTIONS`` and ``command`` are imported when it is run.

    They are those of the module ``dwindle.cli.NAME``, or of an object in another one:
    ``home`` is ``("questions", "EXPLAIN")``.
    """

    name: str
    help: str
    examples: Sequence[str]  # lines to type, without the program's name
    home: Sequence[str] = ()

    def load(self) -> Any:  # a module or a Question
        """Return what has the options of the command, and the command."""
        module, *names = self.home or (self.name,)
        found: Any = import_module(f"dwindle.cli.{module}")
        return getattr(found, names[0]) if names else found


_TABLE = table_beside(__file__, "commands.toml")
COMMANDS = tuple(Command(**cells) for cells in _TABLE["command"])


def main(args: Sequence[str] | None = None) -> int:
    """Run the words after ``dwindle``, or those of this process; return the exit code.

    Example:
        >>> main(["--version"])
        dwindle 0.1.0
        0

    """
    words = list(sys.argv[1:] if args is None else args)
    # Closed by the shell (>&-): writing to it must not fail.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115, as long as we live
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    # A stream that has no λ or no − would stop a table in the middle.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=handler_of_missing_letters())
    # Behind two dashes stands the command of somebody else's training.
    ours = words[: words.index("--")] if "--" in words else words
    debug, as_json = "--debug" in ours, "--json" in ours
    words = [*(word for word in ours if word != "--debug"), *words[len(ours) :]]
    try:
        with _ends_are_interruptions():
            return _run_into_pipe(words)
    except KeyboardInterrupt:
        saved = f" {_SAVED}" if _SAVING & {*ours} else ""
        print(f"Interrupted.{saved}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        return _print_error(error, as_json=as_json)


@contextmanager
def _ends_are_interruptions() -> Generator[None, None, None]:
    """Handle SIGTERM and SIGHUP (the terminal closes) as Ctrl-C is handled."""
    # Only the main thread may set handlers of signals.
    if current_thread() is not main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    # What is ignored, as by nohup, stays ignored.
    caught = [at for at in numbers if at and signal.getsignal(at) == signal.SIG_DFL]
    for number in caught:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in caught:
            # main may be a call in a program that goes on.
            signal.signal(number, signal.SIG_DFL)


def _run_into_pipe(words: list[str]) -> int:
    """Run a command line; a reader that closes the pipe early (head) is no error."""
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return 0
    except OSError as error:
        # Files that we write are named in errors of their own.
        if isinstance(error, DwindleError) or error.filename is not None:
            raise
        _drop_stdout()
        raise ReportWriteError("stdout", error.strerror or str(error)) from error
    except SystemExit as leaving:
        # rich answers a broken pipe with this one.
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        _drop_stdout()
        return 0
    return code


def _drop_stdout() -> None:
    """Send what stdout still holds nowhere, after a write to it has failed."""
    # Python would complain once more when it flushes stdout on the way out.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    """Run the command that the first word names; the rest is its own to read."""
    first, *rest = words or ["--help"]
    commands = {command.name: command for command in COMMANDS}
    if first in {"--version", "-V", "version"}:
        # Slow to import, and only this line needs it.
        from importlib.metadata import version

        print(f"dwindle {version('dwindle')}")
        return 0
    if first in _HELP or first == "help":
        from dwindle.cli.options import print_overview

        print_overview({each.name: each.help for each in COMMANDS})
        return 0
    if first.startswith("-"):
        hint = "Options follow the command."
        raise UnknownNameError("option", first, ("--help", "--version"), hint)
    if first not in commands:
        hint = "dwindle --help lists all commands."
        raise UnknownNameError.among("command", first, list(commands), hint)
    from dwindle.cli.options import AS_JSON, print_page, read_words, split_at_dashes

    module = commands[first].load()
    options = (*module.OPTIONS, AS_JSON)
    if not _HELP.isdisjoint(split_at_dashes(rest)[0]):
        examples = commands[first].examples
        print_page(first, module.command.__doc__, options, examples)
        return 0
    # An audit returns 1 where it found something; most commands return nothing.
    return int(module.command(**read_words(f"dwindle {first}", options, rest)) or 0)


def _print_error(error: Exception, *, as_json: bool) -> int:
    """Print an error, with its object under ``--json``, and return the exit code."""
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        extra = _EXTRAS[error.name]
        error = MissingLibraryError(error.name, "This command", extra)
    if not isinstance(error, DwindleError):
        error = UnexpectedError(type(error).__name__, str(error))
    # An interruption by the user is no error.
    prefix = "" if error.exit_code == INTERRUPTED else "error: "
    # NO_COLOR with any text in it switches colors off (no-color.org).
    if prefix and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        prefix = "\033[1;31merror:\033[0m "
    print(f"{prefix}{error}", file=sys.stderr)
    if as_json:
        # Imported here: most runs meet no error, and every run imports this module.
        from dwindle.cli.output import print_json

        kind, message = type(error).__name__, str(error)
        document = {"kind": kind, "message": message, "facts": vars(error)}
        try:
            print_json({"error": document})
            sys.stdout.flush()
        except OSError:  # nobody reads it, or its disk is full; stderr has the text
            _drop_stdout()
    return error.exit_code
