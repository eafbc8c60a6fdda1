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

OPTIONS = (
    SETTING,
    Option("--to", "where it shall be typed instead; or all", "KNOB", required=True),
    Option("--keep", "what stays: the decay of a step, epoch or run", "WHAT"),
    *FACT_OPTIONS,
    ALL_NOTES,
)


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
        show("", found.drawn(), "")
    else:
        show("", found.drawn(all_notes=all_notes), "")
