"""dwindle convert: the same decay, typed in another place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dwindle.cli.facts import FACT_OPTIONS, WrittenFacts
from dwindle.cli.options import Option
from dwindle.cli.output import facts_table, print_json, quiet_table, stdout
from dwindle.cli.setting import SETTING, number, split_setting
from dwindle.decay.convert import Conversion, convert
from dwindle.decay.convert_all import Everywhere, convert_to_all
from dwindle.decay.knobs import KNOBS, by_library

if TYPE_CHECKING:
    from rich.table import Table

OPTIONS = (
    SETTING,
    Option("--to", "where it shall be typed instead; or all", "KNOB", required=True),
    Option("--keep", "what stays: the decay of a step, epoch or run", "WHAT"),
    *FACT_OPTIONS,
)
ALL = "all"
# Names of those that cannot hold a decay; --json has all of them.
NAMES_SHOWN = 4
PROMISES = {
    "same-trajectory": "every step is the same",
    "same-decay": "a weight with zero gradient decays alike at every step",
    "same-objective": "the same function is minimized",
    "same-total-decay": "the run leaves as much of a weight, on another path",
    "approximate": "holds as far as the assumptions do",
}


def command(
    *, knob_value: str, to: str, keep: Any, as_json: bool, **words: object
) -> None:  # keep: convert refuses what it does not know
    """Say a decay in the terms of another optimizer, library, paper, or clock.

    dwindle knobs lists the places. A fact of the run is needed only where a formula
    asks for it; one that differs at the new place is written before:after. With
    --to all it is typed everywhere, and what cannot hold it is listed with the reason.
    """
    before, after = WrittenFacts.from_words(words).runs()
    knob, value = split_setting(knob_value)
    found: Conversion | Everywhere
    if to.casefold() == ALL:
        found = convert_to_all(value, knob, run=before, run_after=after, keep=keep)
    else:
        found = convert(value, knob, to=to, run=before, run_after=after, keep=keep)
    if as_json:
        print_json(found.as_dict())
    elif isinstance(found, Everywhere):
        _show_all(found)
    else:
        _show(found)


def _show_all(everywhere: Everywhere) -> None:
    console = stdout()
    told = f"{everywhere.knob} = [cyan]{number(everywhere.value_from)}[/]"
    console.print(f"\n  [bold]{told}[/]  →  all")
    found = {each.to: each for each in everywhere.conversions}
    for library, knobs in by_library(KNOBS[name] for name in found).items():
        console.print(f"\n  [bold]{library}[/]")
        console.print(_values([found[knob.name] for knob in knobs]))
    kept = {each.fidelity for each in found.values()}
    console.print()
    console.print(
        facts_table({name: told for name, told in PROMISES.items() if name in kept})
    )
    _show_refused(everywhere)
    console.print()


def _show_refused(everywhere: Everywhere) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console = stdout()
    if everywhere.refused:
        console.print("\n  [bold]cannot hold it[/]")
    for each in everywhere.refused:
        more = len(each.knobs) - NAMES_SHOWN
        names = ", ".join(each.knobs[:NAMES_SHOWN])
        names += f" and {more} more" if more > 0 else ""
        console.print(Padding(Text(f"{each.reason}."), (0, 2)))
        console.print(Padding(Text(names, style="dim"), (0, 4)))


def _values(found: Sequence[Conversion]) -> "Table":
    table = quiet_table()
    table.show_header = False
    # A name is there to be copied: it loses no letter, however narrow it gets.
    widest = max(len(each.to) for each in found)
    table.add_column(style="cyan", min_width=widest, overflow="fold")
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column(style="dim")
    for each in found:
        value = "by layer" if each.value is None else number(each.value)
        table.add_row(each.to, value, each.fidelity)
    return table


def _show(found: Conversion) -> None:
    console = stdout()
    value = number(found.value) if found.value is not None else "one value per layer"
    console.print(
        f"\n  {found.knob} = {number(found.value_from)}  →  "
        f"[bold]{found.to} = [cyan]{value}[/][/]\n"
    )
    if found.layers:
        console.print(_layers(found))
        console.print()
    fidelity = found.fidelity
    facts = {
        "unit": found.unit,
        "keeps": found.keeps,
        "fidelity": f"{fidelity}: {PROMISES[fidelity]}",
        "formula": found.formula,
        "assumes": "\n".join(f"· {each}" for each in found.assumptions),
        "given, not used": ", ".join(found.unused),
    }
    told = {name: text for name, text in facts.items() if text}
    console.print(facts_table(told))
    console.print()


def _layers(found: Conversion) -> "Table":
    table = quiet_table()
    for title in ("layer", "weights", found.to):
        table.add_column(title, justify="right")
    for each in found.layers:
        fan_in, fan_out = each.shape
        table.add_row(str(each.layer), f"{fan_in} × {fan_out}", number(each.value))
    return table
