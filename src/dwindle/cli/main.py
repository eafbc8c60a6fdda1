"""The entry point: picks the command, and turns every error into words and a code.

Exit codes: 0 fine, 1 findings (of an audit), 2 usage, bad input or a refused
conversion, 3 a failure while running, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dwindle.cli.failure import FAILED, INTERRUPTED, tell, tell_unexpected
from dwindle.errors import DwindleError, UnknownNameError, UsageError


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
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) left: what it wanted it has. Python would complain
        # once more when it flushes stdout on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except DwindleError as error:
        if debug:
            raise
        tell(error, as_json="--json" in words)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        tell_unexpected(error, as_json="--json" in words)
        return FAILED
    return code


def _dispatch(words: list[str]) -> int:
    """Run the command that the first word names; the rest is its own to read."""
    first, *rest = words or ["--help"]
    if first in ("--help", "-h", "help"):
        return _print_help()
    if first == "--version":
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


def parser_of(command: Command) -> Any:  # a class that typer hides
    """Return what reads the words after a command and calls its function."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command()(import_module(command.module).command)
    return typer.main.get_command(app)


def _run(command: Command, words: list[str]) -> int:
    parser = parser_of(command)
    try:
        code = parser(words, prog_name=f"dwindle {command.name}", standalone_mode=False)
    except Exception as error:
        # typer keeps the class of its usage errors under a private name that has
        # moved before; what they all have is this method.
        if not hasattr(error, "format_message"):
            raise
        raise _usage_error(error, command) from error
    return code if isinstance(code, int) else 0


def _usage_error(error: Any, command: Command) -> DwindleError:  # a typer usage error
    helping = f"dwindle {command.name} --help"
    hint = f"{helping} lists all options."
    unknown = getattr(error, "option_name", None)
    if unknown and "No such option" in error.format_message():
        known = [name for param in error.ctx.command.params for name in param.opts]
        return UnknownNameError.among("option", unknown, known, hint)
    must = f"dwindle {command.name} must be called as its help says."
    got = error.format_message().rstrip(".")
    return UsageError(must, f"this: {got}", hint)


def _print_help() -> int:
    from rich.table import Table

    from dwindle.cli.output import stdout

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    for command in COMMANDS:
        table.add_row(command.name, command.help)
    console = stdout()
    console.print("\n[bold]dwindle[/]: weight decay, corrected for scale.\n")
    console.print("  dwindle [bold cyan]COMMAND[/] --help tells the options of one.\n")
    console.print(table)
    console.print("\n  --json   on every command: JSON on stdout instead of tables")
    console.print("  --debug  on every command: a traceback when something fails")
    console.print("  --version\n")
    return 0


def _print_version() -> int:
    from importlib.metadata import version

    print(f"dwindle {version('dwindle')}")
    return 0
