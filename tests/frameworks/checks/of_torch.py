"""Checks of torch.optim: survival where a number sets a rate, penalties too."""

from collections.abc import Iterator
from typing import Any

import torch
from frameworks.checks.check import EXACT, SIXTY_STEPS, Check
from frameworks.checks.torch_like import Factory, of_family

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
    for knob in KNOBS:
        if not knob.startswith("torch.optim."):
            continue
        tolerance = (1e-6, _ASGD) if "ASGD" in knob else (EXACT, SIXTY_STEPS)
        yield from of_family(
            knob, "torch", factory(knob), cancels=(0.2, _EPS), tolerance=tolerance
        )


CHECKS = tuple(_checks())
