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
from frameworks.checks.check import NUMBER, RUN, Check, brief
from frameworks.checks.torch_like import Factory, driven_by

from dwindle.decay.convert import convert

# Weights after given gradients, from the number of the knob.
Driven = Callable[[float], list[float]]


def _fastai(knob: str, **options: Any) -> Factory:
    name, _, variant = knob.rpartition(".")[2].partition(":")
    return of_trainers.fastai(name, decouple_wd=variant != "coupled", **options)


# By the first part of a knob: what builds its real optimizer, with options.
_FACTORIES: dict[str, Callable[..., Factory]] = {
    "torch": of_torch.factory,
    "timm": lambda knob, **more: of_timm.factory(knob.partition(".")[2], **more),
    "composer": lambda knob, **more: of_trainers.composer(
        knob.rpartition(".")[2], **more
    ),
    "unit_scaling": lambda _: of_trainers.unit_scaling,
    "fastai": _fastai,
}


def driven(knob: str, **options: Any) -> Driven:
    """The real optimizer of a record, under the gradients that all of them get."""
    library = knob.partition(".")[0]
    if library == "optax":
        return of_optax.driven(of_optax.chain_of(knob))
    if library == "keras":
        return of_keras.driven(knob, **options)
    factory = _FACTORIES.get(library, of_torch_libraries.factory)(knob, **options)
    return driven_by(factory)


_SGD, _ADAMW, _LION = "torch.optim.SGD", "torch.optim.AdamW", "timm.lion"
_EPS: dict[str, Any] = {"eps": 1e-8}
# Knob, library and options of theirs, the knob that we convert to, and options of ours:
# optimizers whose updates are the same.
_PAIRS: tuple[tuple[str, str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("optax.add_decayed_weights:before-sgd", "optax", {}, _SGD, {}),
    ("optax.adamw", "optax", {}, _ADAMW, {}),
    ("optax.add_decayed_weights:before-schedule", "optax", {}, _ADAMW, {}),
    ("timm.momentum", "timm", {}, _SGD, {}),
    ("composer.optim.DecoupledAdamW", "mosaicml", {"betas": (0.9, 0.999)}, _ADAMW, {}),
    ("composer.optim.DecoupledSGDW", "mosaicml", {"momentum": 0.9},
     "timm.sgdw", {"nesterov": False}),
    ("unit_scaling.optim.AdamW", "unit-scaling", {}, _ADAMW, {}),
    ("optimi.AdamW:decouple_lr", "torch-optimi", _EPS, "optimi.AdamW", _EPS),
    ("lion_pytorch.Lion", "lion-pytorch", {}, "pytorch_optimizer.Lion", {}),
    ("lion_pytorch.Lion:decoupled", "lion-pytorch", {}, _LION, {}),
    ("optax.lion", "optax", {}, _LION, {}),
    ("keras.optimizers.Lion", "keras", {"beta_2": 0.99}, _LION, {}),
)  # fmt: skip


def _pair(
    knob: str,
    library: str,
    options: dict[str, Any],
    target: str,
    ours: dict[str, Any],
) -> Check:
    def converted() -> list[float]:
        there = convert(NUMBER, knob, to=target, run=RUN)
        return driven(target, **ours)(float(there.value or 0))

    return Check(
        knob=knob,
        library=library,
        kind="same trajectory",
        settings=f"{NUMBER:g} converted to {target}, {brief(RUN)}",
        theirs=lambda: driven(knob, **options)(NUMBER),
        ours=converted,
    )


CHECKS = tuple(_pair(*each) for each in _PAIRS)
