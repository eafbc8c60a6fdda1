"""Checks of timm's optimizers, built by its factory under the names of the records."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from frameworks.checks.check import RUN, Check, number_cancels, undriven
from frameworks.checks.partial import module
from frameworks.checks.torch_like import Factory, left_of, same_as_penalty, weights

from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS

NO_RATE = {name for name, each in FAMILIES.items() if not each.has_half_life}
_SMALL = "the number cancels but for eps; a factor of a hundred would be seen as one"
_TRUST = "the number cancels but for an eps of 1e-6 or less in the trust ratio"
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
    for knob, record in KNOBS.items():
        if not knob.startswith("timm."):
            continue
        name, family = knob.removeprefix("timm."), str(record.family)
        measure = left_of(factory(name))
        if family == "coupled-adaptive":
            yield number_cancels(knob, "timm", measure, rel=0.2, why=_SMALL)
        elif family not in NO_RATE:
            run = _NESTEROV if name == "sgd" else RUN
            yield undriven(knob, "timm", measure, run=run)
        if family.startswith("coupled"):
            yield same_as_penalty(knob, "timm", factory(name))
    lamb = left_of(factory("lamb"))
    yield number_cancels("timm.lamb", "timm", lamb, rel=1e-5, why=_TRUST)
    yield _lars()


CHECKS = tuple(_checks())
