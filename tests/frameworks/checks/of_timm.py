"""Checks of timm's optimizers, built by its factory under the names of the records."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from frameworks.checks.check import RUN, Check, number_cancels
from frameworks.checks.partial import module
from frameworks.checks.torch_like import TRUST, Factory, left_of, of_family, weights

from dwindle.decay.knobs import KNOBS

_NESTEROV = replace(RUN, nesterov=True)


def factory(name: str, **options: Any) -> Factory:
    """What timm's factory builds under this name."""

    def build(parameters: list[Any], lr: float, number: float) -> Any:
        timm = module("timm.optim", "timm", "timm.models")
        return timm.create_optimizer_v2(
            parameters, opt=name, lr=lr, weight_decay=number, momentum=0.9, **options
        )

    return build


def _lars() -> Check:
    """With a gradient, a step is lr·trust·(gradient + decay), trust from the norms."""

    def theirs() -> list[float]:
        weight = weights()
        optimizer = factory("lars")([weight], 0.1, 0.5)
        weight.grad = weight.detach() ** 2
        optimizer.step()
        return list(weight.detach().flatten().tolist())

    def ours() -> list[float]:
        weight = weights().detach()
        gradient = weight**2
        norm, size = weight.norm(), gradient.norm()
        trust = 0.001 * norm / (size + norm * 0.5 + 1e-8)
        return list(
            (weight - 0.1 * trust * (gradient + 0.5 * weight)).flatten().tolist()
        )

    return Check(
        knob="timm.lars",
        library="timm",
        kind="no rate",
        settings="0.5, lr 0.1, one step: the decay is inside the trust ratio",
        theirs=theirs,
        ours=ours,
        why="one step in float64",
    )


def _checks() -> Iterator[Check]:
    for knob in KNOBS:
        library, _, name = knob.partition(".")
        if library == "timm":
            run = _NESTEROV if name == "sgd" else RUN
            yield from of_family(knob, "timm", factory(name), run=run)
    lamb = left_of(factory("lamb"))
    yield number_cancels("timm.lamb", "timm", lamb, rel=1e-5, why=TRUST)
    yield _lars()


CHECKS = tuple(_checks())
