"""How trainers change the numbers of their files before an optimizer gets them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from types import MappingProxyType

from dwindle.audit.settings_file import number_in
from dwindle.audit.trainer_courses import (
    course_of_deepspeed,
    course_of_litgpt,
    course_of_megatron,
    course_of_timm,
    course_of_ultralytics,
    epochs_of_timm,
    number_at,
)
from dwindle.audit.trainers import Flat, Reading, Trainer
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.python_inputs import run_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.typed_facts import as_fields
from dwindle.errors import RangeError


def options_in(value: object) -> dict[str, str]:
    """Return the options of ``momentum=0.9, nesterov=true`` or of a list of such texts.

    A comma without a name behind it belongs to the value, as in ``betas=0.9,0.99``.

    Example:
        >>> options_in("weight_decay=0.1 betas=0.9,0.99")
        {'weight_decay': '0.1', 'betas': '0.9,0.99'}

    """
    parts = value if isinstance(value, list) else [value or ""]
    text = " ".join(map(str, parts))
    # A value goes on to the next name that has a "=" behind it.
    return dict(re.findall(r"(\w+)\s*=\s*(.*?)[\s,]*(?=\w+\s*=|$)", text))


def _own(reading: Reading, flat: Flat) -> Reading:
    """Read a file of dwindle, whose keys are names of a run and of its schedule."""
    typed = {name: each for name, each in flat.items() if name not in _OWN_NUMBERS}
    run = run_of({**typed, "lr": reading.lr})
    # As it was typed: its times are computed again in a run of another length.
    course = as_fields(typed).get("schedule", Schedule())
    course = Schedule(shape=course) if isinstance(course, str) else course
    given = {each.name for each in fields(Run) if each.init and run.is_given(each.name)}
    length = {unit: getattr(run, unit) for unit in {"steps", "epochs"} & given}
    names = given - {"lr", "schedule", "steps", "epochs"}
    facts = {name: getattr(run, name) for name in names}
    knob = resolve_knob(reading.optimizer).name
    return replace(
        reading, knob=knob, facts=facts, length=length, course=lambda _: course
    )


# Keys that are fields of a reading, not of its run.
_OWN_NUMBERS = {"knob", "value", "weight_decay", "lr"}


def _ultralytics(reading: Reading, flat: Flat) -> Reading:
    """Multiply the decay as Ultralytics does: by batch · accumulated / nbs.

    Reference:
        ultralytics 8, ``engine/trainer.py``; YOLOv5 does the same. ``accumulate`` is
        ``max(round(nbs / batch), 1)``, the decay ``* batch * accumulate / nbs``.

    """
    reading = replace(reading, course=partial(course_of_ultralytics, flat))
    batch = number_in(flat.get("batch", flat.get("batch_size"))) or 0
    nominal = number_in(flat.get("nbs", 64)) or 0
    # -1 and 0.6 are AutoBatch: chosen by the free memory of the GPU.
    if batch < 1 or batch % 1 or nominal <= 0:
        why = "The decay is multiplied by batch / nbs, and batch is chosen in the run."
        return replace(reading, why_not=why)
    examples = int(batch) * max(round(nominal / batch), 1)
    facts = {**reading.facts, "batch_size": examples}
    return replace(reading, decay_factor=examples / nominal, facts=facts)


def _deepspeed(reading: Reading, flat: Flat) -> Reading:
    """Take the lr from a scheduler that sets it.

    Reference:
        DeepSpeed, ``runtime/lr_schedules.py``: WarmupLR and WarmupDecayLR overwrite the
        lr with ``warmup_max_lr``, 0.001 by default.

    """
    name = reading.schedule.casefold().replace("_", "")
    if name in {"warmuplr", "warmupdecaylr"}:
        key = "scheduler.params.warmup_max_lr"
        note = f"The scheduler sets the lr: {key} counts, or 0.001 without it."
        lr = number_in(flat.get(key, 0.001))
        reading = replace(reading, lr=lr, lr_key=key, unchecked=(note,))
    if name not in {"warmuplr", "warmupdecaylr", "warmupcosinelr"}:
        return reading
    return replace(reading, course=partial(course_of_deepspeed, flat, name))


def _by_path(reading: Reading, flat: Flat) -> Reading:
    """Take the lr of OneCycleLR, which overwrites the optimizer's with ``max_lr``."""
    for name, value in flat.items():
        if name.rpartition(".")[2] == "max_lr" and number_in(value):
            return replace(reading, lr=number_in(value), lr_key=name)
    return reading


def _kohya(reading: Reading, _: Flat) -> Reading:
    """Read the decay from ``optimizer_args``, a text or a list of ``name=value``."""
    decay = number_in(reading.options.get("weight_decay"))
    return replace(reading, decay=decay, decay_key="weight_decay=")


def _llm_foundry(reading: Reading, flat: Flat) -> Reading:
    """Read Composer's times: 4800ba are batches, 3ep epochs, 1e9tok tokens, 0.1dur."""
    sizes = "max_seq_len", "global_train_batch_size"
    per_step = math.prod(number_at(flat, each) for each in sizes)
    length, warmup = dict(reading.length), dict(reading.warmup)
    for found, key in ((length, "max_duration"), (warmup, "scheduler.t_warmup")):
        for mark, unit in {"ba": "steps", "ep": "epochs", "dur": "share"}.items():
            time = str(flat.get(key, ""))
            count = number_in(time.removesuffix(mark)) if time.endswith(mark) else None
            if count:
                found[unit] = count
        tokens = number_in(str(flat.get(key, "")).removesuffix("tok"))
        if str(flat.get(key, "")).endswith("tok") and tokens and per_step > 0:
            found["steps"] = tokens / per_step
    if "steps" in length:
        length["steps"] = max(1, int(length["steps"]))
    return replace(reading, length=length, warmup=warmup)


def _diffusers(reading: Reading, flat: Flat) -> Reading:
    """Scale the lr where the file switches that on."""
    if flat.get("scale_lr") is not True or reading.lr is None:
        return reading
    examples = reading.facts.get("batch_size")
    if not examples:
        why = "scale_lr multiplies the lr by the batch size, which is not in the file."
        return replace(reading, why_not=why)
    return replace(reading, lr=reading.lr * examples)


def _litgpt(reading: Reading, flat: Flat) -> Reading:
    """Turn ``max_tokens`` into steps, as LitGPT's pre-training does."""
    names = ("max_tokens", "max_seq_length", "global_batch_size")
    tokens, length, batch = (number_at(flat, f"train.{name}") for name in names)
    if not (tokens and length and batch):
        return reading
    warm = reading.warmup.get("steps", 0.0)
    return replace(
        reading,
        facts={**reading.facts, "tokens_per_example": int(length)},
        length={"steps": max(1, round(tokens / length / batch))},
        course=partial(course_of_litgpt, flat, warm),
    )


def _megatron(reading: Reading, flat: Flat) -> Reading:
    """Read the decay with its two ends, and a length in samples.

    Reference:
        megatron/core/optimizer_param_scheduler.py, ``get_wd``;
        megatron/training/arguments.py for the defaults.

    """
    facts, length = dict(reading.facts), dict(reading.length)
    batch, samples = (
        number_at(flat, name) for name in ("global_batch_size", "train_samples")
    )
    if batch and samples:
        length.setdefault("steps", samples // batch)
    style = str(flat.get("weight_decay_incr_style", "constant"))
    start, end = (
        number_at(flat, f"{at}_weight_decay", reading.decay or 0.0)
        for at in ("start", "end")
    )
    if style != "constant" and start != end:
        facts["decay_schedule"] = f"{style} from {start!r} to {end!r}"
        reading = replace(reading, decay=end, decay_key="end_weight_decay")
    course = partial(course_of_megatron, flat, reading.schedule.casefold())
    return replace(reading, facts=facts, length=length, course=course)


def _timm(reading: Reading, flat: Flat) -> Reading:
    """Count the epochs of all cycles; an lr of every epoch, or step, is listed."""
    name, length = reading.schedule, dict(reading.length)
    if "epochs" in length:
        length["epochs"] = epochs_of_timm(flat, name, length["epochs"])
    return replace(reading, length=length, course=partial(course_of_timm, flat, name))


def _transformers(reading: Reading, flat: Flat) -> Reading:
    """Read SGD's options from ``optim_args``: its momentum carries the decay."""
    options, notes = reading.options, []
    if flat.get("auto_find_batch_size") in (True, "true", "True"):
        notes.append("auto_find_batch_size may lower the batch size: half-lives move.")
    # A path or a table, whose optimizer replaces that of optim.
    if flat.get("deepspeed") is not None:
        notes.append("deepspeed may bring another optimizer: it is not read.")
    others = set(options) - {"momentum", "dampening", "nesterov", "weight_decay"}
    if others:
        notes.append(f"optim_args is not read for {', '.join(sorted(others))}.")
    facts, is_sgd = dict(reading.facts), reading.optimizer == "sgd"
    for name in {"momentum", "dampening"} & options.keys() if is_sgd else ():
        number = number_in(options[name])
        if number is None:
            must, got = "a number in optim_args", repr(options[name])
            remedy = f"Write optim_args: {name}=0.9, for example."
            raise RangeError(name, got, must, remedy)
        facts[name] = number
    if is_sgd and options.get("nesterov", "").lower() in {"true", "1", "yes"}:
        facts["nesterov"] = True
    return replace(reading, facts=facts, unchecked=tuple(notes))


# By trainer; files of all others have the numbers that their optimizers get.
_RULES: Mapping[str, Callable[[Reading, Flat], Reading]] = MappingProxyType(
    {
        "dwindle": _own,
        "Ultralytics": _ultralytics,
        "DeepSpeed": _deepspeed,
        "a class by its path": _by_path,
        "kohya's sd-scripts": _kohya,
        "LLM Foundry": _llm_foundry,
        "diffusers": _diffusers,
        "LitGPT": _litgpt,
        "Megatron-LM": _megatron,
        "timm": _timm,
        "transformers": _transformers,
    }
)


def as_trained(reading: Reading, trainer: Trainer, flat: Flat) -> Reading:
    """Return the reading that a trainer uses, or why it is not known."""
    for switch in trainer.switches:
        if flat.get(switch["key"]) is switch["on"]:
            reading = replace(reading, **switch["then"])
    schedule = reading.schedule.casefold().replace("_", "")
    for begin, why in trainer.refused.items():
        if schedule.startswith(begin):
            return replace(reading, why_not=why)
    rule = _RULES.get(trainer.name)
    return rule(reading, flat) if rule else reading
