"""The fact options: a table, the Runs that they say, and ``before:after``."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dwindle.cli.options import Option, read_number, read_share, read_text, read_whole
from dwindle.decay.read_numbers import numbers_of, read_time, whole_of
from dwindle.decay.run import ONE_TOKEN, Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, UsageError

GROUP = "Facts of the run; a change of scale is written before:after"
REMEDY = "A change of scale is written before:after, as in --lr 3e-4:8e-4."


def _read_sizes(option: str, text: str) -> tuple[float, ...]:
    remedy = f"Write {option} 784,256,256,10: inputs, hidden layers, outputs."
    must = "whole numbers with commas between them"
    return numbers_of(option, text, whole_of, must=must, remedy=remedy)


def _read_pair(option: str, text: str) -> tuple[float, ...]:
    must, remedy = "two numbers with a comma between them", f"Write {option} 0.9,0.95."
    return numbers_of(option, text, must=must, remedy=remedy)


def _read_warmup(option: str, text: str) -> float | str:
    """Read a share; a count with its clock stays text until the run is known."""
    try:
        return read_share(option, text)
    except RangeError:
        read_time(option, text, f'Write {option} 5%, "500 steps" or "5 epochs".')
        return text


@dataclass(frozen=True)
class Fact:
    """One fact: the field of Run (or of its schedule) that an option says."""

    field: str
    name: str
    metavar: str
    help: str
    read: Callable[[str, str], object]
    also: tuple[str, ...] = ()

    @property
    def option(self) -> Option:
        """The option whose text holds the fact, once or before and after."""
        return Option(self.name, self.help, self.metavar, group=GROUP, also=self.also)


FACTS = (
    Fact(
        "lr",
        "--lr",
        "LR",
        "learning rate at its peak; 1e-3:linear or 1e-3:sqrt goes with the batch",
        read_number,
        ("--learning-rate", "--max-lr", "--peak-lr", "--eta"),
    ),
    Fact("momentum", "--momentum", "SHARE", "momentum of SGD", read_share, ("--mu",)),
    Fact("dampening", "--dampening", "SHARE", "its dampening", read_share),
    Fact(
        "betas",
        "--betas",
        "B,B",
        "of Adam's kind: 0.9,0.95",
        _read_pair,
        ("--beta", "--beta1", "--beta2", "--adam-betas"),
    ),
    Fact(
        "batch_size",
        "--batch-size",
        "N",
        "examples in a step",
        read_whole,
        ("--batch", "--bs", "--batchsize", "--global-batch-size"),
    ),
    Fact(
        "dataset_size",
        "--dataset-size",
        "N",
        "examples in an epoch",
        read_whole,
        ("--dataset", "--data", "--examples", "--samples", "--train-size"),
    ),
    Fact(
        "epochs",
        "--epochs",
        "N",
        "length of the run in epochs",
        read_number,
        ("--epoch", "--num-epochs", "--num-train-epochs"),
    ),
    Fact(
        "steps",
        "--steps",
        "N",
        "length in steps, instead of epochs",
        read_whole,
        ("--step", "--iterations", "--iters", "--max-steps", "--total-steps"),
    ),
    Fact(
        "shape",
        "--schedule",
        "NAME",
        "constant, linear, cosine, wsd",
        read_text,
        ("--scheduler", "--lr-schedule", "--lr-scheduler", "--lr-scheduler-type"),
    ),
    Fact(
        "warmup",
        "--warmup",
        "SHARE",
        'of the steps, while the lr rises; or "5 epochs"',
        _read_warmup,
        ("--warmup-steps", "--warmup-epochs", "--warmup-ratio", "--warm-up"),
    ),
    Fact(
        "final",
        "--final-lr",
        "SHARE",
        "last lr as a share of the peak",
        read_share,
        ("--min-lr", "--end-lr", "--lr-min"),
    ),
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
        ("--seq-len", "--sequence-length", "--block-size", "--context-length"),
    ),
    Fact("batch_tokens", "--batch-tokens", "N", "tokens in a step", read_whole),
    Fact("tokens", "--tokens", "N", "length of the run in tokens", read_number),
    Fact(
        "gradient_rms",
        "--gradient-rms",
        "G",
        "RMS of a weight's gradient: √v̂ of Adam's state",
        read_number,
    ),
    Fact("width", "--width", "N", "units of a hidden layer", read_whole),
    Fact("depth", "--depth", "N", "hidden layers", read_whole, ("--layers",)),
    Fact("parameters", "--parameters", "N", "weights of the network", read_whole),
    Fact("units", "--units", "N,N,..", "all layers: 784,256,256,10", _read_sizes),
    Fact(
        "dtype",
        "--dtype",
        "NAME",
        "float32, bfloat16: what holds weights",
        read_text,
        ("--precision", "--torch-dtype"),
    ),
)
# An lr that goes with the batch: --lr 1e-3:linear.
LR_POWERS: Mapping[str, float] = MappingProxyType({"linear": 1.0, "sqrt": 0.5})
SCHEDULE_FIELDS = tuple(Schedule.__dataclass_fields__)
NESTEROV = Option("--nesterov", "Nesterov's momentum", group=GROUP)
NO_NESTEROV = Option("--no-nesterov", "plain momentum, where not default", group=GROUP)
FACT_OPTIONS = (*(fact.option for fact in FACTS), NESTEROV, NO_NESTEROV)


@dataclass(frozen=True)
class WrittenFacts:
    """What was typed, fact by fact; each may be one value or ``before:after``."""

    texts: Mapping[str, str]
    nesterov: bool | None

    @classmethod
    def from_words(cls, words: Mapping[str, Any]) -> "WrittenFacts":  # None or str
        """Gather the facts among the keyword arguments of a command."""
        given = {fact.field: words[fact.option.argument] for fact in FACTS}
        texts = {field: text for field, text in given.items() if text is not None}
        with_it, without = words[NESTEROV.argument], words[NO_NESTEROV.argument]
        if with_it and without:
            must = "Momentum must be of one kind."
            got = f"{NESTEROV.name} and {NO_NESTEROV.name}"
            raise UsageError(must, got, "Leave one of them out.")
        return cls(texts, bool(with_it) if with_it or without else None)

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
        parts = {
            fact.field: _part(fact.name, text, side)
            for fact in FACTS
            if (text := self.texts.get(fact.field)) is not None
        }
        power = None if side == 0 else LR_POWERS.get(parts.get("lr", ""))
        if power is not None:
            parts.pop("lr")
        known = {
            fact.field: fact.read(fact.name, parts[fact.field])
            for fact in FACTS
            if fact.field in parts
        }
        known = _with_tokens_as_examples(known)
        if power is not None:
            before = self.known(0)
            known["lr"] = before["lr"] * _batch_ratio(before, known) ** power
        return known if self.nesterov is None else known | {"nesterov": self.nesterov}

    def _side(self, side: int) -> Run:
        known = self.known(side)
        shape = {name: known.pop(name) for name in SCHEDULE_FIELDS if name in known}
        return Run(schedule=Schedule(**shape), **known) if shape else Run(**known)


def _batch_ratio(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Return the growth of the batch that an lr goes with, in tokens where known."""
    sizes = [
        side["batch_size"] * side.get("tokens_per_example", 1.0)
        for side in (before, after)
        if "batch_size" in side
    ]
    if len(sizes) < 2:  # noqa: PLR2004
        must = "An lr that goes with the batch must come with the batch."
        remedy = "Add --batch-size 256:2048, or write the lr as a number."
        raise UsageError(must, "no --batch-size", remedy)
    return float(sizes[1] / sizes[0])


def _with_tokens_as_examples(known: dict[str, Any]) -> dict[str, Any]:
    """Read tokens as facts of a run: what is counted in tokens has examples of one.

    Raises:
        UsageError: If tokens are given without, or beside, what they stand for.

    """
    in_step, tokens = known.pop("batch_tokens", None), known.pop("tokens", None)
    if in_step is not None:
        _refuse_beside("--batch-tokens", known, ("batch_size", "tokens_per_example"))
        known |= {"batch_size": in_step, "tokens_per_example": ONE_TOKEN}
    if tokens is None:
        return known
    _refuse_beside("--tokens", known, ("steps", "epochs"))
    if None in (known.get("batch_size"), known.get("tokens_per_example")):
        must = "--tokens must come with the tokens in a step."
        remedy = "Add --batch-tokens, or --batch-size with --tokens-per-example."
        raise UsageError(must, f"--tokens {tokens:g}", remedy)
    steps = tokens / (known["batch_size"] * known["tokens_per_example"])
    if not 1 <= steps < math.inf:
        must = "at least the tokens in a step"
        raise RangeError("--tokens", tokens, must)
    return known | {"steps": round(steps)}


def _refuse_beside(
    option: str, known: Mapping[str, Any], fields: Sequence[str]
) -> None:
    beside = [
        fact.name for fact in FACTS if fact.field in fields and fact.field in known
    ]
    if beside:
        must = f"{option} must stand without {' and '.join(beside)}, which it replaces."
        raise UsageError(must, f"{option} and {', '.join(beside)}", "Leave out one.")


def _part(name: str, text: str, side: int) -> str:
    sides = text.split(":")
    if len(sides) > 2 or not all(part.strip() for part in sides):  # noqa: PLR2004
        raise RangeError(name, repr(text), "one value, or before:after", REMEDY)
    return sides[side].strip()
