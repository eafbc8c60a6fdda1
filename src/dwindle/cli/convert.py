"""dwindle convert: the same decay, typed in another place."""

from typing import Any

from dwindle.cli.facts import (
    ALL_NOTES,
    FACT_OPTIONS,
    SETTING,
    WrittenFacts,
    split_setting,
)
from dwindle.cli.options import Option
from dwindle.cli.output import print_json, show
from dwindle.decay.convert import Conversion, convert
from dwindle.decay.convert_all import AllConversions, convert_to_all
from dwindle.decay.fidelity import PROMISES
from dwindle.decay.knobs import KNOBS, by_library
from dwindle.show import Column, Line, Table, facts
from dwindle.wording import number

OPTIONS = (
    SETTING,
    Option("--to", "where it shall be typed instead; or all", "KNOB", required=True),
    Option("--keep", "what stays: the decay of a step, epoch or run", "WHAT"),
    *FACT_OPTIONS,
    ALL_NOTES,
)
# Names of those that cannot hold a decay; --json has all of them.
_NAMES_SHOWN = 4


def command(
    *,
    knob_value: str,
    to: str,
    keep: Any,
    as_json: bool,
    all_notes: bool,
    **words: object,
) -> None:  # keep: convert refuses what it does not know
    """Convert a decay into the terms of another optimizer, library, paper, or clock.

    dwindle knobs lists the places. A fact of the run is needed only where a formula
    asks for it; one that differs at the new place is written before:after. With
    --to all it is typed everywhere, and what cannot hold it is listed with the reason.
    """
    before, after = WrittenFacts.from_words(words).runs()
    knob, value = split_setting(knob_value)
    found: Conversion | AllConversions
    if to.casefold() == "all":
        found = convert_to_all(value, knob, run=before, run_after=after, keep=keep)
    else:
        found = convert(value, knob, to=to, run=before, run_after=after, keep=keep)
    if as_json:
        print_json(found.as_dict())
    elif isinstance(found, AllConversions):
        _show_all(found)
    else:
        show("", found.drawn(all_notes=all_notes), "")


def _show_all(everywhere: AllConversions) -> None:
    title = f"{everywhere.knob} = {number(everywhere.value_from)}  →  all"
    show("", Line(text=title, style="bold", indent=2, whole=True))
    found = {each.to: each for each in everywhere.conversions}
    # Names and numbers are there to be copied: columns of theirs are never cut.
    columns = (
        Column("knob", "name", "cyan"),
        Column("type", "number", "bold"),
        Column("fidelity", style="dim"),
    )
    for library, of_it in by_library(KNOBS[name] for name in found).items():
        rows = [
            (
                each.to,
                "by layer" if each.value is None else number(each.value),
                each.fidelity,
            )
            for each in (found[knob.name] for knob in of_it)
        ]
        show("", Line(text=library, style="bold", indent=2))
        show(Table(columns=columns, rows=rows, heads=False, indent=2))
    # Only the promises that were made are explained below the tables.
    kept: set[str] = {each.fidelity for each in found.values()}
    promised: dict[str, str] = {
        name: text for name, text in PROMISES.items() if name in kept
    }
    show("", facts(promised, indent=2))
    if everywhere.refused:
        show("", Line(text="cannot hold it", style="bold", indent=2))
    for refused in everywhere.refused:
        more = len(refused.knobs) - _NAMES_SHOWN
        names = ", ".join(refused.knobs[:_NAMES_SHOWN])
        names += f" and {more} more" if more > 0 else ""
        show(Line(text=f"{refused.reason}.", indent=2))
        show(Line(text=names, style="dim", indent=4))
    show("")
