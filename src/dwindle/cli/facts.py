"""What a person types: KNOB=VALUE, the facts of a run, and ``before:after``."""

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dwindle.cli.options import Option, read_number, read_share, read_text, read_whole
from dwindle.decay import facts, read_numbers
from dwindle.decay.facts import option_of
from dwindle.decay.knobs import knobs
from dwindle.decay.read_numbers import numbers_of, read_times, whole_of
from dwindle.decay.run import Run
from dwindle.decay.shapes import SHAPES
from dwindle.decay.typed_facts import (
    LR_POWERS,
    as_fields,
    facts_after,
    times_of,
    without_tokens,
)
from dwindle.errors import DwindleError, RangeError, UnknownNameError, UsageError

# What other tools call a weight decay.
OF_A_DECAY = ("--wd", "--weight-decay", "--decay", "--l2", "--lambda")
SETTING = Option(
    "KNOB=VALUE",
    'what is typed where: torch.optim.AdamW=0.1, half-life="3 epochs"',
    required=True,
    also=(*OF_A_DECAY, "--knob", "--optimizer"),
)
OF_ONE_RUN = "Facts of the run"
GROUP = f"{OF_ONE_RUN}; a change of scale is written before:after"
_CHANGE = "A change of scale is written before:after, as in --lr 3e-4:8e-4."
_EXAMPLE = 'Write torch.optim.AdamW=0.1, or half-life="3 epochs".'


def split_setting(text: str) -> tuple[str, str]:
    """Return the knob and the text of its value.

    Example:
        >>> split_setting("half-life=3 epochs")
        ('half-life', '3 epochs')
        >>> split_setting("0.1=torch.AdamW")
        ('torch.AdamW', '0.1')

    """
    knob, _, value = (part.strip() for part in text.partition("="))
    if not knob or not value:
        must = "KNOB=VALUE must be a knob and its value, joined by =."
        raise UsageError(must, repr(text), _whole_setting(knob))
    # 0.1=torch.AdamW is as clear as the usual order.
    is_number = [read_numbers.read_number(side) is not None for side in (knob, value)]
    return (value, knob) if is_number == [True, False] else (knob, value)


def _whole_setting(word: str) -> str:
    """Return what to write where only a number, or only a knob, was typed."""
    if not word:
        return _EXAMPLE
    if read_numbers.read_number(word) is not None:
        two = f"torch.optim.SGD={word}, for example, or torch.optim.AdamW={word}"
        return f"Write where {word} is typed: {two}."
    try:
        name = knobs(word)[0].name
    except DwindleError:
        return _EXAMPLE
    return f"Write {name}=0.1, for example; dwindle knobs {name} explains it."


def _read_time(option: str, text: str) -> float | str:
    """Read a share; a count with its clock stays text until the run is known."""
    try:
        return read_share(option, text)
    except RangeError:
        read_times(option, text, f'Write {option} 5%, "500 steps" or "5 epochs".')
        return text


def _read_lr(option: str, text: str) -> float | tuple[float, ...]:
    """Read one lr, or that of every step: in a file, or with commas between them."""
    if text.casefold().endswith(_TABLES):
        return _lrs_of(option, Path(text))
    if "," in text and read_numbers.read_number(text) is None:
        return numbers_of(option, text, remedy=f"Write {option} 0.1,0.1,0.01.")
    return read_number(option, text)


def _lrs_of(option: str, path: Path) -> tuple[float, ...]:
    """Read the column of a table that is called lr, or its only one."""
    must, remedy = "a readable table", f"Write {option} lrs.csv: one lr in a row."
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise RangeError(option, f"{path}: {why}", must, remedy) from None
    heads = (
        [head.strip().casefold().replace("_", "-") for head in rows[0]] if rows else []
    )
    place = next((at for at, head in enumerate(heads) if head in _LR_HEADS), None)
    if place is None and len(heads) > 1:
        must = "a table with a column lr, or with one column"
        raise RangeError(option, f"{path} with {', '.join(heads)}", must, remedy)
    has_head = bool(heads) and read_numbers.read_number(heads[place or 0]) is None
    lrs = []
    for number, row in enumerate(rows[has_head:], start=1 + has_head):
        text = row[place or 0].strip() if len(row) > (place or 0) else ""
        lr = read_numbers.read_number(text)
        if lr is None or not 0 <= lr < math.inf:
            got = f"{text!r} in row {number:,} of {path}"
            raise RangeError(
                option, got, "a finite lr of at least 0 in every row", remedy
            )
        lrs.append(lr)
    if not lrs:
        raise RangeError(option, f"{path}, which has no lrs", must, remedy)
    return tuple(lrs)


_LR_HEADS = {"lr", "learning-rate", "train/learning-rate", "train/lr"}
_TABLES = (".csv", ".tsv", ".txt")
_READERS: Mapping[str, Callable[[str, str], object]] = {
    "lr": _read_lr,
    "number": read_number,
    "pair": lambda option, text: numbers_of(
        option,
        text,
        must="two numbers with a comma between them",
        remedy=f"Write {option} 0.9,0.95.",
    ),
    "share": read_share,
    "sizes": lambda option, text: numbers_of(
        option,
        text,
        whole_of,
        must="whole numbers with commas between them",
        remedy=f"Write {option} 784,256,256,10: inputs, hidden layers, outputs.",
    ),
    "text": read_text,
    "time": _read_time,
    "whole": read_whole,
}
_OF_SCHEDULES = "Schedules: what some of them read besides"
_SHAPES = ", ".join(name for name in SHAPES if name != "listed")
# Options for the fields of Run, and of its schedule.
FACTS = tuple(
    Option(
        fact.option,
        fact.text.format(shapes=_SHAPES),
        fact.metavar,
        _READERS[fact.typed],
        group=_OF_SCHEDULES if fact.of_schedule else GROUP,
        also=fact.elsewhere,
        keyword=fact.name,
        is_fact=True,
    )
    for fact in facts.FACTS.values()
    if fact.typed
)
_WITH = Option("--nesterov", "Nesterov's momentum", group=GROUP)
_WITHOUT = Option("--no-nesterov", "plain momentum, where not default", group=GROUP)
FACT_OPTIONS = (*FACTS, _WITH, _WITHOUT)


@dataclass(frozen=True)
class WrittenFacts:
    """What was typed, fact by fact; each may be one value or ``before:after``."""

    texts: Mapping[str, str]
    nesterov: bool | None

    @classmethod
    def from_arguments(
        cls, arguments: Mapping[str, Any]
    ) -> "WrittenFacts":  # None or str
        """Gather the facts among the keyword arguments of a command."""
        given = {fact.argument: arguments[fact.argument] for fact in FACTS}
        texts = {field: text for field, text in given.items() if text is not None}
        with_it, without = arguments[_WITH.argument], arguments[_WITHOUT.argument]
        if with_it and without:
            got, remedy = f"{_WITH.name} and {_WITHOUT.name}", "Leave one of them out."
            must = "Momentum must be of one kind."
            raise UsageError(must, got, remedy)
        return cls(texts, bool(with_it) if with_it or without else None)

    @property
    def is_change(self) -> bool:
        """Whether any fact was written ``before:after``."""
        return any(":" in text for text in self.texts.values())

    def run(self, needed_for: str) -> Run:
        """Return the one run that the facts describe."""
        for fact in FACTS:
            if ":" in self.texts.get(fact.argument, ""):
                must = f"{needed_for} must be given one run, without before:after."
                got = f"{fact.name} {self.texts[fact.argument]}"
                remedy = "Write one value; dwindle rescale shows what a change does."
                raise UsageError(must, got, remedy)
        return self._side(0)

    def runs(self) -> tuple[Run, Run]:
        """Return the run before and the run after; equal where nothing changed."""
        return self._side(0), self._side(-1)

    def known(self, side: int) -> dict[str, Any]:  # the fields of Run have many types
        """Return what was typed, field by field: before (0), or after a change (-1).

        The fields are those of Run and of Schedule; its name is called shape.
        """
        known = without_tokens(self._read(side), named=option_of)
        return known if self.nesterov is None else known | {"nesterov": self.nesterov}

    def _read(self, side: int) -> dict[str, Any]:  # as in known
        known: dict[str, Any] = {}
        for fact in (each for each in FACTS if each.argument in self.texts):
            name, field = fact.name, fact.argument
            text = _part(name, self.texts[field], side)
            is_times = times_of(name, text) is not None
            if is_times and not side:
                must = "a value: only what stands behind a colon may be times another"
                raise RangeError(name, repr(text), must, f"Write {name} 256:x8.")
            is_word = text.isalpha() and read_numbers.read_number(text) is None
            is_way = side and field == "lr" and is_word
            if is_way and text not in LR_POWERS:
                kind = "way of an lr with the batch"
                hint = "Or write a number: --lr 1e-3:2e-3."
                raise UnknownNameError.among(kind, text, LR_POWERS, hint)
            # Both are read with what stands before the colon.
            known[field] = text if is_times or is_way else fact.read(name, text)
        return facts_after(self._read(0), known, named=option_of) if side else known

    def _side(self, side: int) -> Run:
        return Run(**as_fields(self.known(side)))


def _part(name: str, text: str, side: int) -> str:
    sides = text.split(":")
    if len(sides) > 2 or not all(part.strip() for part in sides):  # noqa: PLR2004
        raise RangeError(name, repr(text), "one value, or before:after", _CHANGE)
    return sides[side].strip()
