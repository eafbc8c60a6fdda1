"""What a person types: KNOB=VALUE, the facts of a run, and ``before:after``."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from dwindle.cli.options import Option, read_number, read_share, read_text, read_whole
from dwindle.decay import read_numbers
from dwindle.decay.knobs import knobs
from dwindle.decay.read_numbers import numbers_of, read_time, whole_of
from dwindle.decay.run import ONE_TOKEN, Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError, RangeError, UsageError

SETTING = Option(
    "KNOB=VALUE",
    'what is typed where: torch.optim.AdamW=0.1, half-life="3 epochs"',
    required=True,
    also=("--wd", "--weight-decay", "--decay", "--l2", "--knob"),
)
GROUP = "Facts of the run; a change of scale is written before:after"
_CHANGE = "A change of scale is written before:after, as in --lr 3e-4:8e-4."
_EXAMPLE = 'Write torch.optim.AdamW=0.1, or half-life="3 epochs".'


def split_setting(text: str) -> tuple[str, str]:
    """Return the knob and the text of its value.

    Raises:
        UsageError: If one of the two is missing.

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
        return f"Say where {word} is typed: {two}."
    try:
        name = knobs(word)[0].name
    except DwindleError:
        return _EXAMPLE
    return f"Write {name}=0.1, for example; dwindle knobs {name} says what it does."


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


def _fact(  # noqa: PLR0913, PLR0917 one row of the table below
    field: str,
    metavar: str,
    read: Callable[[str, str], object],
    text: str,
    also: str = "",
    name: str = "",
) -> Option:
    """Return the option for a field of Run, or of its schedule."""
    name, names = name or f"--{field.replace('_', '-')}", tuple(also.split())
    return Option(name, text, metavar, read, group=GROUP, also=names, keyword=field)


_LR = "learning rate at its peak; 1e-3:linear or 1e-3:sqrt goes with the batch"
_LR_NAMES = "--learning-rate --max-lr --peak-lr --eta"
_BATCH = "--batch --bs --batchsize --global-batch-size"
_DATA = "--dataset --data --examples --samples --train-size"
_STEPS = "--step --iterations --iters --max-steps --total-steps"
_SHAPES = "constant, linear, cosine, wsd"
_SHAPE = "--scheduler --lr-schedule --lr-scheduler --lr-scheduler-type"
_RISES = 'of the steps, while the lr rises; or "5 epochs"'
_WARMUP = "--warmup-steps --warmup-epochs --warmup-ratio --warm-up"
_FINAL = "last lr as a share of the peak"
_TOKENS = "tokens in an example: the sequence length"
_LENGTH = "--seq-len --sequence-length --block-size --context-length"
_BETAS = "--beta --beta1 --beta2 --adam-betas"
_EPOCHS = "--epoch --num-epochs --num-train-epochs"
_RMS = "RMS of a weight's gradient: √v̂ of Adam's state"
_DTYPE, _DTYPES = "--precision --torch-dtype", "float32, bfloat16: what holds weights"
FACTS = (
    _fact("lr", "LR", read_number, _LR, _LR_NAMES),
    _fact("momentum", "SHARE", read_share, "momentum of SGD", "--mu"),
    _fact("dampening", "SHARE", read_share, "its dampening"),
    _fact("betas", "B,B", _read_pair, "of Adam's kind: 0.9,0.95", _BETAS),
    _fact("batch_size", "N", read_whole, "examples in a step", _BATCH),
    _fact("dataset_size", "N", read_whole, "examples in an epoch", _DATA),
    _fact("epochs", "N", read_number, "length of the run in epochs", _EPOCHS),
    _fact("steps", "N", read_whole, "length in steps, instead of epochs", _STEPS),
    _fact("shape", "NAME", read_text, _SHAPES, _SHAPE, "--schedule"),
    _fact("warmup", "SHARE", _read_warmup, _RISES, _WARMUP),
    _fact(
        "final", "SHARE", read_share, _FINAL, "--min-lr --end-lr --lr-min", "--final-lr"
    ),
    _fact("decay_share", "SHARE", read_share, "share of steps in which wsd falls"),
    _fact("tokens_per_example", "N", read_number, _TOKENS, _LENGTH),
    _fact("batch_tokens", "N", read_whole, "tokens in a step"),
    _fact("tokens", "N", read_number, "length of the run in tokens"),
    _fact("gradient_rms", "G", read_number, _RMS),
    _fact("width", "N", read_whole, "units of a hidden layer"),
    _fact("depth", "N", read_whole, "hidden layers", "--layers"),
    _fact("parameters", "N", read_whole, "weights of the network"),
    _fact("units", "N,N,..", _read_sizes, "all layers: 784,256,256,10"),
    _fact("dtype", "NAME", read_text, _DTYPES, _DTYPE),
)
ALL_NOTES = Option(
    "--all", "every note, not the three that matter most", keyword="all_notes"
)
WHERE_ALL = "--all or --json has all of them"
_WITH = Option("--nesterov", "Nesterov's momentum", group=GROUP)
_WITHOUT = Option("--no-nesterov", "plain momentum, where not default", group=GROUP)
# A fact arrives as text: it may be one value, or two.
FACT_OPTIONS = (*(replace(fact, read=read_text) for fact in FACTS), _WITH, _WITHOUT)
# An lr that goes with the batch: --lr 1e-3:linear.
_LR_POWERS: Mapping[str, float] = MappingProxyType({"linear": 1.0, "sqrt": 0.5})


@dataclass(frozen=True)
class WrittenFacts:
    """What was typed, fact by fact; each may be one value or ``before:after``."""

    texts: Mapping[str, str]
    nesterov: bool | None

    @classmethod
    def from_words(cls, words: Mapping[str, Any]) -> "WrittenFacts":  # None or str
        """Gather the facts among the keyword arguments of a command."""
        given = {fact.argument: words[fact.argument] for fact in FACTS}
        texts = {field: text for field, text in given.items() if text is not None}
        with_it, without = words[_WITH.argument], words[_WITHOUT.argument]
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
        """Return the one run that the facts describe.

        Raises:
            UsageError: If a fact was written ``before:after``.
            RangeError: If a fact cannot be read, or is impossible.

        """
        for fact in FACTS:
            if ":" in self.texts.get(fact.argument, ""):
                must = f"{needed_for} must be given one run, without before:after."
                got = f"{fact.name} {self.texts[fact.argument]}"
                remedy = "Write one value; dwindle rescale says what a change does."
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
            fact.argument: _part(fact.name, self.texts[fact.argument], side)
            for fact in FACTS
            if fact.argument in self.texts
        }
        # --lr X:linear is a number before the change, and a rule for the one after it.
        power = None if side == 0 else _LR_POWERS.get(parts.get("lr", ""))
        if power is not None:
            parts.pop("lr")
        known = {
            fact.argument: fact.read(fact.name, parts[fact.argument])
            for fact in FACTS
            if fact.argument in parts
        }
        known = _with_tokens_as_examples(known)
        if power is not None:
            before = self.known(0)
            known["lr"] = before["lr"] * _batch_ratio(before, known) ** power
        return known if self.nesterov is None else known | {"nesterov": self.nesterov}

    def _side(self, side: int) -> Run:
        known = self.known(side)
        fields = Schedule.__dataclass_fields__
        shape = {name: known.pop(name) for name in fields if name in known}
        return Run(schedule=Schedule(**shape), **known) if shape else Run(**known)


def _part(name: str, text: str, side: int) -> str:
    sides = text.split(":")
    if len(sides) > 2 or not all(part.strip() for part in sides):  # noqa: PLR2004
        raise RangeError(name, repr(text), "one value, or before:after", _CHANGE)
    return sides[side].strip()


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
        # ONE_TOKEN marks that the examples are tokens: no half-life in examples then.
        known |= {"batch_size": in_step, "tokens_per_example": ONE_TOKEN}
    if tokens is None:
        return known
    _refuse_beside("--tokens", known, ("steps", "epochs"))
    if None in (known.get("batch_size"), known.get("tokens_per_example")):
        must = "--tokens must come with the tokens in a step."
        remedy = "Add --batch-tokens, or --batch-size with --tokens-per-example."
        raise UsageError(must, f"--tokens {tokens:g}", remedy)
    # A run has steps or epochs; tokens become steps here, once, and are rounded once.
    steps = tokens / (known["batch_size"] * known["tokens_per_example"])
    if not 1 <= steps < math.inf:
        raise RangeError("--tokens", tokens, "at least the tokens in a step")
    return known | {"steps": round(steps)}


def _refuse_beside(
    option: str, known: Mapping[str, Any], fields: Sequence[str]
) -> None:
    beside = [
        fact.name
        for fact in FACTS
        if fact.argument in fields and fact.argument in known
    ]
    if beside:
        must = f"{option} must stand without {' and '.join(beside)}, which it replaces."
        raise UsageError(must, f"{option} and {', '.join(beside)}", "Leave out one.")
