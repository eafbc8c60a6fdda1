"""dwindle explain, rescale, convert and suggest: facts in, the answer of a call out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dwindle.cli.facts import (
    FACT_OPTIONS,
    OF_A_DECAY,
    SETTING,
    WrittenFacts,
    split_setting,
)
from dwindle.cli.options import Option, read_one_of
from dwindle.cli.output import answer, note
from dwindle.show import Sheet
from dwindle.wording import TERMINAL, Face

Arguments = Mapping[str, Any]  # keyword arguments: texts, flags and None
KNOB = Option(
    "KNOB",
    "where to type the decay that suggest answers: torch.optim.AdamW",
    required=True,
    also=(*OF_A_DECAY, "--knob", "--optimizer"),
)
_ALL_NOTES = Option(
    "--all", "every note, not the three that matter most", keyword="all_notes"
)
_ALL_RULES = Option(
    "--all", "every rule, with what it keeps and rests on", keyword="all_rules"
)
_GROUP = "What kind of training it is, where the facts do not show it"
_REGIMES = "single-pass, many-epochs, fine-tuning or lora"
_NORMS = "yes or no: whether the network has normalization layers"
_YES_OR_NO = {"yes": True, "no": False}
_KIND = (
    Option("--regime", _REGIMES, "NAME", group=_GROUP),
    Option("--normalized", _NORMS, "YES", read_one_of(_YES_OR_NO), group=_GROUP),
)


@dataclass(frozen=True)
class Call:
    """A call of a public function that answers a question."""

    function: Callable[..., Any]
    places: Sequence[float | str]  # the value and its knob, or the knob
    arguments: Arguments  # by name; None was not given
    drawn: Mapping[str, bool] = field(default_factory=dict)  # how much of the answer
    note: str = ""  # what a person should know beside it

    def answer(self) -> Any:  # an Explanation, a Rescaling, ...
        """Return what the call returns."""
        return self.function(*self.places, **self.arguments)

    def sheet(self, answer: Any, face: Face = TERMINAL) -> Sheet:  # as above
        """Return the answer as it is drawn; a table of all places has no notes."""
        drawn: Sheet = (
            answer.drawn(face=face, **self.drawn) if self.drawn else answer.drawn()
        )
        return drawn


def _explain(knob: str, value: str, arguments: Arguments) -> Call:
    """Explain a decay: its half-life, what a run leaves, where weights settle.

    It reports what the facts allow, and names the facts that would give more.
    """
    from dwindle.decay.explain import explain

    run = WrittenFacts.from_arguments(arguments).run("dwindle explain")
    given = {"run": run, **_kind_of(arguments)}
    return Call(
        explain, (value, knob), given, {"all_notes": bool(arguments["all_notes"])}
    )


def _rescale(knob: str, value: str, arguments: Arguments) -> Call:
    """Print what to type after a change of scale, how sure that is, and why.

    Write what changes as before:after, as in --batch-size 256:2048 --lr 1e-3:2e-3, and
    what stays once. An lr that goes with the batch is --lr 1e-3:linear, or 1e-3:sqrt.
    """
    from dwindle.decay.rescale import rescale

    written = WrittenFacts.from_arguments(arguments)
    before, after = written.runs()
    # Not an error: a script may sweep over scales, and one of them is where it began.
    note = "" if written.is_change else "Nothing changes: write a fact as before:after."
    given = {"before": before, "after": after, **_kind_of(arguments)}
    drawn = {"all_rules": bool(arguments["all_rules"])}
    return Call(rescale, (value, knob), given, drawn, note)


def _convert(knob: str, value: str, arguments: Arguments) -> Call:
    """Convert a decay into the terms of another optimizer, library, paper, or clock.

    dwindle knobs lists the places. A fact of the run is needed only where a formula
    uses it; one that differs at the new place is written before:after. With
    --to all it is typed everywhere, and what cannot hold it is listed with the reason.
    """
    before, after = WrittenFacts.from_arguments(arguments).runs()
    given = {
        "run": before,
        "run_after": after if after != before else None,
        "keep": arguments["keep"],
    }
    if arguments["to"].casefold() == "all":
        from dwindle.decay.convert_all import convert_to_all

        return Call(convert_to_all, (value, knob), given)
    from dwindle.decay.convert import convert

    given = {"to": arguments["to"], **given}
    return Call(
        convert, (value, knob), given, {"all_notes": bool(arguments["all_notes"])}
    )


def _suggest(knob: str, _: str, arguments: Arguments) -> Call:
    """Suggest a first value of weight decay, from published recipes of that kind.

    Recipes of one class, optimizer family and domain are carried to your lr, batch and
    length by the exponents that rescale goes by; none of it above what they type.
    """
    from dwindle.decay.evidence.suggest import suggest

    run = WrittenFacts.from_arguments(arguments).run("dwindle suggest")
    given = {"run": run, **_kind_of(arguments), "domain": arguments["domain"]}
    return Call(suggest, (knob,), given, {"all_notes": bool(arguments["all_notes"])})


def _kind_of(arguments: Arguments) -> dict[str, Any]:  # a text and a truth value
    return {each.argument: arguments[each.argument] for each in _KIND}


@dataclass(frozen=True)
class Question:
    """A command that makes one call; its help is the docstring of ``call_for``.

    It has the ``OPTIONS`` and ``command`` of a module of another command.
    """

    OPTIONS: Sequence[Option]
    call_for: Callable[[str, str, Arguments], Call]
    # Fields of the answer that the command line shows already, and what to draw.
    overrides: Arguments = field(default_factory=dict)

    @property
    def command(self) -> Callable[..., None]:
        """The function that prints the answer to given arguments."""

        def command(*, as_json: bool, **arguments: Any) -> None:
            knob, value = arguments.get("knob", ""), ""
            if "knob" not in arguments:
                knob, value = split_setting(arguments["knob_value"])
            call = self.call_for(knob, value, arguments)
            found = call.answer()
            if call.note:
                note(call.note, style="yellow")
            sheet = call.sheet(replace(found, **self.overrides))
            answer(found.as_dict(), "", sheet, "", as_json=as_json)

        command.__doc__ = self.call_for.__doc__
        return command


_FACTS = (SETTING, *FACT_OPTIONS)
# The numbers of a command line are texts: all of them would be listed as understood.
EXPLAIN = Question((*_FACTS, *_KIND, _ALL_NOTES), _explain, {"understood": ()})
RESCALE = Question((*_FACTS, *_KIND, _ALL_RULES), _rescale)
CONVERT = Question(
    (
        SETTING,
        Option(
            "--to", "where it shall be typed instead; or all", "KNOB", required=True
        ),
        Option("--keep", "what stays: the decay of a step, epoch or run", "WHAT"),
        *FACT_OPTIONS,
        _ALL_NOTES,
    ),
    _convert,
)
SUGGEST = Question(
    (
        KNOB,
        *FACT_OPTIONS,
        *_KIND,
        Option("--domain", "vision, language, speech: recipes of that", "NAME"),
        _ALL_NOTES,
    ),
    _suggest,
)
