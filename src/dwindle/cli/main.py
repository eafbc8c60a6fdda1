"""The entry point: picks the command, and turns every error into words and a code.

Exit codes: 0 fine, 1 findings (of an audit), 2 usage, bad input or a refused
conversion, 3 a failure while running, 130 interrupted.
"""

import io
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from dwindle.cli.failure import INTERRUPTED, drop_stdout, tell
from dwindle.cli.options import AS_JSON, read_words
from dwindle.errors import DwindleError, ReportWriteError, UnknownNameError
from dwindle.wording import handler_of_missing_letters

HELP = {"--help", "-h"}
_SAVED = "What was saved is kept; the same command again continues."


@dataclass(frozen=True)
class Command:
    """One row of the table of commands; its module is imported when it is asked for."""

    name: str
    help: str

    @property
    def module(self) -> str:
        """Name of the module that has the function ``command``."""
        return f"dwindle.cli.{self.name}"


COMMANDS = (
    Command("answer", "Should L2 regularization be corrected for scale? Trained live."),
    Command("convert", "The same decay, typed into another optimizer or framework."),
    Command("explain", "What a decay really does: half-life, e-folds, equilibrium."),
    Command("rescale", "My scale changes: the next weight decay under every rule."),
    Command("audit", "Whether a training decays what its author thinks it decays."),
    Command("rules", "The published scaling rules, with their sources."),
    Command("knobs", "The places where one types a decay, and what each means."),
    Command("study", "Measure the best weight decay over scale; resumable."),
    Command("report", "What a study found: table, JSON, or one HTML page."),
)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: The words after ``dwindle``; those of this process when None.

    Returns:
        The exit code.

    Example:
        >>> main(["--version"])
        dwindle 0.1.0
        0

    """
    words = list(sys.argv[1:] if args is None else args)
    _write_what_the_terminal_can()
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        with _ends_are_interruptions():
            return _dispatch_into_pipe(words)
    except KeyboardInterrupt:
        print(f"Interrupted. {_SAVED}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        return tell(error, as_json="--json" in words)


@contextmanager
def _ends_are_interruptions() -> Generator[None, None, None]:
    """End in order as after Ctrl-C when asked to end, or when the terminal closes."""
    if current_thread() is not main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    # What is ignored, as by nohup, stays ignored.
    asked = [at for at in numbers if at and signal.getsignal(at) == signal.SIG_DFL]
    for number in asked:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in asked:
            signal.signal(number, signal.SIG_DFL)


def _dispatch_into_pipe(words: list[str]) -> int:
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:
        # Files that we write tell their names, in errors of their own.
        if isinstance(error, DwindleError) or error.filename is not None:
            raise
        drop_stdout()
        raise ReportWriteError("stdout", error.strerror or str(error)) from error
    except SystemExit as leaving:
        # rich answers a broken pipe with this one.
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        return _leave_quietly()
    return code


def _leave_quietly() -> int:
    # The reader (head, less) left: what it wanted it has.
    drop_stdout()
    return 0


def _write_what_the_terminal_can() -> None:
    # Closed by the shell (>&-): there is nobody to read, and nothing to crash on.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115, as long as we live
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    # A stream that has no λ or no − would stop a table in the middle.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=handler_of_missing_letters())


def _dispatch(words: list[str]) -> int:
    """Run the command that the first word names; the rest is its own to read."""
    first, *rest = words or ["--help"]
    if first in HELP or first == "help":
        from dwindle.cli.help import print_overview

        print_overview({command.name: command.help for command in COMMANDS})
        return 0
    if first in {"--version", "-V", "version"}:
        return _print_version()
    if first.startswith("-"):
        raise UnknownNameError(
            "option", first, ("--help", "--version"), "Options follow the command."
        )
    names = [command.name for command in COMMANDS]
    if first not in names:
        hint = "dwindle --help lists all commands."
        raise UnknownNameError.among("command", first, names, hint)
    return _run(COMMANDS[names.index(first)], rest)


def _run(command: Command, words: list[str]) -> int:
    module = import_module(command.module)
    options = (*module.OPTIONS, AS_JSON)
    if not HELP.isdisjoint(words):
        from dwindle.cli.help import print_page

        print_page(command.name, module.command.__doc__, options)
        return 0
    found = module.command(**read_words(f"dwindle {command.name}", options, words))
    return int(found or 0)  # an audit returns 1 where it found something


def _print_version() -> int:
    from importlib.metadata import version

    print(f"dwindle {version('dwindle')}")
    return 0
