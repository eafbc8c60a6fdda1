"""Checks across libraries: a converted number gives the same weights, step by step."""

from collections.abc import Callable
from typing import Any

from frameworks.checks import (
    of_keras,
    of_optax,
    of_timm,
    of_torch,
    of_torch_libraries,
    of_trainers,
)
from frameworks.checks.check import NUMBER, RUN, Check, said
from frameworks.checks.torch_like import Factory, pull, steps, weights

from dwindle.decay.convert import convert

# Weights after given gradients, from the number of the knob.
Driven = Callable[[float], list[float]]
_PEAK = float(RUN.require("lr", "A check"))


def _torch_like(factory: Factory) -> Driven:
    def driven(number: float) -> list[float]:
        weight = weights()
        steps(factory([weight], _PEAK, number), weight, RUN, pull)
        return list(weight.detach().flatten().tolist())

    return driven


def _with(kind: str, **options: Any) -> Factory:
    def build(parameters: list[Any], lr: float, number: float) -> Any:
        import torch

        return getattr(torch.optim, kind)(
            parameters, lr=lr, weight_decay=number, **options
        )

    return build


_SGD = _torch_like(_with("SGD", momentum=0.9))
_ADAMW = _torch_like(of_torch.factory("torch.optim.AdamW"))
# Theirs, the knob that we convert to, and ours: optimizers whose updates are the same.
_PAIRS: tuple[tuple[str, str, Driven, str, Driven], ...] = (
    (
        "optax.add_decayed_weights:before-sgd",
        "optax",
        of_optax.driven(of_optax.chain_of("optax.add_decayed_weights:before-sgd")),
        "torch.optim.SGD",
        _SGD,
    ),
    (
        "optax.adamw",
        "optax",
        of_optax.driven(of_optax.chain_of("optax.adamw")),
        "torch.optim.AdamW",
        _ADAMW,
    ),
    (
        "optax.add_decayed_weights:before-schedule",
        "optax",
        of_optax.driven(of_optax.chain_of("optax.add_decayed_weights:before-schedule")),
        "torch.optim.AdamW",
        _ADAMW,
    ),
    (
        "timm.momentum",
        "timm",
        _torch_like(of_timm.factory("momentum")),
        "torch.optim.SGD",
        _SGD,
    ),
    (
        "composer.optim.DecoupledAdamW",
        "mosaicml",
        _torch_like(of_trainers.composer("DecoupledAdamW", betas=(0.9, 0.999))),
        "torch.optim.AdamW",
        _ADAMW,
    ),
    (
        "composer.optim.DecoupledSGDW",
        "mosaicml",
        _torch_like(of_trainers.composer("DecoupledSGDW", momentum=0.9)),
        "timm.sgdw",
        _torch_like(of_timm.factory("sgdw", nesterov=False)),
    ),
    (
        "unit_scaling.optim.AdamW",
        "unit-scaling",
        _torch_like(of_trainers.unit_scaling),
        "torch.optim.AdamW",
        _ADAMW,
    ),
    (
        "optimi.AdamW:decouple_lr",
        "torch-optimi",
        _torch_like(of_torch_libraries.factory("optimi.AdamW:decouple_lr", eps=1e-8)),
        "optimi.AdamW",
        _torch_like(of_torch_libraries.factory("optimi.AdamW", eps=1e-8)),
    ),
    (
        "lion_pytorch.Lion",
        "lion-pytorch",
        _torch_like(of_torch_libraries.factory("lion_pytorch.Lion")),
        "pytorch_optimizer.Lion",
        _torch_like(of_torch_libraries.factory("pytorch_optimizer.Lion")),
    ),
    (
        "lion_pytorch.Lion:decoupled",
        "lion-pytorch",
        _torch_like(of_torch_libraries.factory("lion_pytorch.Lion:decoupled")),
        "timm.lion",
        _torch_like(of_timm.factory("lion")),
    ),
    (
        "optax.lion",
        "optax",
        of_optax.driven(of_optax.chain_of("optax.lion")),
        "timm.lion",
        _torch_like(of_timm.factory("lion")),
    ),
    (
        "keras.optimizers.Lion",
        "keras",
        of_keras.driven("keras.optimizers.Lion", beta_2=0.99),
        "timm.lion",
        _torch_like(of_timm.factory("lion")),
    ),
)


def _pair(knob: str, library: str, theirs: Driven, target: str, ours: Driven) -> Check:
    def converted() -> list[float]:
        there = convert(NUMBER, knob, to=target, run=RUN)
        return ours(float(there.value or 0))

    return Check(
        knob=knob,
        library=library,
        kind="same trajectory",
        settings=f"{NUMBER:g} converted to {target}, {said(RUN)}",
        theirs=lambda: theirs(NUMBER),
        ours=converted,
    )


CHECKS = tuple(_pair(*each) for each in _PAIRS)
