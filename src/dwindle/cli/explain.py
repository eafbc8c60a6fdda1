"""dwindle explain: what a decay really does to a weight."""

from dataclasses import replace

from dwindle.cli.facts import (
    ALL_NOTES,
    FACT_OPTIONS,
    SETTING,
    WrittenFacts,
    split_setting,
)
from dwindle.cli.kinds import KIND_OPTIONS, kind_of
from dwindle.cli.output import print_json, show
from dwindle.decay.explain import explain

OPTIONS = (SETTING, *FACT_OPTIONS, *KIND_OPTIONS, ALL_NOTES)


def command(
    *, knob_value: str, as_json: bool, all_notes: bool, **words: object
) -> None:
    """Explain a decay: its half-life, what a run leaves, where weights settle.

    It reports what the facts allow, and names the facts that would give more.
    """
    run = WrittenFacts.from_words(words).run("dwindle explain")
    knob, value = split_setting(knob_value)
    found = explain(value, knob, run=run, **kind_of(words))
    if as_json:
        print_json(found.as_dict())
    else:
        # Every number of a line came as text, and stands above as it was read.
        show("", replace(found, understood=()).drawn(all_notes=all_notes), "")
