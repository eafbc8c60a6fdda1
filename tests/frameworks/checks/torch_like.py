"""Loops over a real optimizer of torch's kind: zero gradients, and given ones."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from frameworks.checks.check import (
    EXACT,
    RUN,
    SIXTY_STEPS,
    SMALL,
    START,
    Check,
    number_cancels,
    same_as_penalty,
    zero_gradient,
)

from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

TRUST = "the number cancels but for an eps of 1e-6 or less in the trust ratio"
FLOAT32 = "sixty steps in float32, which is all that its kernels take"

# Builds an optimizer from parameters, the peak lr and the number of the knob.
Factory = Callable[[list[Any], float, float], Any]


def weights(dtype: str = "float64", start: Any = START) -> Any:
    return torch.tensor(start, dtype=getattr(torch, dtype), requires_grad=True)


def steps(
    optimizer: Any, weight: Any, run: Run, gradient: Callable[[int, Any], Any]
) -> None:
    """Step through a run; every group starts from the lr that it was built with."""
    groups = optimizer.param_groups
    peaks = [group["lr"] for group in groups]
    for step, multiplier in enumerate(run.multipliers()):
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * multiplier
        weight.grad = gradient(step, weight)
        optimizer.step()


def left_of(factory: Factory, dtype: str = "float64") -> Callable[..., list[float]]:
    """What zero gradients leave of each weight."""

    def measure(number: float, run: Run) -> list[float]:
        weight = weights(dtype)
        start = weight.detach().clone()
        optimizer = factory([weight], float(run.require("lr", "A check")), number)
        steps(optimizer, weight, run, lambda _, w: torch.zeros_like(w))
        return list((weight.detach() / start).flatten().tolist())

    return measure


def pull(step: int, weight: Any) -> Any:
    """A gradient that changes with step and weight, as a loss would give."""
    noise = torch.sin(torch.arange(4.0, dtype=weight.dtype).reshape(2, 2) + 3.7 * step)
    return 0.3 * weight.detach() + noise


def driven_by(factory: Factory) -> Callable[..., list[float]]:
    """Weights after gradients that all libraries get, and those of a penalty."""

    def driven(number: float, coefficient: float = 0.0) -> list[float]:
        weight = weights()
        optimizer = factory([weight], float(RUN.require("lr", "A check")), number)
        steps(
            optimizer,
            weight,
            RUN,
            lambda step, w: pull(step, w) + coefficient * w.detach(),
        )
        return list(weight.detach().flatten().tolist())

    return driven


def of_family(  # noqa: PLR0913 - what differs from library to library
    knob: str,
    library: str,
    factory: Factory,
    *,
    cancels: tuple[float, str] = (0.2, SMALL),
    tolerance: tuple[float, str] = (EXACT, SIXTY_STEPS),
    run: Run = RUN,
    single: bool = False,
) -> Iterator[Check]:
    """The checks that follow from the family of a record alone."""
    family = str(KNOBS[knob].family)
    measure = left_of(factory, "float32" if single else "float64")
    if family == "coupled-adaptive":
        rel, why = cancels
        yield number_cancels(knob, library, measure, rel=rel, why=why)
    elif FAMILIES[family].has_half_life:
        tolerance = (1e-5, FLOAT32) if single else tolerance
        yield zero_gradient(knob, library, measure, run=run, tolerance=tolerance)
    if family.startswith("coupled") and not single:
        yield same_as_penalty(knob, library, driven_by(factory))
