"""A settings file of another trainer, read by the record of that trainer."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from dwindle.audit.other_trainers import knob_named
from dwindle.audit.trainer_record import Flat, Keys, Reading, Trainer, number_in
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import dtype_named
from dwindle.decay.schedules import Schedule
from dwindle.errors import UnknownNameError

_SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "constant": "constant",
        "constant_with_warmup": "constant",
        "none": "constant",
        "linear": "linear",
        "linear_decay_with_warmup": "linear",
        "warmupdecaylr": "linear",
        "cosine": "cosine",
        "cosine_with_warmup": "cosine",
        "cosineannealing": "cosine",
        "warmupcosinelr": "cosine",
        "warmuplr": "constant",
    }
)


def read_with(trainer: Trainer, flat: Flat, *, devices: int = 1) -> Reading:
    """Return what a file says to its trainer; what it does not say stays open.

    Args:
        trainer: From :func:`trainer_of`.
        flat: The file, see :func:`flattened`.
        devices: How many train together.

    Example:
        >>> from dwindle.audit.other_trainers import trainer_of
        >>> flat = {"lr0": 0.01, "lrf": 0.01, "weight_decay": 5e-4, "batch": 128}
        >>> found = read_with(trainer_of(flat), flat)
        >>> found.knob, found.decay * found.decay_factor
        ('torch.optim.SGD', 0.001)

    """
    optimizer = str(_first(flat, trainer.optimizer) or trainer.optimizer_if_unsaid)
    knob = _knob(trainer, optimizer)
    decay_key = next((key for key in trainer.decay if key in flat), trainer.decay[0])
    decay = number_in(_first(flat, trainer.decay))
    lr = number_in(_first(flat, trainer.lr))
    facts = {
        "batch_size": _examples_per_step(trainer, flat, devices),
        "epochs": number_in(_first(flat, trainer.epochs)),
        "steps": _whole(_first(flat, trainer.steps)),
        "dtype": _dtype(flat, trainer.dtype),
        **_momentum(trainer, flat, knob),
    }
    facts = {name: value for name, value in facts.items() if value is not None}
    if facts.get("steps"):
        facts.pop("epochs", None)
    name, schedule = _schedule(trainer, flat, lr, facts)
    found = Reading(
        trainer=trainer.name,
        optimizer=optimizer,
        knob=knob,
        lr=lr,
        decay=decay,
        decay_key=decay_key.rpartition(".")[2],
        lr_key=next((key for key in trainer.lr if key in flat), trainer.lr[0]),
        facts=facts,
        schedule=schedule,
        schedule_name=name,
        read=frozenset(_keys_of(trainer)),
    )
    found = trainer.finish(found, flat)
    if found.decay is None and trainer.decay_if_unsaid and found.knob:
        return replace(found, decay=KNOBS[found.knob].default)
    return found


def _keys_of(trainer: Trainer) -> Iterator[str]:
    for value in vars(trainer).values():
        if isinstance(value, tuple):
            yield from value


def _first(flat: Flat, keys: Keys) -> Any:  # whatever a file may hold
    return next((flat[key] for key in keys if flat.get(key) is not None), None)


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _knob(trainer: Trainer, optimizer: str) -> str | None:
    by_path = knob_named(optimizer)
    if by_path:
        return by_path
    names = {_folded(name): knob for name, knob in trainer.knobs.items()}
    return names.get(_folded(optimizer))


def _whole(value: object) -> int | None:
    number = number_in(value)
    return int(number) if number and number >= 1 else None


def _examples_per_step(trainer: Trainer, flat: Flat, devices: int) -> int | None:
    whole = _whole(_first(flat, trainer.batch))
    if whole:
        return whole
    here = _whole(_first(flat, trainer.per_device))
    accumulated = _whole(_first(flat, trainer.accumulated)) or 1
    if devices == 1:  # not said: as many as the file has
        devices = _whole(_first(flat, trainer.devices)) or 1
    return here * accumulated * devices if here else None


def _momentum(trainer: Trainer, flat: Flat, knob: str | None) -> dict[str, Any]:
    """Return momentum for the knob that has it, and betas for those that have them."""
    if knob and KNOBS[knob].family == "coupled-sgd":
        given = number_in(_first(flat, trainer.momentum))
        momentum = trainer.momentum_if_unsaid if given is None else given
        if given is None and not momentum:
            return {}  # the library's own default, which the audit names
        nesterov = trainer.nesterov and momentum > 0
        return {"momentum": momentum} | ({"nesterov": True} if nesterov else {})
    both = _first(flat, trainer.betas)
    if not isinstance(both, list | tuple):
        both = [_first(flat, keys) for keys in (trainer.beta1, trainer.beta2)]
    betas = tuple(map(number_in, both))
    return {"betas": betas} if len(betas) == len(_BETAS) and None not in betas else {}


_BETAS = ("beta1", "beta2")


def _dtype(flat: Flat, keys: Keys) -> str | None:
    for key in keys:
        value = flat.get(key)
        if key.startswith("full_"):
            if value is True:
                return dtype_written(key.removeprefix("full_"))
        # Lightning's bf16 and 16 keep float32 weights; only "-true" does not.
        elif value is not None and (key == "dtype" or "-true" in str(value)):
            return dtype_written(value)
    return None


def dtype_written(value: object) -> str | None:
    """Return dwindle's name of a dtype as settings files write it, or None.

    Example:
        >>> dtype_written("torch.bfloat16"), dtype_written("bf16-true")
        ('bfloat16', 'bfloat16')
        >>> dtype_written("auto") is None
        True

    """
    try:
        return dtype_named(str(value).removesuffix("-true"))
    except UnknownNameError:
        return None


def _schedule(
    trainer: Trainer, flat: Flat, lr: float | None, facts: Mapping[str, Any]
) -> tuple[str, Schedule | None]:
    """Return the schedule's name and what it is; no name where the file has none."""
    name = str(_first(flat, trainer.schedule) or trainer.schedule_if_unsaid)
    if trainer.name == "Ultralytics" and flat.get("cos_lr") is True:
        name = "cosine"
    shape = _SCHEDULES.get(name.casefold())
    if shape is None:
        return name, None
    final = number_in(_first(flat, trainer.final_share))
    last = number_in(_first(flat, trainer.final_lr))
    if final is None and last is not None and lr:
        final = last / lr
    warmup = number_in(_first(flat, trainer.warmup_share)) or 0.0
    for keys, length in (
        (trainer.warmup_steps, "steps"),
        (trainer.warmup_epochs, "epochs"),
    ):
        count, whole = number_in(_first(flat, keys)), facts.get(length)
        if count and whole and count < whole:
            warmup = count / whole
    shares = {"warmup": warmup, "final": final or 0.0}
    if not all(0 <= share < 1 for share in shares.values()):
        return name, None
    return name, Schedule(shape=shape, **shares)  # type: ignore[arg-type]  # of the table
