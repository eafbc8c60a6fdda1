"""What a person types: KNOB=VALUE, the facts of a run, and ``before:after``."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dwindle.cli.options import Option, read_number, read_share, read_text, read_whole
from dwindle.decay import read_numbers
from dwindle.decay.knobs import knobs
from dwindle.decay.read_numbers import numbers_of, read_times, whole_of
from dwindle.decay.run import Run
from dwindle.decay.run_facts import option_of
from dwindle.decay.shapes import SHAPES
from dwindle.decay.typed_facts import (
    LR_POWERS,
    as_fields,
    lr_with_batch,
    scaled,
    times_of,
    without_tokens,
)
from dwindle.errors import DwindleError, RangeError, UnknownNameError, UsageError

SETTING = Option(
    "KNOB=VALUE",
    'what is typed where: torch.optim.AdamW=0.1, half-life="3 epochs"',
    required=True,
    also=("--wd", "--weight-decay", "--decay", "--l2", "--knob"),
)
GROUP = "Facts of the run; a change of scale is written before:after"
OF_SCHEDULES = "Schedules: what some of them read besides"
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
        if lr is None:
            got = f"{text!r} in row {number:,} of {path}"
            raise RangeError(option, got, "an lr in every row", remedy)
        lrs.append(lr)
    if not lrs:
        raise RangeError(option, f"{path}, which has no lrs", must, remedy)
    return tuple(lrs)


def _fact(
    field: str,
    metavar: str,
    read: Callable[[str, str], object],
    text: str,
    also: str = "",
) -> Option:
    """Return the option for a field of Run, or of its schedule."""
    name, names = option_of(field), tuple(also.split())
    return Option(name, text, metavar, read, group=GROUP, also=names, keyword=field)


_LR = "at its peak, 1e-3:linear or 1e-3:sqrt with the batch; or every step's: lrs.csv"
_LR_HEADS = {"lr", "learning-rate", "train/learning-rate", "train/lr"}
_TABLES = (".csv", ".tsv", ".txt")
_LR_NAMES = "--learning-rate --max-lr --peak-lr --eta"
_BATCH = "--batch --bs --batchsize --global-batch-size"
_DATA = "--dataset --data --examples --samples --train-size"
_STEPS = "--step --iterations --iters --max-steps --total-steps"
_SHAPES = ", ".join(name for name in SHAPES if name != "listed")
_SHAPE = (
    "--scheduler --lr-schedule --lr-scheduler --lr-scheduler-type --lr-decay-style "
    "--lr-wsd-decay-style"
)
_RISES = 'of the steps, while the lr rises; or "5 epochs"'
_WARMUP = (
    "--warmup-steps --warmup-epochs --warmup-ratio --warm-up --lr-warmup-iters "
    "--lr-warmup-fraction"
)
_FINAL = "last lr as a share of the peak"
_FALL = "share of steps in which wsd falls"
_RISE = "first lr of a warm-up, as a share of the peak"
_MILESTONES = 'where multistep falls: "30,60,80 epochs"'
_PERIOD = "of step, exponential, cosine-restarts, inverse-..."
_START = "first lr as a share of the peak"
_CYCLED = "momentum of one-cycle at its peak and its ends"
_DECAYS = 'the decay\'s own schedule: "cosine from 0.04 to 0.4", "linear to 0"'
_DECAY_NAMES = (
    "--weight-decay-schedule --weight-decay-end --weight-decay-incr-style "
    "--start-weight-decay --end-weight-decay"
)
_TOKENS = "tokens in an example: the sequence length"
_LENGTH = "--seq-len --sequence-length --block-size --context-length"
_BETAS = "--beta --beta1 --beta2 --adam-betas"
_EPOCHS = "--epoch --num-epochs --num-train-epochs"
_RMS = "RMS of a weight's gradient: √v̂ of Adam's state"
_DTYPE, _DTYPES = "--precision --torch-dtype", "float32, bfloat16: what holds weights"
_OF_RUN = (
    _fact("lr", "LR", _read_lr, _LR, _LR_NAMES),
    _fact("momentum", "SHARE", read_share, "momentum of SGD", "--mu"),
    _fact("dampening", "SHARE", read_share, "its dampening"),
    _fact("betas", "B,B", _read_pair, "of Adam's kind: 0.9,0.95", _BETAS),
    _fact("batch_size", "N", read_whole, "examples in a step", _BATCH),
    _fact("dataset_size", "N", read_whole, "examples in an epoch", _DATA),
    _fact("epochs", "N", read_number, "length of the run in epochs", _EPOCHS),
    _fact("steps", "N", read_whole, "length in steps, instead of epochs", _STEPS),
    _fact("shape", "NAME", read_text, _SHAPES, _SHAPE),
    _fact("warmup", "SHARE", _read_time, _RISES, _WARMUP),
    _fact("final", "SHARE", read_share, _FINAL, "--min-lr --end-lr --lr-min"),
    _fact("decay_schedule", "TEXT", read_text, _DECAYS, _DECAY_NAMES),
    _fact("tokens_per_example", "N", read_number, _TOKENS, _LENGTH),
    _fact("batch_tokens", "N", read_whole, "tokens in a step"),
    _fact("tokens", "N", read_number, "length of the run in tokens"),
    _fact("gradient_rms", "G", read_number, _RMS),
    _fact("loss", "HOW", read_text, "mean or sum over the batch", "--reduction"),
    _fact("width", "N", read_whole, "units of a hidden layer"),
    _fact("depth", "N", read_whole, "hidden layers", "--layers"),
    _fact("parameters", "N", read_whole, "weights of the network"),
    _fact("units", "N,N,..", _read_sizes, "all layers: 784,256,256,10"),
    _fact("dtype", "NAME", read_text, _DTYPES, _DTYPE),
)
_OF_SHAPES = (
    _fact("decay_share", "SHARE", _read_time, _FALL, "--lr-wsd-decay-iters"),
    _fact("warmup_start", "SHARE", read_share, _RISE, "--warmup-lr --lr-warmup-init"),
    _fact("milestones", "TIMES", read_text, _MILESTONES),
    _fact(
        "gamma", "FACTOR", read_number, "what (multi)step and exponential multiply by"
    ),
    _fact("period", "TIME", _read_time, _PERIOD, "--step-size --t-0 --timescale"),
    _fact("growth", "FACTOR", read_number, "of cosine-restarts' periods", "--t-mult"),
    _fact("power", "N", read_number, "of polynomial, inverse-power"),
    _fact("start", "SHARE", read_share, _START, "--start-factor"),
    _fact("cycled_momentum", "M,M", _read_pair, _CYCLED),
)
FACTS = (
    *_OF_RUN,
    *(replace(each, group=OF_SCHEDULES) for each in _OF_SHAPES),
)
_WITH = Option("--nesterov", "Nesterov's momentum", group=GROUP)
_WITHOUT = Option("--no-nesterov", "plain momentum, where not default", group=GROUP)
# A fact arrives as text: it may be one value, or two.
FACT_OPTIONS = (*(replace(fact, read=read_text) for fact in FACTS), _WITH, _WITHOUT)


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
        """Return the one run that the facts describe."""
        for fact in FACTS:
            if ":" in self.texts.get(fact.argument, ""):
                must = f"{needed_for} must be given one run, without before:after."
                got = f"{fact.name} {self.texts[fact.argument]}"
                remedy = "Write one value; dwindle rescale says what a change does."
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
        parts = {
            fact.argument: _part(fact.name, self.texts[fact.argument], side)
            for fact in FACTS
            if fact.argument in self.texts
        }
        # --lr X:linear is a number before the change, and a rule for the one after it.
        power = None if side == 0 else _power_of_batch(parts.get("lr", ""))
        if power is not None:
            parts.pop("lr")
        known = {
            fact.argument: self._value(fact, parts[fact.argument], side)
            for fact in FACTS
            if fact.argument in parts
        }
        if power is not None:
            before = self._read(0)
            known["lr"] = lr_with_batch(before["lr"], power, before, known)
        return known

    def _value(self, fact: Option, text: str, side: int) -> object:
        """Read a fact; x8 behind a colon is eight times what stands before it."""
        factor = times_of(fact.name, text)
        if factor is None:
            return fact.read(fact.name, text)
        if side == 0:
            must = "a value: only what stands behind a colon may be times another"
            raise RangeError(fact.name, repr(text), must, f"Write {fact.name} 256:x8.")
        before = _part(fact.name, self.texts[fact.argument], 0)
        return scaled(fact.name, fact.read(fact.name, before), factor)

    def _side(self, side: int) -> Run:
        return Run(**as_fields(self.known(side)))


def _power_of_batch(lr: str) -> float | None:
    """Return the power of the batch that an lr goes with; None of a number or table."""
    if not lr.isalpha() or read_numbers.read_number(lr) is not None:
        return None
    if lr not in LR_POWERS:
        kind, hint = "way of an lr with the batch", "Or write a number: --lr 1e-3:2e-3."
        raise UnknownNameError.among(kind, lr, LR_POWERS, hint)
    return LR_POWERS[lr]


def _part(name: str, text: str, side: int) -> str:
    sides = text.split(":")
    if len(sides) > 2 or not all(part.strip() for part in sides):  # noqa: PLR2004
        raise RangeError(name, repr(text), "one value, or before:after", _CHANGE)
    return sides[side].strip()
