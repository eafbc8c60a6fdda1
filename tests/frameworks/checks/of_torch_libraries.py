"""Checks of the optimizer libraries for torch, each against the real optimizer."""

from collections.abc import Iterator
from typing import Any

import torch
from frameworks.checks.check import Check, number_cancels, said
from frameworks.checks.torch_like import (
    SMALL,
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


def _schedule_free(knob: str) -> Check:
    """Decay at y, average evaluated: a loop over those words leaves as much."""
    number, run = 0.6, Run(lr=0.01, steps=200)

    def theirs() -> list[float]:
        weight = weights()
        start = weight.detach().clone()
        optimizer = factory(knob)([weight], float(run.require("lr", "It")), number)
        optimizer.train()
        steps(optimizer, weight, run, lambda _, w: torch.zeros_like(w))
        optimizer.eval()
        return list((weight.detach() / start).flatten().tolist())

    return Check(
        knob=knob,
        library="schedulefree",
        kind="no rate",
        settings=f"{number:g}, {said(run)}: a loop over iterate and average",
        theirs=theirs,
        ours=lambda: [evaluated_average(number, run)] * 4,
    )


def evaluated_average(number: float, run: Run, momentum: float = 0.9) -> float:
    """The average x of iterates z that decay at y between both, from 1."""
    z = x = 1.0
    for step in range(1, run.total_steps + 1):
        y = momentum * x + (1 - momentum) * z
        z -= float(run.require("lr", "It")) * number * y
        x += (z - x) / step
    return x


def _estimated(knob: str) -> Check:
    """One step with a decay and one without differ by d·lr·number of the weight."""

    def after_a_step(number: float) -> tuple[Any, float]:
        weight = weights()
        optimizer = factory(knob)([weight], 1.0, number)
        weight.grad = pull(0, weight)
        optimizer.step()
        return weight.detach(), float(optimizer.param_groups[0]["d"])

    def theirs() -> list[float]:
        (bare, _), (decayed, _) = after_a_step(0.0), after_a_step(0.5)
        return list(((bare - decayed) / 0.5 / weights().detach()).flatten().tolist())

    return Check(
        knob=knob,
        library=_DISTRIBUTIONS[knob.partition(".")[0]],
        kind="no rate",
        settings="0.5, lr 1, one step: the decay is the estimate that it holds",
        theirs=theirs,
        ours=lambda: [after_a_step(0.5)[1]] * 4,
        rel=1e-6,
        why="a difference of 1e-6 between two weights of size 1 to 10 in float64",
    )


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
    yield _estimated("pytorch_optimizer.Prodigy")
    yield _schedule_free("schedulefree.AdamWScheduleFree")
    yield _schedule_free("schedulefree.SGDScheduleFree")


CHECKS = tuple(_checks())
