"""Calculate: facts as a page or a link has them in, an answer as plain data out.

The page's script calls :func:`calculate` and draws what comes; every number, text and
refusal is made here, by the functions that the command line calls.
"""

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import dwindle
from dwindle.cli.facts import SETTING
from dwindle.cli.options import Option
from dwindle.cli.questions import (
    CONVERT,
    EXPLAIN,
    KNOB,
    RESCALE,
    SUGGEST,
    Call,
    Question,
)
from dwindle.decay.convert import Conversion
from dwindle.decay.convert_all import AllConversions
from dwindle.decay.fidelity import Fidelity
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UnexpectedError, UnknownNameError
from dwindle.show import POINT, Drawable, Line, Table, as_text
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


@dataclass(frozen=True)
class Tab:
    """A question of the page: a command of the command line."""

    name: str
    title: str
    question: Question
    sides: tuple[str, ...]  # what two values of a fact stand for; none where it has one

    def fields(self) -> Iterator[Option]:
        """Yield what a person may fill in, in the order of the command's help."""
        for option in self.question.OPTIONS:
            if option is SETTING:
                yield from (KNOB, VALUE)
            else:
                yield option


TABS = (
    Tab("explain", "What does my weight decay do?", EXPLAIN, ()),
    Tab("rescale", "My scale changes", RESCALE, ("before", "after")),
    Tab("convert", "Port it", CONVERT, ("here", "there")),
    Tab("suggest", "A first value", SUGGEST, ()),
)


def calculate(request: str) -> str:
    """Answer one request of the page.

    Args:
        request: JSON: ``{"tab": "explain", "facts": {"knob": ..., "lr": "0.1"}}``;
            facts are texts, as one types them behind options of the command line.

    Returns:
        JSON: ``headline``, ``parts`` (lines and tables), ``command`` and ``python``; or
        ``error``, a text. Nothing is raised.

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
    """Return the answer to a request of the page."""
    tab, facts = _read(request)
    arguments: dict[str, Any] = {}  # texts, flags and None
    for option in tab.fields():
        text = facts.get(option.argument, "").strip()
        if option.required and not text:
            must, remedy = "given", "Fill in torch.optim.AdamW and 0.1, for example."
            raise RangeError(option.argument, "nothing", must, remedy)
        arguments[option.argument] = option.value_of(text) if text else None
    call = tab.question.call_for(
        arguments.pop("knob"), arguments.pop("value", ""), arguments
    )
    call = replace(call, places=[_read_value(str(each)) for each in call.places])
    found = call.answer()
    subject, headline, *rest = _opened(found, call.sheet(found, PAGE).parts)
    return {
        "subject": visible(subject),
        "headline": visible(headline),
        "parts": [_plain(each) for each in rest if each],
        "command": _command_line(tab, facts),
        "python": _python(call),
    }


def _opened(found: object, parts: Sequence[Drawable | str]) -> list[Any]:
    """Return the subject of an answer, its headline, and all that is drawn below."""
    if isinstance(found, Conversion):
        typed = "a value per layer" if found.value is None else number(found.value)
        headline = f"Type {typed} at {found.to}: {_KEPT[found.fidelity]}."
    elif isinstance(found, AllConversions):
        cannot = sum(len(each.knobs) for each in found.refused)
        places = counted(len(found.conversions), "place")
        headline = f"{places} can hold this decay, {cannot} cannot."
    else:
        # The others are drawn with their subject and their headline in two lines.
        lines = [as_text(each, width=_ANY_WIDTH).strip() for each in parts[:2]]  # type: ignore[arg-type] # two lines
        return [lines[0], lines[1][:1].upper() + lines[1][1:], *parts[2:]]
    return [f"{found.knob} = {number(found.value_from)}", headline, *parts[1:]]


def _read(request: str) -> tuple[Tab, Facts]:
    if len(request) > MOST_LETTERS:
        raise _too_long("link", request, MOST_LETTERS)
    query = json.loads(request)
    tabs = {each.name: each for each in TABS}
    if query["tab"] not in tabs:
        raise UnknownNameError.among("tab", clean(query["tab"]), tuple(tabs))
    tab, facts = tabs[query["tab"]], query["facts"]
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


def _python(call: Call) -> str:
    """Return the call as source; what was not given is left out."""
    name, module = call.function.__name__, call.function.__module__
    module = "dwindle" if name in dwindle.__all__ else module
    # The knob first, as one thinks of it; a call takes both orders.
    given = [_source(each) for each in reversed(call.places)]
    for argument, value in call.arguments.items():
        source = _run_source(value) if isinstance(value, Run) else _source(value)
        if value is not None and (argument, source) != ("run", "{}"):
            given.append(f"{argument}={source}")
    lines = [f"    {word},\n" for word in given]
    return f"import {module}\n\n{module}.{name}(\n{''.join(lines)})"


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
    return f"{{\n{''.join(lines)}    }}" if lines else "{}"
