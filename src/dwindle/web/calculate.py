"""Calculate: facts as a page or a link has them in, an answer as plain data out.

The page's script calls :func:`calculate` and draws what comes; every number, text and
refusal is made here, by the functions that the command line calls.
"""

import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dwindle.cli import convert as convert_command
from dwindle.cli import explain as explain_command
from dwindle.cli import rescale as rescale_command
from dwindle.cli.facts import ALL_NOTES, SETTING, WrittenFacts
from dwindle.cli.options import Option
from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.fidelity import Fidelity
from dwindle.decay.rescale import rescale
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UnexpectedError, UnknownNameError
from dwindle.show import POINT, Drawable, Line, Sheet, Table
from dwindle.wording import clean, number, visible

# Whole links of people have 300 letters; a field with more is no fact of a training.
MOST_LETTERS = 4000
MOST_OF_A_FIELD = 200
# What a conversion keeps, in a headline.
_KEPT: Mapping[Fidelity, str] = {
    "same-trajectory": "every step is the same",
    "same-decay": "the same decay per step",
    "same-objective": "the same function is minimized",
    "same-total-decay": "the same decay per run",
    "approximate": "about the same",
}
# Two fields stand for the place KNOB=VALUE of a command line.
KNOB = Option("KNOB", "where it is typed: torch.optim.AdamW", keyword="knob")
VALUE = Option("VALUE", 'what is typed there: 0.1, or "3 epochs"', keyword="value")

Facts = Mapping[str, str]
Words = dict[str, Any]  # keyword arguments of a command: texts, flags and None


@dataclass(frozen=True)
class Answer:
    """What a tab answers: of what, in ten words, as it draws itself, and in Python."""

    subject: str
    headline: str
    drawn: Drawable
    python: str


@dataclass(frozen=True)
class Tab:
    """A question of the page: a command of the command line.

    Args:
        name: Of the command.
        title: The question as people ask it.
        options: Of the command; its facts are the fields of the page.
        sides: What a second value of a fact stands for; empty where a fact has one.
        answer: Answers for a knob, its value and the words.

    """

    name: str
    title: str
    options: Sequence[Option]
    sides: tuple[str, ...]
    answer: Callable[[str, str, Words], Answer]

    def fields(self) -> Iterator[Option]:
        """Yield what a person may fill in, in the order of the command's help."""
        for option in self.options:
            if option is SETTING:
                yield from (KNOB, VALUE)
            elif option is not ALL_NOTES:
                yield option


def _explained(knob: str, value: str, words: Words) -> Answer:
    written = WrittenFacts.from_words(words)
    found = explain(_read_value(value), knob, run=written.run("An explanation"))
    call = _call("explain", knob, value, run=_python_run(written, 0))
    subject = f"{found.knob} = {number(found.value)}"
    return Answer(subject, found.summary, found.drawn(), call)


def _converted(knob: str, value: str, words: Words) -> Answer:
    written, to, keep = WrittenFacts.from_words(words), words["to"], words["keep"]
    if not to:
        raise RangeError("--to", "nothing", "a knob", "Write --to torch.optim.SGD.")
    before, after = written.runs()
    found = convert(
        _read_value(value), knob, to=to, run=before, run_after=after, keep=keep
    )
    typed = "a value per layer" if found.value is None else number(found.value)
    call = _call(
        "convert",
        knob,
        value,
        to=_quoted(to),
        run=_python_run(written, 0),
        run_after=_python_run(written, -1) if written.is_change else "",
        keep=_quoted(keep) if keep else "",
    )
    headline = f"Type {typed} at {found.to}: {_KEPT[found.fidelity]}."
    subject = f"{found.knob} = {number(found.value_from)}"
    return Answer(subject, headline, found.__rich__(), call)


def _rescaled(knob: str, value: str, words: Words) -> Answer:
    written = WrittenFacts.from_words(words)
    before, after = written.runs()
    found = rescale(_read_value(value), knob, before=before, after=after)
    values = [each.value for each in found.rules if each.value is not None]
    headline = "No rule covers this change."
    if values:
        low, high = number(min(values)), number(max(values))
        headline = f"Type {low} to {high}: {len(values)} rules differ."
    call = _call(
        "rescale",
        knob,
        value,
        before=_python_run(written, 0) or "{}",
        after=_python_run(written, -1) or "{}",
    )
    subject = f"{found.knob} = {number(found.before.value)}, and the scale changes"
    return Answer(subject, headline, found.__rich__(), call)


TABS = (
    Tab(
        "explain",
        "What does my weight decay do?",
        explain_command.OPTIONS,
        sides=(),
        answer=_explained,
    ),
    Tab(
        "rescale",
        "My scale changes",
        rescale_command.OPTIONS,
        sides=("before", "after"),
        answer=_rescaled,
    ),
    Tab(
        "convert",
        "Port it",
        convert_command.OPTIONS,
        sides=("here", "there"),
        answer=_converted,
    ),
)


def calculate(request: str) -> str:
    """Answer one request of the page.

    Args:
        request: JSON: ``{"tab": "explain", "facts": {"knob": ..., "lr": "0.1"}}``;
            facts are texts, as one types them behind options of the command line.

    Returns:
        JSON: ``headline``, ``parts`` (lines and tables), ``command`` and ``python``; or
        ``error``, in words. Nothing is raised.

    Example:
        >>> facts = {"knob": "keras.regularizers.L2", "value": "5e-4"}
        >>> facts |= {"to": "torch.optim.SGD"}
        >>> answer = calculate(json.dumps({"tab": "convert", "facts": facts}))
        >>> json.loads(answer)["headline"]
        'Type 0.001 at torch.optim.SGD: the same function is minimized.'
        >>> json.loads(answer)["command"]
        'dwindle convert keras.regularizers.L2=5e-4 --to torch.optim.SGD'

    """
    try:
        found = answer_of(request)
    except DwindleError as error:
        found = {"error": clean(error, limit=1000), "kind": type(error).__name__}
    except Exception as error:  # noqa: BLE001  the page has no terminal to fail into
        unexpected = UnexpectedError(type(error).__name__, str(error))
        found = {"error": clean(unexpected), "kind": "UnexpectedError"}
    return json.dumps(found)


def answer_of(request: str) -> dict[str, Any]:  # JSON-like
    """Return the answer to a request of the page.

    Raises:
        DwindleError: If the request is refused.

    """
    tab, facts = _read(request)
    words: Words = {each.argument: None for each in tab.fields()}
    for option in tab.fields():
        if text := facts.get(option.argument, "").strip():
            words[option.argument] = True if option.is_flag else text
    knob, value = words.pop("knob"), words.pop("value")
    for name, given in (("knob", knob), ("value", value)):
        if not given:
            remedy = "Fill in torch.optim.AdamW and 0.1, for example."
            raise RangeError(name, "nothing", "given", remedy)
    answer = tab.answer(knob, value, words)
    return {
        "subject": visible(answer.subject),
        "headline": visible(answer.headline),
        # What stands above them already is not repeated.
        "parts": [
            part
            for part in _plain(answer.drawn)
            if part.get("line") not in {answer.subject, answer.headline}
        ],
        "command": _command_line(tab, knob, value, words),
        "python": answer.python,
    }


def _read(request: str) -> tuple[Tab, Facts]:
    if len(request) > MOST_LETTERS:
        raise _too_long("link", request, MOST_LETTERS)
    asked = json.loads(request)
    tabs = {each.name: each for each in TABS}
    if asked["tab"] not in tabs:
        raise UnknownNameError.among("tab", clean(asked["tab"]), tuple(tabs))
    tab, facts = tabs[asked["tab"]], asked["facts"]
    known = [each.argument for each in tab.fields()]
    for name, text in facts.items():
        if name not in known:
            raise UnknownNameError.among("fact", clean(name), known)
        if len(text) > MOST_OF_A_FIELD:
            raise _too_long(name, text, MOST_OF_A_FIELD)
    return tab, facts


def _too_long(name: str, text: str, most: int) -> RangeError:
    got = f"{len(text):,} characters"
    return RangeError(name, got, f"at most {most:,} characters")


def _plain(drawn: Drawable) -> Iterator[dict[str, Any]]:  # JSON-like
    """Yield lines and tables as plain data, in the order that they are drawn."""
    if isinstance(drawn, Sheet):
        for part in drawn.parts:
            if part:
                yield from _plain(Line(text=part) if isinstance(part, str) else part)
    elif isinstance(drawn, Table):
        columns, rows = drawn.filled()
        if columns[:1] == [POINT]:
            yield {"points": [_cell(text) for _, text in rows]}
            return
        yield {
            "heads": [_cell(each.name) for each in columns] if drawn.heads else [],
            "numbers": [each.kind == "number" for each in columns],
            "rows": [[_cell(cell) for cell in row] for row in rows],
            "notes": [visible(each) for each in drawn.footer],
        }
    elif isinstance(drawn, Line):
        yield {"line": _cell(drawn.text), "whole": drawn.whole}


def _cell(cell: str | tuple[str, ...]) -> str:
    lines = cell.split("\n") if isinstance(cell, str) else cell
    return "\n".join(map(visible, lines))


def _command_line(tab: Tab, knob: str, value: str, words: Words) -> str:
    """Return what a shell takes for the same answer."""
    line = ["dwindle", tab.name, f"{knob}={value}"]
    for option in tab.fields():
        given = words.get(option.argument)
        if given:
            line += [option.name] if option.is_flag else [option.name, given]
    return visible(shlex.join(line))


def _call(function: str, knob: str, value: str, **arguments: str) -> str:
    """Return the call in Python; arguments are source already, empty ones left out."""
    number_or_text = _read_value(value)
    typed = _quoted(value) if number_or_text == value else repr(number_or_text)
    given = [f"{name}={text}" for name, text in arguments.items() if text]
    lines = [f"    {word},\n" for word in (_quoted(knob), typed, *given)]
    return f"import dwindle\n\ndwindle.{function}(\n{''.join(lines)})"


def _read_value(text: str) -> float | str:
    """Return a value as Python code has it: a number, where one literal means it."""
    try:
        return float(text) if math.isfinite(float(text)) else text
    except ValueError:
        return text


def _python_run(written: WrittenFacts, side: int) -> str:
    """Return source for the facts of a run, before (0) or after a change (-1)."""
    known = {
        name: _quoted(fact) if isinstance(fact, str) else repr(fact)
        for name, fact in written.known(side).items()
    }
    of_schedule = [
        f"{name}={known.pop(name)}"
        for name in Schedule.__dataclass_fields__
        if name in known
    ]
    if of_schedule:
        known["schedule"] = f"dwindle.Schedule({', '.join(of_schedule)})"
    lines = [f"        {_quoted(name)}: {text},\n" for name, text in known.items()]
    return f"{{\n{''.join(lines)}    }}" if lines else ""


def _quoted(text: str) -> str:
    """Return source for a text; what is not ASCII, and could act, is escaped."""
    return json.dumps(text)
