"""Calculate: facts as a page or a link has them in, an answer as plain data out.

The page's script calls :func:`calculate` and draws what comes; every number, text and
refusal is made here, by the functions that the command line calls.
"""

import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from dwindle.cli import convert as convert_command
from dwindle.cli import explain as explain_command
from dwindle.cli import rescale as rescale_command
from dwindle.cli import suggest as suggest_command
from dwindle.cli.facts import SETTING, WrittenFacts
from dwindle.cli.kinds import kind_of
from dwindle.cli.options import Option
from dwindle.cli.suggest import KNOB
from dwindle.decay.convert import convert
from dwindle.decay.convert_all import convert_to_all
from dwindle.decay.evidence.suggest import suggest
from dwindle.decay.explain import explain
from dwindle.decay.fidelity import Fidelity, Keep
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UnexpectedError, UnknownNameError
from dwindle.show import POINT, Drawable, Line, Sheet, Table, as_text
from dwindle.wording import Face, clean, counted, number, visible

# Whole links of people have 300 letters; a field with more is no fact of a training.
MOST_LETTERS = 4000
MOST_OF_A_FIELD = 200  # letters: the longest list of lrs or layers that one types
# A browser folds lines itself.
_ANY_WIDTH = 10_000
# What a conversion keeps, in a headline.
_KEPT: Mapping[Fidelity, str] = {
    "same-trajectory": "every step is the same",
    "same-decay": "the same decay per step",
    "same-objective": "the same function is minimized",
    "same-total-decay": "the same decay per run",
    "approximate": "about the same",
}
# A reader of the page has fields and boxes, and no options.
PAGE = Face(
    given='"{name}" = {value}',
    all_notes='tick "every note"',
    all_rules='(for others tick "every rule")',
)
# Facts of every run; only another one than most have is worth a line.
_ALWAYS_GIVEN = ("dtype", "loss")
# Two fields stand for the place KNOB=VALUE of a command line.
VALUE = Option("VALUE", 'what is typed there: 0.1, or "3 epochs"', required=True)

Facts = Mapping[str, str]
Words = dict[str, Any]  # keyword arguments of a command: texts, flags and None


@dataclass(frozen=True)
class Answer:
    """What a tab answers.

    Args:
        subject: What was asked about: a knob and its value.
        headline: The answer in ten words.
        rest: Everything else, in the order that it is drawn.
        python: A call that returns the same.

    """

    subject: str
    headline: str
    rest: Sequence[Drawable | str]
    python: str

    @classmethod
    def of_sheet(cls, sheet: Sheet, python: str) -> "Answer":
        """Return an answer whose drawing opens with its subject and its headline."""
        opening: list[str] = []
        for part in sheet.parts:
            if not isinstance(part, Line):
                break
            opening.append(as_text(part, width=_ANY_WIDTH).strip())
        subject, headline = (*opening, "")[:2]
        return cls(
            subject, headline[:1].upper() + headline[1:], sheet.parts[2:], python
        )


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
            else:
                yield option


def _explained(knob: str, value: str, words: Words) -> Answer:
    run = WrittenFacts.from_words(words).run("An explanation")
    kind, all_notes = kind_of(words), bool(words["all_notes"])
    found = explain(_read_value(value), knob, run=run, **kind)
    call = _call(
        "explain", knob, _read_value(value), run=_run_source(run), **_sources(kind)
    )
    return Answer.of_sheet(found.drawn(all_notes=all_notes), call)


def _rescaled(knob: str, value: str, words: Words) -> Answer:
    before, after = WrittenFacts.from_words(words).runs()
    kind = kind_of(words)
    found = rescale(_read_value(value), knob, before=before, after=after, **kind)
    call = _call(
        "rescale",
        knob,
        _read_value(value),
        before=_run_source(before) or "{}",
        after=_run_source(after) or "{}",
        **_sources(kind),
    )
    return Answer.of_sheet(
        found.drawn(all_rules=bool(words["all_rules"]), face=PAGE), call
    )


def _converted(knob: str, value: str, words: Words) -> Answer:
    before, after = WrittenFacts.from_words(words).runs()
    to, keep = words["to"], words["keep"]
    if to.casefold() == "all":
        return _converted_to_all(knob, value, before, after, keep)
    found = convert(
        _read_value(value), knob, to=to, run=before, run_after=after, keep=keep
    )
    typed = "a value per layer" if found.value is None else number(found.value)
    headline = f"Type {typed} at {found.to}: {_KEPT[found.fidelity]}."
    call = _call(
        "convert",
        knob,
        _read_value(value),
        run=_run_source(before),
        run_after=_run_source(after) if after != before else "",
        **_sources({"to": to, "keep": keep}),
    )
    subject = f"{found.knob} = {number(found.value_from)}"
    sheet = found.drawn(all_notes=bool(words["all_notes"]), face=PAGE)
    return Answer(subject, headline, sheet.parts[1:], call)


def _converted_to_all(
    knob: str, value: str, before: Run, after: Run, keep: Keep | None
) -> Answer:
    read = _read_value(value)
    found = convert_to_all(read, knob, run=before, run_after=after, keep=keep)
    cannot = sum(len(each.knobs) for each in found.refused)
    places = counted(len(found.conversions), "place")
    call = _call(
        "convert_to_all",
        knob,
        read,
        module="dwindle.decay.convert_all",
        run=_run_source(before),
        run_after=_run_source(after) if after != before else "",
        **_sources({"keep": keep}),
    )
    subject = f"{found.knob} = {number(found.value_from)}"
    headline = f"{places} can hold this decay, {cannot} cannot."
    return Answer(subject, headline, found.drawn().parts[1:], call)


def _suggested(knob: str, _: str, words: Words) -> Answer:
    run = WrittenFacts.from_words(words).run("A suggestion")
    kind, domain = kind_of(words), words["domain"]
    found = suggest(knob, run=run, domain=domain, **kind)
    call = _call(
        "suggest", knob, run=_run_source(run), **_sources({**kind, "domain": domain})
    )
    return Answer.of_sheet(
        found.drawn(all_notes=bool(words["all_notes"]), face=PAGE), call
    )


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
    Tab(
        "suggest",
        "A first value",
        suggest_command.OPTIONS,
        sides=(),
        answer=_suggested,
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
    words: Words = {}
    for option in tab.fields():
        text = facts.get(option.argument, "").strip()
        if option.required and not text:
            must, remedy = "given", "Fill in torch.optim.AdamW and 0.1, for example."
            raise RangeError(option.argument, "nothing", must, remedy)
        words[option.argument] = option.read(option.name, text) if text else None
    answer = tab.answer(words.pop("knob"), words.pop("value", ""), words)
    return {
        "subject": visible(answer.subject),
        "headline": visible(answer.headline),
        "parts": [_plain(each) for each in answer.rest if each],
        "command": _command_line(tab, facts),
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


def _plain(drawn: Drawable | str) -> dict[str, Any]:  # JSON-like
    """Return a line, notes or a table as plain data."""
    if isinstance(drawn, str):
        return {"line": visible(drawn), "strong": False}
    if not isinstance(drawn, Table):
        is_strong = isinstance(drawn, Line) and "bold" in drawn.style
        text = as_text(drawn, width=_ANY_WIDTH).strip()
        return {"line": text, "strong": is_strong}
    columns, rows = drawn.filled()
    if columns[:1] == [POINT]:
        return {"points": [_cell(text) for _, text in rows]}
    return {
        "heads": [_cell(each.name) for each in columns] if drawn.heads else [],
        "numbers": [each.kind == "number" for each in columns],
        "rows": [[_cell(cell) for cell in row] for row in rows],
        "notes": [visible(each) for each in drawn.footer],
    }


def _cell(cell: str | tuple[str, ...]) -> str:
    lines = cell.split("\n") if isinstance(cell, str) else cell
    return "\n".join(map(visible, lines))


def _command_line(tab: Tab, facts: Facts) -> str:
    """Return what a shell takes for the same answer."""
    given = {name: text.strip() for name, text in facts.items() if text.strip()}
    place = "=".join(given[name] for name in ("knob", "value") if name in given)
    line = ["dwindle", tab.name, place]
    for option in tab.fields():
        if option.is_named and option.argument in given:
            line.append(option.name)
            line += [] if option.is_flag else [given[option.argument]]
    return visible(shlex.join(line))


def _call(
    function: str, *places: float | str, module: str = "dwindle", **arguments: str
) -> str:
    """Return the call in Python; arguments are source already, empty ones left out."""
    given = [f"{name}={text}" for name, text in arguments.items() if text]
    lines = [f"    {word},\n" for word in (*map(_source, places), *given)]
    return f"import {module}\n\n{module}.{function}(\n{''.join(lines)})"


def _read_value(text: str) -> float | str:
    """Return a value as Python code has it: a number, where one literal means it."""
    try:
        return float(text) if math.isfinite(float(text)) else text
    except ValueError:
        return text


def _source(value: object) -> str:
    """Return source for what a fact is: a text, a schedule, a number or several."""
    if isinstance(value, str):
        return json.dumps(value)  # what is not ASCII, and could act, is escaped
    if not isinstance(value, Schedule):
        return repr(value)
    parts = [
        f"{each.name}={_source(part)}"
        for each in fields(Schedule)
        if each.init and (part := getattr(value, each.name)) != each.default
    ]
    return f"dwindle.Schedule({', '.join(parts)})"


def _sources(arguments: Mapping[str, object]) -> dict[str, str]:
    """Return source for the arguments that were given."""
    return {name: _source(each) for name, each in arguments.items() if each is not None}


def _run_source(run: Run) -> str:
    """Return source for the facts of a run that were given."""
    known = {
        each.name: getattr(run, each.name)
        for each in fields(Run)
        if each.init and run.is_given(each.name)
    }
    for name in _ALWAYS_GIVEN:
        if known[name] == getattr(Run(), name):
            del known[name]
    # A batch that was counted in tokens: the length of an example is then nobody's.
    if run.tokens_per_example and "tokens_per_example" not in known:
        known["batch_tokens"] = known.pop("batch_size")
    lines = [
        f"        {_source(name)}: {_source(fact)},\n" for name, fact in known.items()
    ]
    return f"{{\n{''.join(lines)}    }}" if lines else ""
