"""The decay that a trainer's settings file sets, and the run around it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dwindle.audit.findings import Finding, Paste, Unchecked
from dwindle.audit.settings_file import (
    flattened,
    line_for,
    number_in,
    read_settings,
)
from dwindle.audit.trainer_courses import (
    OTHER_RISES,
    SCHEDULES,
    TRAINER_SCHEDULES,
    ScheduleFacts,
)
from dwindle.audit.trainer_rules import as_trained, options_in
from dwindle.audit.trainers import (
    DTYPE_KEYS,
    TRANSFORMERS,
    Reading,
    Trainer,
    Values,
    arguments_in,
    file_not_read,
    foreign_keys,
    misspelt_keys,
    trainer_of,
    unread_keys,
)
from dwindle.decay.families import has_momentum
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import dtype_named
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, RangeError, UnknownNameError

Given = Mapping[str, Any]  # facts of the command line: fields of Run and of Schedule

# Facts that are given may be of the run or of its schedule, under one name each.
_SCHEDULE_FIELDS = tuple(Schedule.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class TrainingSetting:
    """The decay of one settings file, and the run around it."""

    path: str
    trainer: Trainer
    reading: Reading
    is_typed: bool  # whether the file has a decay at all
    run: Run
    facts: Mapping[str, str]
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]

    @property
    def weight_decay(self) -> float:
        """The number that the optimizer gets."""
        return (self.reading.decay or 0.0) * self.reading.decay_factor


def read_setting_of(
    path: str, *, given: Given | None = None, world_size: int = 1
) -> TrainingSetting:
    """Read the decay, and all that bears on it, from a settings file of any trainer."""
    settings, known = read_settings(path), dict(given or {})
    trainer = trainer_of(flattened(settings))
    # TrainingArguments have no mark: a file of no other trainer is taken for theirs.
    if trainer is None:
        trainer, settings = TRANSFORMERS, arguments_in(path, settings)
    if trainer.why_not:
        raise file_not_read(path, trainer.name, trainer.why_not)
    values = Values(path, trainer, flattened(settings))
    reading = _read(values, devices=world_size)
    run, why_not = _run(values, reading, known)
    findings: tuple[Finding, ...] = ()
    if trainer is TRANSFORMERS:
        misspelt, unused = misspelt_keys(path, settings), _unused(path, reading)
        findings = (*misspelt, *values.texts, *unused)
        unread = unread_keys(foreign_keys(settings), DTYPE_KEYS)
    else:
        flat = values.flat.items()
        leaves = (name for name, at in flat if not isinstance(at, Mapping))
        unread = unread_keys(leaves, trainer.all_keys)
    return TrainingSetting(
        path=path,
        trainer=trainer,
        reading=reading,
        is_typed=trainer.found("decay", values.flat)[1] is not None,
        run=run,
        facts=_facts_shown(values, reading, run, known, devices=world_size),
        findings=findings,
        unchecked=(*_unknown(values, reading, known, why_not), *unread),
    )


def _unknown(
    values: Values, reading: Reading, given: Given, why_not: str
) -> Iterator[str]:
    """Yield sentences on what neither the file nor the command line has."""
    yield from reading.unchecked
    if why_not:
        nearest = "give the nearest as shape (--schedule)"
        text = f"DW010 was not checked: {why_not}; {nearest}."
        yield Unchecked(text, "DW010")
    if reading.knob is None and reading.optimizer not in values.trainer.unused:
        yield f"What a decay does in {reading.optimizer} is not known here."
    if "dtype" not in reading.facts and "dtype" not in given:
        loads = "transformers 5 loads a checkpoint in its own dtype: "
        why = loads if values.has_types else ""
        text = f"Weights are taken to be float32: {why}give dtype (--dtype)."
        yield Unchecked(text, "DW009", "DW023")


def _read(values: Values, *, devices: int) -> Reading:
    """Return the numbers that the optimizer of a trainer gets."""
    trainer, flat = values.trainer, values.flat
    optimizer = values.name("optimizer", trainer.knobs)
    knob = trainer.knob_of(optimizer)
    decay, lr = values.number("decay"), values.number("lr")
    factors = _factors_of_batch(values, devices)
    facts = {
        **_adam_or_sgd(values, knob),
        "batch_size": math.prod(factors.values()) if factors else None,
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
    )
    reading = as_trained(reading, trainer, flat)
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
        if value < 0:
            remedy = f"Write {line_for(values.path, key, abs(value))}, if it is that."
            must = f"have a number of at least 0 as {key}"
            raise AuditTargetError(values.path, must, f"{value:g}", remedy)
    return reading


def _factors_of_batch(values: Values, devices: int) -> dict[str, int]:
    """Return the factors of the examples of a step; empty where they are not known."""
    # A batch for the whole step takes precedence over its factors.
    whole, here = values.whole("batch"), values.whole("per_device")
    if whole or here is None:
        return {"batch": whole} if whole else {}
    accumulated = values.whole("accumulated")
    if devices == 1:  # not given: as many as the file has
        devices = values.whole("devices") or 1
    return {
        "per device": here,
        "accumulated": 1 if accumulated is None else accumulated,
        "devices": devices,
    }


def _adam_or_sgd(values: Values, knob: str | None) -> dict[str, Any]:
    """Return momentum for the knob that has it, and betas for the others."""
    if knob and has_momentum(KNOBS[knob]):
        momentum = values.number("momentum")
        if not momentum:
            # Without a number the library's default counts, which the audit names.
            return {"momentum": momentum}
        nesterov = values.trainer.defaults.get("nesterov")
        return {"momentum": momentum, "nesterov": nesterov}
    both = values.trainer.found("betas", values.flat)[1]
    pair = [values.number("beta1"), values.number("beta2")]
    betas = tuple(map(number_in, both)) if isinstance(both, list) else tuple(pair)
    is_pair = len(betas) == len(pair) and None not in betas
    return {"betas": betas} if is_pair else {}


def _dtype(values: Values) -> str | None:
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


def _run(values: Values, reading: Reading, given: Given) -> tuple[Run, str]:
    """Return the run, and why its schedule is not followed if it is not."""
    shape = {name: given[name] for name in _SCHEDULE_FIELDS if name in given}
    others = {name: given[name] for name in given if name not in shape}
    facts = {"lr": reading.lr, **reading.facts, **others}
    if "epochs" not in given and "steps" not in given:
        unit = "steps" if "steps" in reading.length else "epochs"
        facts[unit] = reading.length.get(unit)
    run = Run(**facts)
    if run.lr == 0:
        remedy = "Write the lr at its peak; at 0 no weight moves and nothing decays."
        raise RangeError("lr", run.lr, "above 0 for an audit of its decay", remedy)
    followed = _followed(values, reading, run, shape)
    if isinstance(followed, str) and not shape:
        # Without a length no sum over the run is formed.
        return replace(run, epochs=None, steps=None), followed
    if isinstance(followed, str):
        followed = Schedule()
    if "shape" in shape:  # options of the shape of the file do not carry over
        names = ("warmup", "warmup_start", "final")
        followed = Schedule(**{name: getattr(followed, name) for name in names})
    followed = replace(followed, **shape)
    if followed.lrs:  # the run may never reach the lr of the file
        run = replace(run, lr=max(followed.lrs))
    if followed.peak:
        run = replace(run, lr=followed.peak)
    return replace(run, schedule=followed), ""


def _followed(
    values: Values, reading: Reading, run: Run, given: Given
) -> Schedule | str:
    """Return the schedule of the file in a run, or why it is not followed."""
    course = reading.course(run) if reading.course else None
    if isinstance(course, Schedule):
        return course
    why_not = "the file names no schedule"
    if reading.schedule:
        why_not = (
            f"{reading.schedule} with {course or 'its options'} is not followed here"
        )
    if course is not None:
        return why_not
    lr, steps = run.require("lr", "The lr schedule"), run.quantities().get("steps")
    kwargs = values.flat.get("lr_scheduler_kwargs")
    # A share of the peak where the file has one, else an lr, which does not scale.
    final = values.number("final_share")
    if final is None:
        final = (values.number("final_lr") or 0.0) / lr
    share = _warmup(reading, run)
    is_long = share >= 1 and reading.warmup.get("share", 0.0) <= 1
    bearing = ScheduleFacts(
        # Nearly none, for no schedule takes one that is as long as the run.
        warmup=_NEXT_TO_NONE if is_long else share,
        lr=lr,
        steps=None if steps is None else round(steps),
        final=final,
        options=kwargs if isinstance(kwargs, Mapping) else {},
    )
    rules = TRAINER_SCHEDULES if values.has_types else SCHEDULES
    name = reading.schedule.casefold()
    followed = rules[name](bearing) if name in rules else None
    if followed is None or not followed.warmup:
        return followed or why_not
    if followed.warmup_start is None:
        followed = replace(followed, warmup_start=values.number("warmup_start"))
    if not is_long or "warmup" in given:
        return followed
    return _of_long(values, reading, run, followed.warmup_start, given)


def _of_long(
    values: Values, reading: Reading, run: Run, first: float | None, given: Given
) -> Schedule | str:
    """Return the part of a warm-up that fits into the run, or why it is not followed.

    Reference:
        transformers 5.23.0, ``optimization.py``: current_step / num_warmup_steps; NeMo,
        ``core/optim/lr_scheduler.py``: (step + 1) / (warmup_steps + 1).

    """
    if not values.trainer.rises_on or reading.schedule.casefold() in OTHER_RISES:
        why = f"{reading.schedule} with a warm-up as long as the run"
        return f"{why} is not followed here"
    if given:
        key = values.trainer.found("warmup_steps", values.flat)[0]
        must = "shorter than the run, if a schedule is given beside the file"
        got, remedy = str(values.flat.get(key)), "Give warmup (--warmup) too."
        raise RangeError(key, got, must, remedy)
    # With first the share of the lr at step 0, it is first + (1 − first)·t/W at step t,
    # and (t + 1)/(W + 1) without one; the run ends below the lr of the file.
    share = _warmup(reading, run)
    if first is None:
        first = 1 / (share * run.total_steps + 1)
    reached = first + (1 - first) / share
    peak = run.require("lr", "The warm-up") * reached
    return Schedule(shape="linear", start=first / reached, final=1.0, peak=peak)


# Less than the rounding that a sum of shares may have.
_NEXT_TO_NONE = 1e-13


def _warmup(reading: Reading, run: Run) -> float:
    """Return the share of the steps in which the lr rises; a count below 1 is that."""
    quantities = run.quantities()
    for unit in ("steps", "epochs"):
        count = reading.warmup.get(unit, 0.0)
        length = quantities.get(unit, reading.length.get(unit))
        # transformers 5 has taken warmup_ratio into warmup_steps.
        if unit == "steps" and 0 < count < 1:
            return count
        if count:
            return count / length if length else 0.0
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
            paste=Paste(
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


# An lr that comes so near to that of the file is shown as that.
_NEARLY = 0.999


def _facts_shown(
    values: Values, reading: Reading, run: Run, given: Given, *, devices: int
) -> dict[str, str]:
    """Return the facts of a run by name; defaults of the trainer are marked."""
    name, shape = reading.schedule, run.schedule.shape
    schedule = values.marked(name, "schedule", is_given="shape" in given)
    if name.casefold() != shape and shape != "listed":  # as the trainer has it
        schedule = f"{schedule} (as {shape})" if name else shape
    share, typed = run.schedule.warmup, given.get("lr", reading.lr)
    long = _warmup(reading, run)
    if run.schedule.lrs:
        share = long
    if long >= 1 and run.schedule.start < run.schedule.final:
        # Only its warm-up is run, which ends below the lr of the file.
        schedule, share = f"{name} (its warm-up alone)", long
    lr = f"{run.lr:g}"
    if run.lr and typed and run.lr < typed:  # by rounding, or in fact
        is_near = run.lr > _NEARLY * typed
        lr = f"{typed:g}" if is_near else f"{run.lr:.3g} (at most, of {typed:g})"
    facts = {
        "settings of": "" if values.has_types else values.trainer.name,
        "lr": values.marked(lr, "lr", is_given="lr" in given),
        "batch": _batch_shown(values, run, given, devices),
        "epochs": values.marked(f"{run.epochs:g}", "epochs", is_given="epochs" in given)
        if run.epochs
        else "",
        "steps": f"{run.steps:,}" if run.steps and not run.epochs else "",
        "examples": f"{run.dataset_size:,}" if run.dataset_size else "",
        "schedule": schedule if name or shape != "constant" else "",
        "warm-up": f"{100 * share:.3g}%" if share else "",
    }
    if reading.decay_factor != 1:
        factor = f"{reading.decay:g} × {reading.decay_factor:g}"
        facts["decay"] = f"{factor}, as {values.trainer.name} does"
    return {fact: text for fact, text in facts.items() if text}


def _batch_shown(values: Values, run: Run, given: Given, devices: int) -> str:
    """Return the examples of a step, and their factors."""
    text, is_given = str(run.batch_size or ""), "batch_size" in given
    factors = {} if is_given or not text else _factors_of_batch(values, devices)
    several = {part: count for part, count in factors.items() if count > 1}
    if not several.keys() - {"batch", "per device"}:
        return values.marked(text, "per_device", is_given=is_given or not text)
    named = {"per device": values.marked("per device", "per_device", is_given=False)}
    parts = (f"{count} {named.get(part, part)}" for part, count in several.items())
    return f"{text} ({' × '.join(parts)})"
