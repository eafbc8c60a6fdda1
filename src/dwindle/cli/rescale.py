"""dwindle rescale: my scale changes, what do I type now?"""

from dwindle.cli.facts import FACT_OPTIONS, SETTING, WrittenFacts, split_setting
from dwindle.cli.kinds import KIND_OPTIONS, kind_of
from dwindle.cli.options import Option
from dwindle.cli.output import note, print_json, show
from dwindle.decay.rescale import rescale

_ALL = Option(
    "--all", "every rule, with what it keeps and rests on", keyword="all_rules"
)
OPTIONS = (SETTING, *FACT_OPTIONS, *KIND_OPTIONS, _ALL)


def command(
    *, knob_value: str, as_json: bool, all_rules: bool, **words: object
) -> None:
    """Print what to type after a change of scale, how sure that is, and why.

    Write what changes as before:after, as in --batch-size 256:2048 --lr 1e-3:2e-3, and
    what stays once. An lr that goes with the batch is --lr 1e-3:linear, or 1e-3:sqrt.
    """
    written = WrittenFacts.from_words(words)
    before, after = written.runs()
    knob, value = split_setting(knob_value)
    found = rescale(value, knob, before=before, after=after, **kind_of(words))
    # Not an error: a script may sweep over scales, and one of them is where it began.
    if not written.is_change:
        note("Nothing changes: write a fact as before:after.", style="yellow")
    if as_json:
        print_json(found.as_dict())
    else:
        show("", found.drawn(all_rules=all_rules), "")
