"""The help pages: all commands, or one command with its options by group."""

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dwindle.cli.options import GENERAL, Option
from dwindle.cli.output import stdout

if TYPE_CHECKING:
    from rich.table import Table

HELP = Option("--help", "show this page")
DEBUG = Option("--debug", "show a traceback when something fails")


def print_page(name: str, text: str, options: Sequence[Option]) -> None:
    """Print the help of one command: how to write it, what it does, its options."""
    places = " ".join(option.name for option in options if option.is_place)
    groups: dict[str, dict[str, str]] = {}
    for option in (*options, HELP, DEBUG):
        group = groups.setdefault(option.group, {})
        group[f"{option.name} {option.metavar}".rstrip()] = option.help
    groups[GENERAL] = groups.pop(GENERAL)  # facts first, the small print last
    console = stdout()
    console.print(f"\n  [bold]dwindle {name} {places}[/] [cyan]OPTIONS[/]\n")
    for line in inspect.cleandoc(text).splitlines():
        console.print(f"  {line}" if line else "", markup=False)
    widest = max(len(name) for group in groups.values() for name in group)
    for title, group in groups.items():
        console.print(f"\n  [bold]{title}[/]")
        console.print(_rows(group, widest))
    console.print()


def print_overview(commands: Mapping[str, str]) -> None:
    """Print what dwindle is and one line for each command."""
    console = stdout()
    console.print("\n  [bold]dwindle[/]: weight decay, corrected for scale\n")
    console.print(_rows(commands, max(map(len, commands))))
    console.print("\n  dwindle COMMAND [cyan]--help[/] tells what one command takes.")
    console.print("  Every command prints JSON with [cyan]--json[/].")
    console.print("  [cyan]--version[/] prints the version.\n")


def _rows(texts: Mapping[str, str], width: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(style="cyan", no_wrap=True, min_width=width)
    table.add_column()
    for name, text in texts.items():
        table.add_row(Text(name), Text(text))
    return table
