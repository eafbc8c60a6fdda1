"""Checks of torch.optim: survival where a number sets a rate, penalties too."""

from collections.abc import Iterator
from typing import Any

import torch
from frameworks.checks.check import Check, number_cancels, undriven
from frameworks.checks.torch_like import Factory, left_of, same_as_penalty

from dwindle.decay.knobs import KNOBS

_EPS = "the number cancels but for eps and Adadelta's slow start"
_ASGD = "torch keeps the step size of ASGD in float32"


def factory(knob: str) -> Factory:
    """The optimizer of a record, as one would write it."""

    def build(parameters: list[Any], lr: float, number: float) -> Any:
        path, _, variant = knob.partition(":")
        options: dict[str, Any] = {
            "lambd": {"lambd": number},
            "decoupled": {"weight_decay": number, "decoupled_weight_decay": True},
            "": {"weight_decay": number},
        }[variant]
        if knob == "torch.optim.SGD":
            options["momentum"] = 0.9
        name = path.rpartition(".")[2]
        return getattr(torch.optim, name)(parameters, lr=lr, **options)

    return build


def _checks() -> Iterator[Check]:
    for knob, record in KNOBS.items():
        if not knob.startswith("torch.optim."):
            continue
        measure = left_of(factory(knob))
        if record.family == "coupled-adaptive":
            yield number_cancels(knob, "torch", measure, rel=0.2, why=_EPS)
        elif "ASGD" in knob:
            yield undriven(knob, "torch", measure, tolerance=(1e-6, _ASGD))
        else:
            yield undriven(knob, "torch", measure)
        if record.family in {"coupled-sgd", "coupled-adaptive"}:
            yield same_as_penalty(knob, "torch", factory(knob))


CHECKS = tuple(_checks())
