"""Scenarios with gradients: the optimizer's own steps stay what they are."""

import copy
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.testing.certificate import Check
from dwindle.testing.training import (
    HALF_LIFE_STEPS,
    CannotPlayError,
    Subject,
    Training,
    said,
)
from dwindle.testing.undriven import bitwise_check, compared

Weights = list[torch.Tensor]
_STEPS = 12
_RESUMED_STEPS = 8
_SHRINK = shrink_from_half_life(HALF_LIFE_STEPS)
_SCALES: tuple[Mapping[str, Any], ...] = ({"decay_scale": 1.0}, {"decay_scale": 0.0})
# When a step decays: ours after the update; decoupled optimizers also before it, or
# beside it, both from the weight that the step began with.
_ORDERS = ("after", "before", "beside")
# Some switch more than the decay off at 0 (LAMB its trust ratio): their own knob stays
# on, at a number that no digit of a weight shows.
_TINY = 1e-14
# Opposite weights take updates that are alike but for the norms of the weights.
_TINY_LR = 1e-6
_OF_UPDATES = (1e-3, "updates of a millionth, in weights of other norms")


def _multiplier(step: int) -> float:
    """Return a cosine from 1 to a tenth."""
    return 0.55 + 0.45 * math.cos(math.pi * step / _STEPS)


def _drive(training: Training, step: int) -> None:
    """Take one step with gradients that depend on the step alone."""
    training.set_multiplier(_multiplier(step))
    _pull(training, step)


def _pull(training: Training, step: int) -> None:
    # Optimizers that draw numbers draw the same ones in every training.
    torch.manual_seed(step)

    def gradient(weight: torch.Tensor, number: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(100 * step + number)
        values = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        return values.to(weight.dtype)

    training.set_gradients(gradient)
    training.step_optimizer()


def _copies(training: Training) -> list[Weights]:
    return [[each.detach().clone() for each in pair] for pair in training.weights]


def as_by_hand(subject: Subject) -> Iterator[Check]:
    """The weights go where the optimizer and a multiplication by hand take them."""
    held = Training(subject)
    native = "native" in held.controller.mechanisms
    for step in range(_STEPS):
        _drive(held, step)
    tolerance, why = held.tolerance()
    found = [
        (_distance(held, _by_hand(subject, order, _TINY if native else 0.0)), order)
        for order in (_ORDERS if native else _ORDERS[:1])
    ]
    error, order = min(found, key=lambda each: (math.isnan(each[0]), each[0]))
    yield Check(
        quantity="difference",
        measured=error,
        asked=0.0,
        error=error,
        tolerance=tolerance,
        why=why,
        note=f"it decays {order} its update",
    )


def _by_hand(subject: Subject, order: str, knob: float) -> Weights:
    """Run the optimizer alone, its knob at nothing, and decay in a plain loop."""
    alone = Training(subject, alone=True)
    _set_knob(alone, 0, knob)
    weights = alone.of_group(0)
    for step in range(_STEPS):
        shrink = _SHRINK * _multiplier(step)
        if order == "before":
            _take(weights, shrink, weights)
        began = [weight.detach().clone() for weight in weights]
        _drive(alone, step)
        if order != "before":
            _take(weights, shrink, weights if order == "after" else began)
    return [weight.detach() for weight in alone.weights[0]]


@torch.no_grad()
def _take(
    weights: Sequence[torch.Tensor], shrink: float, of: Sequence[torch.Tensor]
) -> None:
    for weight, other in zip(weights, of, strict=True):
        weight.sub_(shrink * other)


def stays(subject: Subject) -> Iterator[Check]:
    """Half is left of a weight that gradients pull at, after one half-life.

    Two trainings have opposite weights and the same gradients: half of their difference
    is what the decay left, however the gradients moved both. What rebuilds its weights
    from their start (MADGRAD, D-Adaptation) loses the decay there.
    """
    weights = subject.weights(0)
    held = [
        Training(subject, weights=[each], schedule="constant")
        for each in (weights, _opposite(weights))
    ]
    for step in range(HALF_LIFE_STEPS):
        for training in held:
            training.set_multiplier(_TINY_LR)
            _pull(training, step)
    both = zip(held[0].weights[0], held[1].weights[0], strict=True)
    halves = [(a.detach().double() - b.detach().double()) / 2 for a, b in both]
    left = zip(halves, held[0].started[0], strict=True)
    e_folds = -torch.cat([(now / then).flatten() for now, then in left]).abs().log()
    yield compared(e_folds, math.log(2), *_OF_UPDATES)


def _opposite(weights: Sequence[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(-each.detach()) for each in weights]


def _set_knob(training: Training, pair: int, knob: float) -> None:
    group = training.group_of(training.weights[pair])
    if "weight_decay" in group:
        group["weight_decay"] = knob


def _distance(held: Training, wanted: Weights) -> float:
    """Return the largest difference, as a share of the largest weight."""
    both = zip(held.weights[0], wanted, strict=True)
    differences = [float((now.detach() - then).abs().max()) for now, then in both]
    size = max(float(each.abs().max()) for each in wanted)
    # max() passes over what is no number; a sum does not.
    return max(differences) / size if math.isfinite(sum(differences)) else math.nan


def undecayed_group(subject: Subject) -> Iterator[Check]:
    """An undecayed group takes, to the last bit, the steps that it takes alone."""
    wanted = _alone_beside(subject, kept=1.0)
    held = Training(subject, groups=_SCALES)
    for step in range(_STEPS):
        _drive(held, step)
    check = bitwise_check(held.weights[1], wanted)
    decayed = _alone_beside(subject, kept=1 - _SHRINK) if check.error else wanted
    if bitwise_check(decayed, wanted).error:
        why = "by itself its steps in one group depend on the weights of the others"
        raise CannotPlayError(why)
    yield check


def _alone_beside(subject: Subject, *, kept: float) -> Weights:
    """Run the optimizer alone, the first group multiplied by hand; return the other."""
    alone = Training(subject, groups=_SCALES, alone=True)
    _set_knob(alone, 1, 0.0)
    for step in range(_STEPS):
        _drive(alone, step)
        _take(alone.of_group(0), 1 - kept, alone.of_group(0))
    return [weight.detach() for weight in alone.weights[1]]


def resumed(subject: Subject) -> Iterator[Check]:
    """Saved and loaded at any step, a training goes on to the same last bit."""
    if not _resumes(subject):
        why = "by itself it does not resume to the last bit"
        raise CannotPlayError(why)
    wanted = _until_end(Training(subject, groups=_SCALES), 0)
    unlike = [
        bitwise_check(_resumed_at(subject, step, alone=False), wanted)
        for step in range(_RESUMED_STEPS)
    ]
    yield max(unlike, key=lambda check: check.error)


def _resumes(subject: Subject) -> bool:
    """Tell whether the optimizer alone goes on to the last bit after half its steps."""
    try:
        wanted = _until_end(Training(subject, groups=_SCALES, alone=True), 0)
        again = _resumed_at(subject, _RESUMED_STEPS // 2, alone=True)
    except CannotPlayError:
        raise
    except Exception as error:  # an optimizer may raise anything
        raise CannotPlayError(said(error)) from error
    return not bitwise_check(again, wanted).error


def _until_end(training: Training, start: int) -> Weights:
    for step in range(start, _RESUMED_STEPS):
        _drive(training, step)
    return [each for pair in _copies(training) for each in pair]


def _resumed_at(subject: Subject, at: int, *, alone: bool) -> Weights:
    """Train up to a step, save, load into new objects, and train to the end."""
    first = Training(subject, groups=_SCALES, alone=alone)
    for step in range(at):
        _drive(first, step)
    second = Training(subject, groups=_SCALES, alone=alone)
    for number in range(len(_SCALES)):
        both = zip(first.of_group(number), second.of_group(number), strict=True)
        for old, new in both:
            new.data.copy_(old.detach())
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    if not alone:
        second.controller.load_state_dict(_stored(first.controller.state_dict()))
    return _until_end(second, at)


def _stored(state: dict[str, Any]) -> dict[str, Any]:
    """Send a state through a file, as a checkpoint does."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
