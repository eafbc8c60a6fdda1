"""Settings files of other trainers: what their keys mean, as one table."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dwindle.audit.settings_file import Settings
from dwindle.audit.trainer_optimizers import TRAINER_OPTIMIZERS
from dwindle.audit.trainer_record import Flat, Reading, Trainer, number_in
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.errors import DwindleError

_TORCH = {
    "sgd": "torch.optim.SGD",
    "adam": "torch.optim.Adam",
    "adamw": "torch.optim.AdamW",
    "nadam": "torch.optim.NAdam",
    "radam": "torch.optim.RAdam",
    "rmsprop": "torch.optim.RMSprop",
    "adamax": "torch.optim.Adamax",
    "adagrad": "torch.optim.Adagrad",
}
_EIGHT_BIT = {
    "adamw8bit": "bitsandbytes.optim.AdamW",
    "pagedadamw8bit": "bitsandbytes.optim.AdamW",
    "lion8bit": "bitsandbytes.optim.Lion",
    "pagedlion8bit": "bitsandbytes.optim.Lion",
}
# apex and DeepSpeed decouple by default what they call Adam (adam_w_mode).
_DECOUPLED_ADAM = {"adam": "torch.optim.AdamW", "fusedadam": "torch.optim.AdamW"}
_HUGGING_FACE = {
    name: each.knob for name, each in TRAINER_OPTIMIZERS.items() if each.knob
}
_TIMM = {name.removeprefix("timm."): name for name in KNOBS if name.startswith("timm.")}
_CLASS_KEYS = ("class_path", "_target_", "_component_")


def _ultralytics(reading: Reading, flat: Flat) -> Reading:
    """Multiply the decay as Ultralytics does: by batch · accumulated / nbs.

    Reference:
        ultralytics 8, ``engine/trainer.py``; YOLOv5 does the same. ``accumulate`` is
        ``max(round(nbs / batch), 1)``, the decay ``* batch * accumulate / nbs``.

    """
    batch, nominal = flat.get("batch", flat.get("batch_size")), flat.get("nbs", 64)
    if not isinstance(batch, int) or batch <= 0:
        why = "The decay is multiplied by batch / nbs, and batch is chosen in the run."
        return replace(reading, why_not=why)
    accumulated = max(round(nominal / batch), 1)
    facts = {**reading.facts, "batch_size": batch * accumulated}
    factor = batch * accumulated / nominal
    return replace(reading, decay_factor=factor, facts=facts)


def _deepspeed(reading: Reading, flat: Flat) -> Reading:
    """Take the lr from the scheduler, and Adam as L2 where it is switched.

    Reference:
        DeepSpeed, ``runtime/lr_schedules.py``: WarmupLR and WarmupDecayLR overwrite the
        lr with ``warmup_max_lr``, 0.001 by default; ``ops/adam``: ``adam_w_mode``.

    """
    name = _folded_words(reading.schedule_name)
    if name in {"warmuplr", "warmupdecaylr"}:
        key = "scheduler.params.warmup_max_lr"
        told = f"The scheduler sets the lr: {key} counts, 0.001 where it is not there."
        reading = replace(
            reading,
            lr=number_in(flat.get(key, 0.001)),
            lr_key=key,
            unchecked=(*reading.unchecked, told),
        )
    elif name in {"onecycle", "lrrangetest"}:
        return replace(reading, why_not=f"Its scheduler {name} sets an lr of its own.")
    if flat.get("optimizer.params.adam_w_mode") is False:
        return replace(reading, knob="torch.optim.Adam")
    return reading


def _nemo(reading: Reading, _: Flat) -> Reading:
    if reading.schedule_name.casefold().startswith("noam"):
        why = "Its lr is a factor of Noam's schedule, and not the lr of any step."
        return replace(reading, why_not=why)
    return reading


def _by_path(reading: Reading, flat: Flat) -> Reading:
    """Take the lr of OneCycleLR, which overwrites the optimizer's with ``max_lr``."""
    for name, value in flat.items():
        if name.rpartition(".")[2] == "max_lr" and number_in(value):
            return replace(reading, lr=number_in(value), lr_key=name)
    return reading


def _folded_words(name: str) -> str:
    return name.casefold().replace("_", "")


def _kohya(reading: Reading, flat: Flat) -> Reading:
    """Read the decay from ``optimizer_args``, a text or a list of ``name=value``."""
    words = flat.get("optimizer_args") or ""
    pairs = words.split() if isinstance(words, str) else map(str, words)
    options = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    decay = number_in(options.get("weight_decay"))
    # Without it counts the optimizer's own default.
    return replace(reading, decay=decay, decay_key="weight_decay=")


def _llm_foundry(reading: Reading, flat: Flat) -> Reading:
    """Read Composer's times: 4800ba are batches, 3ep are epochs."""
    facts, text = dict(reading.facts), str(flat.get("max_duration", ""))
    examples = [number_in(flat.get(name)) for name in _FOUNDRY_TOKENS]
    per_step = (examples[0] or 0.0) * (examples[1] or 0.0)
    for end, name in (("ba", "steps"), ("ep", "epochs"), ("tok", "tokens")):
        length = number_in(text.removesuffix(end)) if text.endswith(end) else None
        if length and name == "epochs":
            facts["epochs"] = length
        elif length and (name == "steps" or per_step):
            facts["steps"] = max(1, int(length / (per_step if name == "tokens" else 1)))
    warm = str(flat.get("scheduler.t_warmup", ""))
    steps = number_in(warm.removesuffix("ba")) if warm.endswith("ba") else None
    schedule = reading.schedule
    if schedule and steps and facts.get("steps", 0) > steps:
        schedule = replace(schedule, warmup=steps / facts["steps"])
    return replace(reading, facts=facts, schedule=schedule)


_FOUNDRY_TOKENS = ("max_seq_len", "global_train_batch_size")


def _diffusers(reading: Reading, flat: Flat) -> Reading:
    """Use the 8-bit optimizer and scale the lr where the script is asked to."""
    if flat.get("scale_lr") is True:
        examples = reading.facts.get("batch_size")
        lr = reading.lr * examples if reading.lr and examples else None
        reading = replace(reading, lr=lr)
    eight = flat.get("use_8bit_adam") is True
    knob = "bitsandbytes.optim.AdamW" if eight else reading.knob
    return replace(reading, knob=knob)


def _litgpt(reading: Reading, flat: Flat) -> Reading:
    """Turn ``max_tokens`` into steps, as LitGPT's pre-training does."""
    values = [number_in(flat.get(f"train.{name}")) for name in _LITGPT_LENGTH]
    facts = dict(reading.facts)
    if all(values):
        tokens, length, batch = (value or 1.0 for value in values)
        facts |= {
            "tokens_per_example": int(length),
            "steps": max(1, round(tokens / length / batch)),
        }
    return replace(reading, facts=facts)


_LITGPT_LENGTH = ("max_tokens", "max_seq_length", "global_batch_size")
_NO_NUMBERS = "It holds ranges or lists to try, and no one setting."

TRAINERS = (
    Trainer(name="W&B sweep", marks=("method", "parameters"), why_not=_NO_NUMBERS),
    Trainer(
        name="dwindle study",
        marks=("study.problem",),
        why_not="It is a study: dwindle study trains it.",
    ),
    Trainer(
        name="Ultralytics",
        marks=("lr0", "lrf"),
        optimizer=("optimizer",),
        knobs=_TORCH,
        optimizer_if_unsaid="SGD",
        lr=("lr0",),
        momentum=("momentum",),
        epochs=("epochs",),
        schedule_if_unsaid="linear",
        warmup_epochs=("warmup_epochs",),
        final_share=("lrf",),
        nesterov=True,
        also=("batch", "batch_size", "nbs", "cos_lr"),
        finish=_ultralytics,
    ),
    Trainer(
        name="DeepSpeed",
        marks=("optimizer.type", "optimizer.params.lr"),
        optimizer=("optimizer.type",),
        knobs={**_TORCH, **_DECOUPLED_ADAM},
        lr=("optimizer.params.lr",),
        decay=("optimizer.params.weight_decay",),
        betas=("optimizer.params.betas",),
        batch=("train_batch_size",),
        per_device=("train_micro_batch_size_per_gpu",),
        accumulated=("gradient_accumulation_steps",),
        steps=("scheduler.params.total_num_steps",),
        schedule=("scheduler.type",),
        warmup_steps=("scheduler.params.warmup_num_steps",),
        also=("scheduler.params.warmup_max_lr", "optimizer.params.adam_w_mode"),
        finish=_deepspeed,
    ),
    Trainer(
        name="fairseq",
        marks=("optimizer._name",),
        why_not="Its lr schedules set the lr by rules of their own.",
    ),
    Trainer(
        name="fairseq",
        marks=("lr_scheduler._name",),
        why_not="Its lr schedules set the lr by rules of their own.",
    ),
    Trainer(
        name="DeepSpeed",
        marks=("zero_optimization.stage",),
        why_not="It names no optimizer with a decay of its own.",
    ),
    Trainer(
        name="detectron2",
        marks=("SOLVER.BASE_LR",),
        optimizer_if_unsaid="sgd",
        knobs=_TORCH,
        lr=("SOLVER.BASE_LR",),
        decay=("SOLVER.WEIGHT_DECAY",),
        momentum=("SOLVER.MOMENTUM",),
        momentum_if_unsaid=0.9,
        batch=("SOLVER.IMS_PER_BATCH",),
        steps=("SOLVER.MAX_ITER",),
        schedule=("SOLVER.LR_SCHEDULER_NAME",),
        schedule_if_unsaid="WarmupMultiStepLR",
    ),
    Trainer(
        name="LLM Foundry",
        marks=("max_duration", "optimizer.name"),
        optimizer=("optimizer.name",),
        knobs={"decoupledadamw": "composer.optim.DecoupledAdamW"},
        lr=("optimizer.lr",),
        decay=("optimizer.weight_decay",),
        betas=("optimizer.betas",),
        batch=("global_train_batch_size",),
        schedule=("scheduler.name",),
        final_share=("scheduler.alpha_f",),
        also=("max_duration", "scheduler.t_warmup", "max_seq_len"),
        finish=_llm_foundry,
    ),
    Trainer(
        name="NeMo",
        marks=("model.optim.name", "model.optim.lr"),
        optimizer=("model.optim.name",),
        knobs={
            **_TORCH,
            "fusedadam": "torch.optim.AdamW",
            "distributedfusedadam": "torch.optim.AdamW",
            "megatronfusedadam": "torch.optim.AdamW",
        },
        lr=("model.optim.lr",),
        decay=("model.optim.weight_decay",),
        betas=("model.optim.betas",),
        batch=("model.global_batch_size",),
        steps=("trainer.max_steps",),
        schedule=("model.optim.sched.name",),
        warmup_steps=("model.optim.sched.warmup_steps",),
        final_lr=("model.optim.sched.min_lr",),
        finish=_nemo,
    ),
    Trainer(
        name="LitGPT",
        marks=("train.global_batch_size", "train.learning_rate"),
        optimizer_if_unsaid="adamw",
        knobs=_TORCH,
        lr=("train.learning_rate",),
        decay=("train.weight_decay",),
        beta1=("train.beta1",),
        beta2=("train.beta2",),
        batch=("train.global_batch_size",),
        schedule_if_unsaid="cosine",
        warmup_steps=("train.lr_warmup_steps",),
        final_lr=("train.min_lr",),
        dtype=("precision",),
        finish=_litgpt,
    ),
    Trainer(
        name="LitGPT",
        marks=("train.global_batch_size", "optimizer.class_path"),
        optimizer=("optimizer.class_path",),
        lr=("optimizer.init_args.lr",),
        decay=("optimizer.init_args.weight_decay",),
        betas=("optimizer.init_args.betas",),
        batch=("train.global_batch_size",),
        schedule_if_unsaid="cosine",
        warmup_steps=("train.lr_warmup_steps",),
        final_lr=("train.min_lr",),
        dtype=("precision",),
        finish=_litgpt,
    ),
    Trainer(
        name="axolotl",
        marks=("micro_batch_size", "optimizer"),
        optimizer=("optimizer",),
        knobs=_HUGGING_FACE,
        beta1=("adam_beta1",),
        beta2=("adam_beta2",),
        per_device=("micro_batch_size",),
        accumulated=("gradient_accumulation_steps",),
        epochs=("num_epochs",),
        steps=("max_steps",),
        schedule=("lr_scheduler",),
        schedule_if_unsaid="cosine",
        warmup_steps=("warmup_steps",),
        warmup_share=("warmup_ratio",),
    ),
    Trainer(
        name="diffusers",
        marks=("adam_weight_decay", "learning_rate"),
        optimizer_if_unsaid="adamw",
        knobs=_TORCH,
        decay=("adam_weight_decay",),
        beta1=("adam_beta1",),
        beta2=("adam_beta2",),
        per_device=("train_batch_size",),
        accumulated=("gradient_accumulation_steps",),
        epochs=("num_train_epochs",),
        steps=("max_train_steps",),
        schedule=("lr_scheduler",),
        warmup_steps=("lr_warmup_steps",),
        also=("use_8bit_adam", "scale_lr"),
        finish=_diffusers,
    ),
    Trainer(
        name="kohya's sd-scripts",
        marks=("optimizer_args", "learning_rate"),
        optimizer=("optimizer_type", "optimizer"),
        knobs={**_TORCH, **_EIGHT_BIT, "lion": "lion_pytorch.Lion"},
        per_device=("train_batch_size",),
        accumulated=("gradient_accumulation_steps",),
        steps=("max_train_steps",),
        schedule=("lr_scheduler",),
        dtype=("full_bf16", "full_fp16"),
        decay_if_unsaid=True,
        also=("optimizer_args",),
        finish=_kohya,
    ),
    Trainer(
        name="SimpleTuner",
        marks=("--model_type", "--optimizer"),
        why_not="Its optimizers round 16-bit weights by chance.",
    ),
    Trainer(
        name="GraphStorm",
        marks=("gsf.hyperparam.lr",),
        why_not="What wd_l2norm acts on depends on its layers.",
    ),
    Trainer(
        name="timm",
        marks=("opt", "sched"),
        optimizer=("opt",),
        knobs={**_TIMM, "nesterov": "timm.sgd"},
        lr=("lr",),
        momentum=("momentum",),
        per_device=("batch_size",),
        accumulated=("grad_accum_steps",),
        epochs=("epochs",),
        schedule=("sched",),
        warmup_epochs=("warmup_epochs",),
        final_lr=("min_lr",),
    ),
    Trainer(
        name="Keras",
        marks=("class_name", "config.learning_rate"),
        optimizer=("class_name",),
        knobs={
            name.rpartition(".")[2].casefold(): name
            for name in KNOBS
            if name.startswith("keras.optimizers.")
        },
        lr=("config.learning_rate",),
        decay=("config.weight_decay",),
        beta1=("config.beta_1",),
        beta2=("config.beta_2",),
        momentum=("config.momentum",),
    ),
)
# An optimizer by its import path, as Hydra, Lightning's CLI and torchtune have it.
_BY_PATH = Trainer(
    name="a class by its path",
    marks=(),
    optimizer=("{at}class_path", "{at}_target_", "{at}_component_"),
    lr=("{at}init_args.lr", "{at}lr"),
    decay=("{at}init_args.weight_decay", "{at}weight_decay"),
    betas=("{at}init_args.betas", "{at}betas"),
    momentum=("{at}init_args.momentum", "{at}momentum"),
    per_device=("batch_size", "data.batch_size", "data.init_args.batch_size"),
    accumulated=("gradient_accumulation_steps", "trainer.accumulate_grad_batches"),
    devices=("trainer.devices",),
    epochs=("epochs", "trainer.max_epochs"),
    steps=("trainer.max_steps",),
    dtype=("dtype", "trainer.precision"),
    decay_if_unsaid=True,
    finish=_by_path,
)


def flattened(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted names.

    Example:
        >>> flattened({"optimizer": {"lr": 0.1}, "seed": 1})
        {'optimizer.lr': 0.1, 'seed': 1}

    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def trainer_of(flat: Flat) -> Trainer | None:
    """Return the trainer whose file this is; None where it is none of the table.

    Args:
        flat: The file, see :func:`flattened`.

    """
    folded = {*flat, *_tables_of(flat)}
    for trainer in TRAINERS:
        if folded.issuperset(trainer.marks):
            return trainer
    for prefix in _class_places(flat):
        return _BY_PATH.at(prefix)
    return None


def _tables_of(flat: Flat) -> Iterator[str]:
    for name in flat:
        parts = name.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts)))


def _class_places(flat: Flat) -> Iterator[str]:
    for name, value in flat.items():
        prefix, dot, last = name.rpartition(".")
        if last in _CLASS_KEYS and knob_named(value):
            yield prefix + dot


def knob_named(value: object) -> str | None:
    """Return the knob that an import path names, also by another path of its class."""
    if not isinstance(value, str) or "." not in value:
        return None
    try:
        return resolve_knob(value).name
    except DwindleError:
        pass
    # timm's classes are its names in another writing: timm.optim.Lamb is timm.lamb.
    library, _, last = value.partition(".")[0], "", value.rpartition(".")[2]
    return _TIMM.get(last.casefold()) if library == "timm" else None
