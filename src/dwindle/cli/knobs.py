"""dwindle knobs: the places where one types a decay, and how each record is known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dwindle.cli.options import Option
from dwindle.cli.output import facts_table, plain, print_json, stdout
from dwindle.decay.knobs import Knob, by_library, knobs, resolve_knob
from dwindle.decay.verified import checks_of, verification_of
from dwindle.errors import DwindleError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

OPTIONS = (
    Option("FILTER", "a name, a part of one, a library, or a family"),
    Option("--markdown", "print docs/knobs.md"),
)
FROM_SOURCE = "from source"


def command(*, filter: str | None, markdown: bool, as_json: bool) -> None:  # noqa: A002 (the word's name)
    """List the places where one types a decay, and what the number does there.

    Each says by running which library its record was verified, or that it was only
    read in the source. The one knob that FILTER names (torch.AdamW, keras.L2) is told
    with its default and its checks.
    """
    chosen = knobs(filter)
    named = None if filter is None else _named(filter, chosen)
    if as_json:
        print_json({"knobs": [as_dict(each) for each in chosen]})
    elif markdown:
        from dwindle.cli.knobs_page import knobs_page

        print(knobs_page(chosen), end="")
    else:
        _show(chosen, named)


def as_dict(knob: Knob) -> dict[str, Any]:  # JSON-like
    """Return the record of a knob, with the checks that it passed."""
    checks = [plain(each) for each in checks_of(knob)]
    told = {"options": plain(knob.options), "verification": verification_of(knob)}
    return plain(knob) | told | {"checks": checks}


def ran_of(knob: Knob) -> str:
    """Return the library that was run to verify a record, or that none was."""
    ran = dict.fromkeys(f"{each.library} {each.version}" for each in checks_of(knob))
    return ", ".join(ran) or FROM_SOURCE


def count_of(chosen: Sequence[Knob]) -> str:
    """Return how many knobs there are, and how many were verified by running."""
    ran = sum(bool(checks_of(knob)) for knob in chosen)
    number = f"{len(chosen)} knob{'s' * (len(chosen) != 1)}"
    return f"{number}: {ran} verified by running, {len(chosen) - ran} {FROM_SOURCE}."


def _named(words: str, chosen: Sequence[Knob]) -> Knob | None:
    """Return the one knob that the words name, if they name one."""
    try:
        return resolve_knob(words)
    except DwindleError:
        return chosen[0] if len(chosen) == 1 else None


def _show(chosen: Sequence[Knob], named: Knob | None) -> None:
    console = stdout()
    if named is not None:
        console.print(_details(named))
    others = [knob for knob in chosen if knob != named]
    if not others:
        return
    if named is not None:
        console.print(f"\n[dim]Also like that: {len(others)}.[/]")
    _list(others, console)
    console.print(f"\n[dim]{count_of(chosen)} dwindle knobs KNOB tells one.[/]")


def _list(chosen: Sequence[Knob], console: "Console") -> None:
    """Print name and verification in one line, and below it what the number does."""
    from rich.table import Table
    from rich.text import Text

    for library, of_it in by_library(chosen).items():
        console.print(f"\n[bold]{library}[/]")
        for knob in of_it:
            line = Table.grid(padding=(0, 2), expand=False)
            # A name is there to be copied: it loses no letter, however narrow it gets.
            line.add_column(style="cyan", min_width=len(knob.name), overflow="fold")
            line.add_column(style="dim")
            ran = ran_of(knob)
            line.add_row(knob.name, ran if ran == FROM_SOURCE else f"✓ {ran}")
            console.print(line)
            console.print(Text(f"  {knob.formula}"), soft_wrap=False)


def _details(knob: Knob) -> "Table":
    default = "" if knob.default is None else f"{knob.default:g}"
    told = {
        "knob": knob.name,
        "also": ", ".join(knob.aliases),
        "does": knob.formula,
        "unit": knob.unit,
        "family": knob.family or "",
        "penalty": knob.penalty or "",
        "default": default,
        "skips": knob.skips,
        "note": knob.note,
        "read in": knob.version,
        "source": knob.source,
        "verified": ran_of(knob),
    }
    checks = (
        f"{each.kind}: {each.settings}; to {each.tolerance:g} of the value"
        for each in checks_of(knob)
    )
    return facts_table(told | {"checks": "\n".join(checks)})
