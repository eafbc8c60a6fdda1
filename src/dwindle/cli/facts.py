"""The fact options: a table, the Runs that they say, and ``before:after``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dwindle.cli.options import Option, read_number, read_share, read_text, read_whole
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UsageError

GROUP = "Facts of the run; a change of scale is written before:after"
REMEDY = "A change of scale is written before:after, as in --lr 3e-4:8e-4."


def _read_sizes(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(read_whole(option, size) for size in text.split(","))
    except RangeError:
        remedy = f"Write {option} 784,256,256,10: inputs, hidden layers, outputs."
        must = "whole numbers with commas between them"
        raise RangeError(option, repr(text), must, remedy) from None


@dataclass(frozen=True)
class Fact:
    """One fact: the field of Run (or of its schedule) that an option says."""

    field: str
    name: str
    metavar: str
    help: str
    read: Callable[[str, str], object]

    @property
    def option(self) -> Option:
        """The option whose text holds the fact, once or before and after."""
        return Option(self.name, self.help, self.metavar, group=GROUP)


FACTS = (
    Fact("lr", "--lr", "LR", "learning rate at its peak", read_number),
    Fact("momentum", "--momentum", "SHARE", "momentum of SGD", read_share),
    Fact("dampening", "--dampening", "SHARE", "its dampening", read_share),
    Fact("batch_size", "--batch-size", "N", "examples in a step", read_whole),
    Fact("dataset_size", "--dataset-size", "N", "examples in an epoch", read_whole),
    Fact("epochs", "--epochs", "N", "length of the run in epochs", read_number),
    Fact("steps", "--steps", "N", "length in steps, instead of epochs", read_whole),
    Fact("shape", "--schedule", "NAME", "constant, linear, cosine, wsd", read_text),
    Fact("warmup", "--warmup", "SHARE", "share of steps that the lr rises", read_share),
    Fact("final", "--final-lr", "SHARE", "last lr as a share of the peak", read_share),
    Fact(
        "decay_share",
        "--decay-share",
        "SHARE",
        "share of steps in which wsd falls",
        read_share,
    ),
    Fact(
        "tokens_per_example",
        "--tokens-per-example",
        "N",
        "tokens in an example: the sequence length",
        read_number,
    ),
    Fact("width", "--width", "N", "units of a hidden layer", read_whole),
    Fact("depth", "--depth", "N", "hidden layers", read_whole),
    Fact("parameters", "--parameters", "N", "weights of the network", read_whole),
    Fact("units", "--units", "N,N,..", "all layers: 784,256,256,10", _read_sizes),
    Fact(
        "dtype", "--dtype", "NAME", "float32, bfloat16: what holds weights", read_text
    ),
)
SCHEDULE_FIELDS = tuple(Schedule.__dataclass_fields__)
NESTEROV = Option("--nesterov", "Nesterov's momentum", group=GROUP)
FACT_OPTIONS = (*(fact.option for fact in FACTS), NESTEROV)


@dataclass(frozen=True)
class WrittenFacts:
    """What was typed, fact by fact; each may be one value or ``before:after``."""

    texts: Mapping[str, str]
    nesterov: bool

    @classmethod
    def from_words(cls, words: Mapping[str, Any]) -> "WrittenFacts":  # None or str
        """Gather the facts among the keyword arguments of a command."""
        given = {fact.field: words[fact.option.argument] for fact in FACTS}
        texts = {field: text for field, text in given.items() if text is not None}
        return cls(texts, bool(words[NESTEROV.argument]))

    @property
    def is_change(self) -> bool:
        """Whether any fact was written ``before:after``."""
        return any(":" in text for text in self.texts.values())

    def run(self, needed_for: str) -> Run:
        """Return the one run that the facts describe.

        Raises:
            UsageError: If a fact was written ``before:after``.
            RangeError: If a fact cannot be read, or is impossible.

        """
        for fact in FACTS:
            if ":" in self.texts.get(fact.field, ""):
                must = f"{needed_for} must be given one run, without before:after."
                got = f"{fact.name} {self.texts[fact.field]}"
                remedy = "Write one value; dwindle rescale tells what a change does."
                raise UsageError(must, got, remedy)
        return self._side(0)

    def runs(self) -> tuple[Run, Run]:
        """Return the run before and the run after; equal where nothing changed.

        Raises:
            RangeError: If a fact cannot be read, or is impossible.

        """
        return self._side(0), self._side(-1)

    def known(self, side: int) -> dict[str, Any]:  # the fields of Run have many types
        """Return what was typed, field by field: before (0), or after a change (-1).

        Raises:
            RangeError: If a fact cannot be read.

        """
        known = {
            fact.field: fact.read(fact.name, _part(fact.name, text, side))
            for fact in FACTS
            if (text := self.texts.get(fact.field)) is not None
        }
        return known | ({"nesterov": True} if self.nesterov else {})

    def _side(self, side: int) -> Run:
        known = self.known(side)
        shape = {name: known.pop(name) for name in SCHEDULE_FIELDS if name in known}
        return Run(schedule=Schedule(**shape), **known)


def _part(name: str, text: str, side: int) -> str:
    sides = text.split(":")
    if len(sides) > 2 or not all(part.strip() for part in sides):  # noqa: PLR2004
        raise RangeError(name, repr(text), "one value, or before:after", REMEDY)
    return sides[side].strip()
