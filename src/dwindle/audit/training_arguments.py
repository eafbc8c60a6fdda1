"""TrainingArguments of Hugging Face, read from a file and turned into a setting."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dwindle.audit.file_values import FileValues, text_line_for
from dwindle.audit.findings import Finding
from dwindle.audit.other_trainers import flattened, trainer_of
from dwindle.audit.run_facts import facts_of_run, moving
from dwindle.audit.settings_file import Settings, read_settings
from dwindle.audit.trainer_facts import (
    BATCH,
    EPOCHS,
    LR,
    OPTIM,
    SCHEDULE,
    facts_in_words,
)
from dwindle.audit.trainer_names import (
    DTYPE_KEYS,
    foreign_keys,
    misspelt_keys,
    unknown_keys,
    unread_keys,
)
from dwindle.audit.trainer_optimizers import trainer_optimizer
from dwindle.audit.trainer_reading import dtype_written, read_with
from dwindle.audit.trainer_record import Reading
from dwindle.audit.trainer_schedules import Facts, schedule_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, RangeError

Given = Mapping[str, Any]  # facts of the command line: fields of Run and of Schedule

TRANSFORMERS = "transformers"
# A mapping that has one of these is taken for TrainingArguments.
_TELLING = frozenset(
    {
        "learning_rate",
        "weight_decay",
        "optim",
        "lr_scheduler_type",
        "num_train_epochs",
        "max_steps",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "warmup_steps",
        "warmup_ratio",
    }
)
# Names that other trainers do not have.
_ITS_OWN = frozenset(
    {
        "num_train_epochs",
        "per_device_train_batch_size",
        "lr_scheduler_type",
        "optim",
        "output_dir",
    }
)
_SCHEDULE_FIELDS = tuple(Schedule.__dataclass_fields__)
_SGD_OPTIONS = frozenset({"momentum", "dampening", "nesterov"})


@dataclass(frozen=True, kw_only=True)
class TrainingSetting:
    """The decay of one file of TrainingArguments, and the run around it.

    Args:
        path: The file.
        optim: Name of the optimizer there.
        knob: The knob that it is for dwindle; None where none is known.
        weight_decay: The number.
        is_typed: Whether the file says it at all.
        run: What file and command line tell of the run.
        facts: The same in words.
        findings: What was found while reading.
        unchecked: What the file cannot tell.
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
    trainer: str = TRANSFORMERS
    decay_key: str = "weight_decay"
    decay_factor: float = 1.0


def read_training_arguments(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> TrainingSetting:
    """Read the decay, and all that bears on it, from a file of TrainingArguments.

    Args:
        path: JSON or YAML, as ``to_json_string`` writes it or as people do; the
            arguments may stand under a name such as ``training_arguments``.
        given: Facts that the file lacks or that shall hold instead: fields of
            :class:`~dwindle.decay.run.Run`, and ``shape``, ``warmup`` and ``final`` of
            its schedule.
        world_size: Devices that train together.

    Returns:
        Knob, number, run, and what was found on the way.

    Raises:
        AuditTargetError: If the file cannot be read, or a value has a wrong type.
        UnknownNameError: If the Trainer has no such optimizer or schedule.
        RangeError: If a fact is impossible.

    """
    settings = _arguments_in(path, _unwrapped(read_settings(path)))
    values = FileValues(path, settings)
    known = {**_dtype_in(settings), **(given or {})}
    optim = values.text("optim", OPTIM)
    knob = trainer_optimizer(optim)
    decay = values.number("weight_decay", 0.0)
    run, unfollowed = _run(values, known, world_size)
    unused = _unused_decay(values, path, optim, decay)
    return TrainingSetting(
        path=path,
        optim=optim,
        knob=knob.knob,
        weight_decay=decay,
        is_typed=values.has("weight_decay"),
        run=run,
        facts=facts_in_words(values, run, given or {}, world_size),
        findings=(*misspelt_keys(path, settings), *values.findings, *unused),
        unchecked=(
            *unfollowed,
            *_silences(values, known, optim, knob.knob),
            *unknown_keys(settings),
        ),
    )


def read_setting_of(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> TrainingSetting:
    """Read the decay from a settings file of any trainer that dwindle knows.

    Args:
        path: JSON, YAML or TOML.
        given: See :func:`read_training_arguments`.
        world_size: Devices that train together.

    Raises:
        AuditTargetError: If the file cannot be read, is that of a trainer whose files
            are not read, or lacks lr or decay.
        UnknownNameError: If the Trainer has no such optimizer or schedule.
        RangeError: If a fact is impossible.

    """
    flat = flattened(_unwrapped(read_settings(path)))
    trainer = trainer_of(flat)
    if trainer is None:
        return read_training_arguments(path, given=given, world_size=world_size)
    if trainer.why_not:
        raise _not_read(path, trainer.name, trainer.why_not)
    reading = read_with(trainer, flat, devices=world_size)
    if reading.why_not:
        raise _not_read(path, trainer.name, reading.why_not)
    for key, value in ((reading.lr_key, reading.lr), (trainer.decay[0], reading.decay)):
        if value is None:
            got = f"{flat[key]!r}" if key in flat else "none"
            why = f"It must have {key} as a number. Got {got}."
            raise _not_read(path, trainer.name, why)
    return _setting_of(reading, flat, path, dict(given or {}))


def _not_read(path: str, trainer: str, why: str) -> AuditTargetError:
    must = "hold one setting of a trainer whose files are read"
    remedy = (
        "Write the numbers: dwindle explain KNOB=VALUE --lr LR --batch-size EXAMPLES."
    )
    got = f"a settings file of {trainer}. {why.removesuffix('.')}"
    return AuditTargetError(path, must, got, remedy)


def _setting_of(
    reading: Reading, flat: Mapping[str, Any], path: str, given: dict[str, Any]
) -> TrainingSetting:
    shape = {name: given.pop(name) for name in _SCHEDULE_FIELDS if name in given}
    run = moving(Run(**{"lr": reading.lr, **reading.facts, **given}))
    unchecked = list(reading.unchecked)
    if reading.schedule or shape:
        run = replace(run, schedule=replace(reading.schedule or Schedule(), **shape))
    else:
        name = reading.schedule_name or "the schedule, which the file does not name,"
        told = f"DW010 was not checked: {name} is not followed here; give --schedule."
        unchecked.append(told)
        # Without a schedule no sum over the run is formed.
        run = replace(run, epochs=None, steps=None)
    if reading.knob is None:
        unchecked.append(f"What a decay does in {reading.optimizer} is not known here.")
    if "dtype" not in reading.facts and "dtype" not in given:
        unchecked.append("Weights are taken to be float32: give dtype (--dtype).")
    factor = reading.decay_factor
    facts = facts_of_run(run)
    if factor != 1:
        facts["decay"] = f"{reading.decay:g} × {factor:g}, as {reading.trainer} does"
    return TrainingSetting(
        path=path,
        optim=reading.optimizer,
        knob=reading.knob,
        weight_decay=(reading.decay or 0.0) * factor,
        is_typed=True,
        run=run,
        facts={"settings of": reading.trainer, **facts},
        findings=(),
        unchecked=(*unchecked, *unread_keys(flat, reading.read)),
        trainer=reading.trainer,
        decay_key=reading.decay_key,
        decay_factor=factor,
    )


def _unwrapped(settings: Settings) -> Settings:
    """Return what W&B wraps: its config.yaml has every value under ``value``."""
    if "wandb_version" not in settings and "_wandb" not in settings:
        return settings
    return {
        name: entry["value"]
        for name, entry in settings.items()
        if isinstance(entry, Mapping) and "value" in entry and not name.startswith("_")
    }


def _dtype_in(settings: Settings) -> dict[str, str]:
    """Return the dtype of the weights, where a file of those around the Trainer has it.

    ``bf16: true`` is none: it computes in bfloat16, beside weights in float32.
    """
    if settings.get("pure_bf16") is True:
        return {"dtype": "bfloat16"}
    for key in DTYPE_KEYS:
        found = dtype_written(settings.get(key))
        if found:
            return {"dtype": found}
    return {}


def _arguments_in(path: str, settings: Settings) -> Settings:
    """Return the mapping that holds the arguments: the file, or one thing in it."""
    if not _TELLING.isdisjoint(settings):
        return _checked(path, settings)
    inside = {
        name: value
        for name, value in settings.items()
        if isinstance(value, Mapping) and not _TELLING.isdisjoint(map(str, value))
    }
    if len(inside) == 1 and _is_for_the_trainer(inside):
        found = {str(key): value for key, value in inside.popitem()[1].items()}
        return _checked(path, found)
    must = "hold TrainingArguments, at its top or under one name"
    names = ", ".join(sorted(inside or settings)[:5]) or "nothing"
    got = f"several that could be: {names}" if inside else f"the names {names}"
    remedy = "It needs learning_rate, weight_decay or other names of TrainingArguments."
    raise AuditTargetError(path, must, got, remedy)


def _is_for_the_trainer(inside: Mapping[str, Mapping[Any, Any]]) -> bool:
    """Tell arguments from another trainer's table that shares a name with them."""
    ((name, table),) = inside.items()
    named = any(word in name.casefold() for word in ("train", "arg", "hyper"))
    return named or not _ITS_OWN.isdisjoint(map(str, table))


def _checked(path: str, settings: Settings) -> Settings:
    """Refuse the settings of some other trainer, which share a name or two."""
    foreign = foreign_keys(settings)
    if foreign and _ITS_OWN.isdisjoint(settings):
        why = f"TrainingArguments have no {', '.join(foreign[:5])}."
        raise _not_read(path, "a trainer that is not known here", why)
    return settings


def _run(
    values: FileValues, known: dict[str, Any], world_size: int
) -> tuple[Run, list[str]]:
    """Return the run, and the sentence on a schedule that cannot be followed."""
    schedule_given = {
        name: known.pop(name) for name in _SCHEDULE_FIELDS if name in known
    }
    lr = values.number("learning_rate", LR)
    facts: dict[str, Any] = {
        "lr": lr,
        "betas": (values.number("adam_beta1", 0.9), values.number("adam_beta2", 0.999)),
        "batch_size": _examples_per_step(values, world_size),
        **_length(values, known),
        **_sgd_options(values),
        **known,
    }
    name = values.text("lr_scheduler_type", SCHEDULE)
    run = moving(Run(**facts))
    followed = schedule_of(name, _schedule_facts(values, run))
    if followed is None and "shape" not in schedule_given:
        told = (
            f"DW010 was not checked: lr_scheduler_type {name} with its options is not "
            "followed here; give the nearest as shape (--schedule)."
        )
        # Without a length no sum over the run is formed.
        return replace(run, epochs=None, steps=None), [told]
    return replace(run, schedule=replace(followed or Schedule(), **schedule_given)), []


def _examples_per_step(values: FileValues, world_size: int) -> int:
    return (
        values.whole("per_device_train_batch_size", BATCH)
        * values.whole("gradient_accumulation_steps", 1)
        * world_size
    )


def _length(values: FileValues, known: Given) -> dict[str, float]:
    if "epochs" in known or "steps" in known:
        return {}
    steps = values.whole("max_steps", -1)
    if steps > 0:
        return {"steps": steps}
    return {"epochs": values.number("num_train_epochs", EPOCHS)}


def _sgd_options(values: FileValues) -> dict[str, Any]:
    """Return what ``optim_args`` tells SGD, the one whose momentum carries decay."""
    if values.text("optim", OPTIM) != "sgd":
        return {}
    words = _optim_args(values)
    told: dict[str, Any] = {
        name: _number_of(words[name], name)
        for name in ("momentum", "dampening")
        if name in words
    }
    if words.get("nesterov", "").lower() in {"true", "1", "yes"}:
        told["nesterov"] = True
    return told


def _number_of(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        remedy = f"Write optim_args: {name}=0.9, for example."
        raise RangeError(name, repr(text), "a number in optim_args", remedy) from None


def _optim_args(values: FileValues) -> dict[str, str]:
    text = values.text("optim_args", "").replace(" ", "")
    pairs = (word.partition("=") for word in text.split(",") if word)
    return {name: value for name, _, value in pairs}


def _schedule_facts(values: FileValues, run: Run) -> Facts:
    steps = run.quantities().get("steps")
    return Facts(
        warmup=_warmup(values, steps),
        lr=run.require("lr", "The lr schedule"),
        steps=None if steps is None else round(steps),
        options=values.mapping("lr_scheduler_kwargs"),
    )


def _warmup(values: FileValues, steps: float | None) -> float:
    """Return the share of the steps that the lr rises; a count below 1 is one."""
    count = values.number("warmup_steps", 0.0)
    if count < 1:
        return count or values.number("warmup_ratio", 0.0)
    return 0.0 if steps is None else min(count / steps, 1 - 1 / steps)


def _unused_decay(
    values: FileValues, path: str, optim: str, decay: float
) -> list[Finding]:
    found = []
    if decay and not trainer_optimizer(optim).uses_decay:
        found.append(
            Finding(
                code="DW027",
                where=f"{path}: weight_decay",
                evidence=f"weight_decay {decay:g} is typed, and the Trainer builds "
                f"the groups of {optim} without it.",
                remedy="Take an optimizer that gets it:",
                line=text_line_for(path, "optim", OPTIM),
            )
        )
    if "weight_decay" in _optim_args(values):
        text = _optim_args(values)["weight_decay"]
        found.append(
            Finding(
                code="DW027",
                where=f"{path}: optim_args",
                evidence=f"optim_args says weight_decay={text}, and the groups, with "
                f"{decay:g}, override it.",
                remedy="Say it as weight_decay of TrainingArguments.",
            )
        )
    return found


def _silences(
    values: FileValues, known: Given, optim: str, knob: str | None
) -> list[str]:
    """Return what no file of TrainingArguments can tell."""
    told = []
    if knob is None and trainer_optimizer(optim).uses_decay:
        told.append(f"What a decay does in {optim} is not known here.")
    if "dtype" not in known:
        told.append(
            "Weights are taken to be float32, as bf16 and fp16 leave them. "
            "transformers 5 loads a checkpoint in its own dtype: tell dtype (--dtype)."
        )
    if values.flag("auto_find_batch_size"):
        told.append("auto_find_batch_size may lower the batch size: half-lives move.")
    if values.has("deepspeed"):
        told.append("deepspeed may bring an optimizer of its own: it is not read.")
    others = set(_optim_args(values)) - _SGD_OPTIONS - {"weight_decay"}
    if others:
        told.append(f"optim_args is not read for {', '.join(sorted(others))}.")
    return told
