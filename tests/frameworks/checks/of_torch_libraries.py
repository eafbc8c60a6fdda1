"""Checks of the optimizer libraries for torch, each against the real optimizer."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from frameworks.checks.check import (
    SMALL,
    Check,
    estimated,
    number_cancels,
    schedule_free,
)
from frameworks.checks.torch_like import (
    TRUST,
    Factory,
    left_of,
    of_family,
    pull,
    steps,
    weights,
)

from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

# What an optimizer takes beside lr and weight_decay; those of the momentum are RUN's.
_MOMENTUM = {"momentum": 0.9}
_DECOUPLE_LR = {"decouple_lr": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    "optimi.AdamW:decouple_lr": _DECOUPLE_LR,
    "optimi.Adam:decouple_wd": {"decouple_wd": True},
    "optimi.SGD": _MOMENTUM,
    "optimi.SGD:decouple_wd": _MOMENTUM | {"decouple_wd": True},
    "optimi.SGD:decouple_lr": _MOMENTUM | _DECOUPLE_LR,
    "optimi.RAdam:decouple_lr": _DECOUPLE_LR,
    "optimi.Lion:decouple_lr": _DECOUPLE_LR,
    "optimi.Adan:decouple_lr": _DECOUPLE_LR,
    "pytorch_optimizer.AdaBelief:fixed_decay": {"fixed_decay": True},
    "pytorch_optimizer.AdaBelief:coupled": {"weight_decouple": False},
    "pytorch_optimizer.Lion:fixed_decay": {"fixed_decay": True},
    "bitsandbytes.optim.SGD": _MOMENTUM,
    "lion_pytorch.Lion:decoupled": {"decoupled_weight_decay": True},
}
_DISTRIBUTIONS = {
    "optimi": "torch-optimi",
    "pytorch_optimizer": "pytorch_optimizer",
    "bitsandbytes": "bitsandbytes",
    "lion_pytorch": "lion-pytorch",
    "schedulefree": "schedulefree",
}


def factory(knob: str, **more: Any) -> Factory:
    """The optimizer of a record, with the options that make it that one."""

    def build(parameters: list[Any], lr: float, number: float) -> Any:
        import importlib

        path, _, name = knob.partition(":")[0].rpartition(".")
        kind = getattr(importlib.import_module(path), name)
        options = _OPTIONS.get(knob, {}) | more
        return kind(parameters, lr=lr, weight_decay=number, **options)

    return build


def _evaluated(knob: str) -> Callable[[float, Run], list[float]]:
    """What zero gradients leave of the average that is evaluated."""

    def measure(number: float, run: Run) -> list[float]:
        weight = weights()
        optimizer = factory(knob)([weight], float(run.require("lr", "It")), number)
        optimizer.train()
        steps(optimizer, weight, run, lambda _, w: torch.zeros_like(w))
        optimizer.eval()
        return list((weight / weights()).detach().flatten().tolist())

    return measure


def _after_a_step(knob: str) -> Callable[[float], tuple[Any, float]]:
    def after_a_step(number: float) -> tuple[Any, float]:
        weight = weights()
        optimizer = factory(knob)([weight], 1.0, number)
        weight.grad = pull(0, weight)
        optimizer.step()
        return weight.detach().numpy(), float(optimizer.param_groups[0]["d"])

    return after_a_step


def _checks() -> Iterator[Check]:
    for knob in KNOBS:
        if library := _DISTRIBUTIONS.get(knob.partition(".")[0]):
            single = library == "bitsandbytes"
            build, cancels = factory(knob), (0.6, SMALL)
            yield from of_family(knob, library, build, cancels=cancels, single=single)
    lars = "pytorch_optimizer.LARS"
    yield number_cancels(
        lars, "pytorch_optimizer", left_of(factory(lars)), rel=1e-6, why=TRUST
    )
    prodigy = "pytorch_optimizer.Prodigy"
    yield estimated(prodigy, "pytorch_optimizer", _after_a_step(prodigy))
    for kind in ("AdamW", "SGD"):
        knob = f"schedulefree.{kind}ScheduleFree"
        yield schedule_free(knob, "schedulefree", _evaluated(knob))


CHECKS = tuple(_checks())
