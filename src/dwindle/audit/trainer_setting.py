"""The decay that a trainer's settings file sets, and the run around it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dwindle.audit.findings import Finding, Unchecked
from dwindle.audit.lines import Line
from dwindle.audit.settings_file import (
    flattened,
    line_for,
    number_in,
    read_settings,
)
from dwindle.audit.trainer_names import (
    arguments_in,
    file_not_read,
    misspelt_keys,
    unknown_keys,
    unread_keys,
)
from dwindle.audit.trainer_rules import (
    RULES,
    SCHEDULES,
    TRAINER_SCHEDULES,
    Reading,
    ScheduleFacts,
    options_in,
)
from dwindle.audit.trainers import TRANSFORMERS, Flat, Trainer, trainer_of
from dwindle.decay.families import has_momentum
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import dtype_named
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, RangeError, UnknownNameError

Given = Mapping[str, Any]  # facts of the command line: fields of Run and of Schedule

_SCHEDULE_FIELDS = tuple(Schedule.__dataclass_fields__)
# Usual values, for the line that an error shows.
_EXAMPLES = {
    "weight_decay": 0.1,
    "learning_rate": 0.0003,
    "optim": "adamw_torch",
    "optim_args": "momentum=0.9",
    "lr_scheduler_type": "cosine",
}
_LONGEST = 60  # characters of a wrong value in an error
_WHOLE = "a whole number"


@dataclass(frozen=True, kw_only=True)
class TrainingSetting:
    """The decay of one settings file, and the run around it.

    Args:
        path: The file.
        optim: Name of the optimizer there.
        knob: The knob that it is for dwindle; None where none is known.
        weight_decay: The number that the optimizer gets.
        is_typed: Whether the file has it at all.
        run: What file and command line give of the run.
        facts: The same as texts, by name.
        findings: What was found while reading.
        unchecked: What the file does not have.
        trainer: Whose file it is.
        decay_key: The key that the decay stands at.
        decay_factor: What the trainer multiplies the number there by.

    """

    path: str
    optim: str
    knob: str | None
    weight_decay: float
    is_typed: bool
    run: Run
    facts: Mapping[str, str]
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]
    trainer: str = TRANSFORMERS.name
    decay_key: str = "weight_decay"
    decay_factor: float = 1.0

    @property
    def is_of_transformers(self) -> bool:
        """Whether the file is one of TrainingArguments."""
        return self.trainer == TRANSFORMERS.name


class _Values:
    """The values of a file by fact; owns the findings on texts that should be numbers.

    TrainingArguments have types: what is of another is refused, and a number that is a
    text is a finding, for the Trainer fails on it later. Other trainers write "auto"
    for numbers that they choose, and read texts: what is no number is not known.
    """

    def __init__(self, path: str, trainer: Trainer, flat: Flat) -> None:
        self.path, self.trainer, self.flat = path, trainer, flat
        self.has_types = trainer is TRANSFORMERS
        self._texts: dict[str, Finding] = {}

    @property
    def texts(self) -> tuple[Finding, ...]:
        """Numbers that came as text, in the order in which they were read."""
        return tuple(self._texts.values())

    def number(self, fact: str) -> float | None:
        """Return a finite number, or the trainer's default.

        Raises:
            AuditTargetError: If a typed file has anything else.

        """
        key, value = self.trainer.found(fact, self.flat)
        if value is None:
            return number_in(self.trainer.defaults.get(fact))
        number = number_in(value)
        if self.has_types and number is None:
            raise self._wrong(key, "a finite number", value)
        if self.has_types and isinstance(value, str):
            self._texts[key] = Finding(
                code="DW020",
                case="file",
                where=f"{self.path}: {key}",
                values={"text": repr(value), "number": number},
                paste=Line(text=line_for(self.path, key, number)),
            )
        return number

    def whole(self, fact: str) -> int | None:
        """Return a whole number; of an untyped file, None for what cannot count.

        Raises:
            AuditTargetError: If a typed file has anything else.

        """
        number = self.number(fact)
        if self.has_types and number is not None and not number.is_integer():
            raise self._wrong(self.trainer.found(fact, self.flat)[0], _WHOLE, number)
        # 0 and -1 mean elsewhere: as many as fit, or no limit.
        is_count = number is not None and (number >= 1 or self.has_types)
        return int(number) if is_count else None  # type: ignore[arg-type]  # a number

    def text(self, fact: str) -> str:
        """Return a text, the trainer's default, or an empty one.

        Raises:
            AuditTargetError: If a typed file has anything else.

        """
        key, value = self.trainer.found(fact, self.flat)
        if value is None or (not self.has_types and (not value or _is_table(value))):
            return str(self.trainer.defaults.get(fact, ""))
        if self.has_types and not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return str(value)

    def name(self, fact: str, known: Mapping[str, object]) -> str:
        """Return a name; a typed file may have those of a table only.

        Raises:
            UnknownNameError: If it has another; the nearest are offered.

        """
        name = self.text(fact)
        if self.has_types and name not in known:
            raise UnknownNameError.among(self.trainer.keys[fact][0], name, known)
        return name

    def marked(self, text: str, fact: str, *, is_given: bool) -> str:
        """Return a text, marked where neither file nor command line gave the fact."""
        is_typed = self.trainer.found(fact, self.flat)[1] is not None
        is_default = fact in self.trainer.defaults and not is_typed and not is_given
        return f"{text} (default)" if is_default else text

    def _wrong(self, key: str, must: str, value: object) -> AuditTargetError:
        shown = repr(value) if isinstance(value, str) else str(value)
        got = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
        line = line_for(self.path, key, _EXAMPLES.get(key, 1))
        remedy = f"Write {line}, for example."
        return AuditTargetError(self.path, f"have {must} as {key}", got, remedy)


def read_setting_of(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> TrainingSetting:
    """Read the decay, and all that bears on it, from a settings file of any trainer.

    Args:
        path: JSON, YAML or TOML; TrainingArguments may stand under a name such as
            ``training_arguments``.
        given: Facts that the file lacks or that count instead: fields of
            :class:`~dwindle.decay.run.Run`, and ``shape``, ``warmup`` and ``final`` of
            its schedule.
        world_size: Devices that train together.

    Raises:
        AuditTargetError: If the file cannot be read, is that of a trainer whose files
            are not read, lacks lr or decay, or has a value of a wrong type.
        UnknownNameError: If the Trainer has no such optimizer or schedule.
        RangeError: If a fact is impossible.

    """
    settings, known = read_settings(path), dict(given or {})
    trainer = trainer_of(flattened(settings))
    if trainer is None:
        trainer, settings = TRANSFORMERS, arguments_in(path, settings)
    if trainer.why_not:
        raise file_not_read(path, trainer.name, trainer.why_not)
    values = _Values(path, trainer, flattened(settings))
    reading = _read(values, devices=world_size)
    run, is_followed = _run(values, reading, known)
    findings: tuple[Finding, ...] = ()
    if trainer is TRANSFORMERS:
        misspelt, unused = misspelt_keys(path, settings), _unused(path, reading)
        findings = (*misspelt, *values.texts, *unused)
        unread = unknown_keys(settings)
    else:
        leaves = (name for name, at in values.flat.items() if not _is_table(at))
        unread = unread_keys(leaves, trainer.all_keys)
    return TrainingSetting(
        path=path,
        optim=reading.optimizer,
        knob=reading.knob,
        weight_decay=(reading.decay or 0.0) * reading.decay_factor,
        is_typed=trainer.found("decay", values.flat)[1] is not None,
        run=run,
        facts=_in_words(values, reading, run, known, devices=world_size),
        findings=findings,
        unchecked=(*_unknown(values, reading, known, is_followed=is_followed), *unread),
        trainer=trainer.name,
        decay_key=reading.decay_key,
        decay_factor=reading.decay_factor,
    )


def _unknown(
    values: _Values, reading: Reading, given: Given, *, is_followed: bool
) -> Iterator[str]:
    """Yield sentences on what neither the file nor the command line has."""
    yield from reading.unchecked
    if not is_followed:
        why = "the file names no schedule"
        if reading.schedule:
            why = f"{reading.schedule} with its options is not followed here"
        nearest = "give the nearest as shape (--schedule)"
        text = f"DW010 was not checked: {why}; {nearest}."
        yield Unchecked(text, "DW010")
    if reading.knob is None and reading.optimizer not in values.trainer.unused:
        yield f"What a decay does in {reading.optimizer} is not known here."
    if "dtype" not in reading.facts and "dtype" not in given:
        loads = "transformers 5 loads a checkpoint in its own dtype: "
        why = loads if values.has_types else ""
        text = f"Weights are taken to be float32: {why}give dtype (--dtype)."
        yield Unchecked(text, "DW009", "DW023")


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _read(values: _Values, *, devices: int) -> Reading:
    """Return the numbers that the optimizer of a trainer gets.

    Raises:
        AuditTargetError: If lr or decay are not known.

    """
    trainer, flat = values.trainer, values.flat
    optimizer = values.name("optimizer", trainer.knobs)
    knob = trainer.knob_of(optimizer)
    decay, lr = values.number("decay"), values.number("lr")
    facts = {
        **_adam_or_sgd(values, knob),
        "batch_size": _examples_per_step(values, devices),
        "dtype": _dtype(values),
    }
    # -1 is no length: max_steps of the Trainer, max_epochs of Lightning.
    length = {"steps": values.whole("steps") or 0, "epochs": values.number("epochs")}
    least = {"steps": 0, "epochs": -math.inf if values.has_types else 0}
    options = values.trainer.found("options", flat)[1]
    reading = Reading(
        optimizer=optimizer,
        knob=knob,
        options=options_in(values.text("options") if values.has_types else options),
        lr=lr,
        lr_key=trainer.found("lr", flat)[0],
        decay=decay,
        decay_key=trainer.found("decay", flat)[0].rpartition(".")[2],
        facts={name: value for name, value in facts.items() if value is not None},
        length={
            unit: count
            for unit, count in length.items()
            if count is not None and count > least[unit]
        },
        schedule=values.name("schedule", TRAINER_SCHEDULES),
        warmup={
            unit: count
            for unit in ("steps", "epochs", "share")
            if (count := values.number(f"warmup_{unit}")) is not None
        },
        final=values.number("final_share"),
        final_lr=values.number("final_lr"),
    )
    if trainer.name in RULES:
        reading = RULES[trainer.name](reading, flat)
    # A decay that is there and is no number must not become the default.
    is_there = "weight_decay" in reading.options or trainer.found("decay", flat)[1]
    if trainer.own_decay and reading.knob and is_there is None:
        reading = replace(reading, decay=KNOBS[reading.knob].default)
    if reading.why_not:
        raise file_not_read(values.path, trainer.name, reading.why_not)
    decay_key = trainer.found("decay", flat)[0]
    for key, value in ((reading.lr_key, reading.lr), (decay_key, reading.decay)):
        if value is None:
            got = f"{flat[key]!r}" if key in flat else "none"
            why = f"It must have {key} as a number. Got {got}."
            raise file_not_read(values.path, trainer.name, why)
    return reading


def _examples_per_step(values: _Values, devices: int) -> int | None:
    # What a file has for the whole step counts before what has to be multiplied.
    whole = values.whole("batch")
    if whole:
        return whole
    here, accumulated = values.whole("per_device"), values.whole("accumulated")
    if here is None:
        return None
    if devices == 1:  # not given: as many as the file has
        devices = values.whole("devices") or 1
    return here * (1 if accumulated is None else accumulated) * devices


def _adam_or_sgd(values: _Values, knob: str | None) -> dict[str, Any]:
    """Return momentum for the knob that has it, and betas for the others."""
    if knob and has_momentum(KNOBS[knob]):
        momentum = values.number("momentum")
        if not momentum:
            # Without a number counts the library's own default, which the audit names.
            return {"momentum": momentum}
        nesterov = values.trainer.defaults.get("nesterov")
        return {"momentum": momentum, "nesterov": nesterov}
    both = values.trainer.found("betas", values.flat)[1]
    pair = [values.number("beta1"), values.number("beta2")]
    betas = tuple(map(number_in, both)) if isinstance(both, list) else tuple(pair)
    is_pair = len(betas) == len(pair) and None not in betas
    return {"betas": betas} if is_pair else {}


def _dtype(values: _Values) -> str | None:
    """Return the dtype that the weights are kept in, where the file has it."""
    keys, flat = values.trainer.keys, values.flat
    for dtype in ("bfloat16", "float16"):
        if any(flat.get(key) is True for key in keys.get(dtype, ())):
            return dtype
    written = [flat.get(key) for key in keys.get("dtype", ())]
    for key in keys.get("precision", ()):
        # Lightning's bf16 and 16 keep float32 weights; only "-true" does not.
        base, dash, kind = str(flat.get(key)).rpartition("-")
        written += [base] if dash and kind == "true" else []
    for name in filter(None, written):
        try:
            return dtype_named(str(name))
        except UnknownNameError:  # "auto"
            continue
    return None


def _run(values: _Values, reading: Reading, given: Given) -> tuple[Run, bool]:
    """Return the run, and whether its schedule is followed."""
    shape = {name: given[name] for name in _SCHEDULE_FIELDS if name in given}
    others = {name: given[name] for name in given if name not in shape}
    facts = {"lr": reading.lr, **reading.facts, **others}
    if "epochs" not in given and "steps" not in given:
        unit = "steps" if "steps" in reading.length else "epochs"
        facts[unit] = reading.length.get(unit)
    run = moving(Run(**facts))
    lr, steps = run.require("lr", "The lr schedule"), run.quantities().get("steps")
    kwargs = values.flat.get("lr_scheduler_kwargs")
    # A share of the peak where the file has one, else an lr, which does not scale.
    final = reading.final
    if final is None:
        final = (reading.final_lr or 0.0) / lr
    bearing = ScheduleFacts(
        warmup=_warmup(reading, run),
        lr=lr,
        steps=None if steps is None else round(steps),
        final=final,
        options=kwargs if isinstance(kwargs, Mapping) else {},
    )
    rules = TRAINER_SCHEDULES if values.has_types else SCHEDULES
    rule = rules.get(reading.schedule.casefold())
    followed = rule(bearing) if rule else None
    if followed is None and not shape:
        # Without a length no sum over the run is formed.
        return replace(run, epochs=None, steps=None), False
    followed = replace(followed or Schedule(), **shape)
    return replace(run, schedule=followed), True


def _warmup(reading: Reading, run: Run) -> float:
    """Return the share of the steps in which the lr rises; a count below 1 is one."""
    quantities = run.quantities()
    steps = quantities.get("steps")
    # A warm-up that is longer than the run is all of it but the last step.
    most = 1 - 1 / steps if steps else 0.999
    for unit in ("steps", "epochs"):
        count = reading.warmup.get(unit, 0.0)
        length = quantities.get(unit, reading.length.get(unit))
        # transformers 5 has taken warmup_ratio into warmup_steps.
        if unit == "steps" and 0 < count < 1:
            return count
        if count:
            return min(count / length, most) if length else 0.0
    return reading.warmup.get("share", 0.0)


def _unused(path: str, reading: Reading) -> Iterator[Finding]:
    """Yield the weight decays that the Trainer never hands on."""
    decay = reading.decay or 0.0
    if decay and reading.optimizer in TRANSFORMERS.unused:
        yield Finding(
            code="DW027",
            case="trainer",
            where=f"{path}: weight_decay",
            values={"value": decay, "optimizer": reading.optimizer},
            paste=Line(
                text=line_for(path, "optim", TRANSFORMERS.defaults["optimizer"])
            ),
        )
    if "weight_decay" in reading.options:
        text = reading.options["weight_decay"]
        yield Finding(
            code="DW027",
            case="optim-args",
            where=f"{path}: optim_args",
            values={"text": text, "value": decay},
        )


def moving(run: Run) -> Run:
    """Return a run in which something moves.

    Raises:
        RangeError: If its lr is 0.

    """
    if run.lr == 0:
        remedy = "Write the lr at its peak; at 0 no weight moves and nothing decays."
        raise RangeError("lr", run.lr, "above 0 for an audit of its decay", remedy)
    return run


def _in_words(
    values: _Values, reading: Reading, run: Run, given: Given, *, devices: int
) -> dict[str, str]:
    """Return the facts of a run by name; what nobody wrote is marked as a default."""
    name, shape = reading.schedule, run.schedule.shape
    schedule = values.marked(name, "schedule", is_given="shape" in given)
    if name.casefold() != shape:
        schedule = f"{schedule} (as {shape})" if name else shape
    facts = {
        "settings of": "" if values.has_types else values.trainer.name,
        "lr": values.marked(f"{run.lr:g}", "lr", is_given="lr" in given),
        "batch": _batch_in_words(values, run, given, devices),
        "epochs": values.marked(f"{run.epochs:g}", "epochs", is_given="epochs" in given)
        if run.epochs
        else "",
        "steps": f"{run.steps:,}" if run.steps and not run.epochs else "",
        "examples": f"{run.dataset_size:,}" if run.dataset_size else "",
        "schedule": schedule if name or shape != "constant" else "",
        "warm-up": f"{100 * run.schedule.warmup:.3g}%" if run.schedule.warmup else "",
    }
    if reading.decay_factor != 1:
        factor = f"{reading.decay:g} × {reading.decay_factor:g}"
        facts["decay"] = f"{factor}, as {values.trainer.name} does"
    return {fact: text for fact, text in facts.items() if text}


def _batch_in_words(values: _Values, run: Run, given: Given, devices: int) -> str:
    text, is_given = str(run.batch_size or ""), "batch_size" in given
    several = {
        "accumulated": values.whole("accumulated") or 1,
        "devices": devices if devices > 1 else values.whole("devices") or 1,
    }
    if not text or is_given or max(several.values()) == 1 or values.whole("batch"):
        return values.marked(text, "per_device", is_given=is_given or not text)
    here = values.marked("per device", "per_device", is_given=False)
    counts = {here: values.whole("per_device") or 1, **several}
    product = (f"{count} {part}" for part, count in counts.items() if count > 1)
    return f"{text} ({' × '.join(product)})"
