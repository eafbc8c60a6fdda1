"""Scenarios: what happens in small trainings, and what must hold then.

With gradients of zero the decay alone is compared with the expected one; with other
gradients the optimizer's steps must stay what they are. The optimizer itself is
stepped here, no copy of it, by a real controller: a certificate that stood on the
controller's own trials would pass what they overlook.
"""

import copy
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.testing.certificate import Check
from dwindle.testing.training import (
    HALF_LIFE_STEPS,
    STEPS,
    CannotPlayError,
    KitTraining,
    Subject,
    as_one_line,
    expected_e_folds,
    zero,
)

Weights = Sequence[torch.Tensor]
_Played = TypeVar("_Played")
# Share of the peak's decay at a multiple of the peak lr: what each schedule means.
_SHARES: Mapping[str, Callable[[float], float]] = {
    "follow-lr": lambda multiplier: multiplier,
    "constant": lambda _: 1.0,
    "lr-squared": lambda multiplier: multiplier**2,
}
# Steps. A Lookahead goes back twice in twelve; each of the eight is a place to resume.
_WARM_UP = 8
_DRIVEN_STEPS, _RESUMED_STEPS = 12, 8
_SHRINK = shrink_from_half_life(HALF_LIFE_STEPS)
_ONE_DECAYS: tuple[Mapping[str, Any], ...] = (
    {"decay_scale": 1.0},
    {"decay_scale": 0.0},
)
# When a step decays: ours after the update; decoupled optimizers also before it, or
# beside it, both from the weight that the step began with.
_ORDERS = ("after", "before", "beside")
# Some switch more than the decay off at 0 (LAMB its trust ratio): their knob stays
# on, at a number that no digit of a weight shows.
_TINY = 1e-14
# Opposite weights take updates that are alike but for the norms of the weights.
_TINY_LR = 1e-6
_OF_UPDATES = (1e-3, "updates of a millionth, in weights of other norms")


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way of the lr, and how the decay has to follow it.

    ``by_hand`` is what the loop itself multiplies the lr with before each step, as
    loops without a scheduler do; ``scales``, the share of the decay that each group was
    marked for.
    """

    schedule: str
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    by_hand: Callable[[int], float] | None = None
    groups: tuple[Mapping[str, Any], ...] = ({},)
    scales: tuple[float, ...] = (1.0,)

    def play(self, subject: Subject) -> Iterator[Check]:
        """Take 64 steps and compare every group's e-folds."""
        follow = _SHARES[self.schedule]

        def walked(**options: Any) -> tuple[KitTraining, list[list[float]]]:
            training, shares = KitTraining(subject, groups=self.groups, **options), []
            for step in range(STEPS):
                if self.by_hand is not None:
                    training.set_multiplier(self.by_hand(step))
                # Of the decay, what this step has to take.
                shares.append([follow(each) for each in training.multipliers()])
                training.step(zero)
            return training, shares

        training, shares = _blaming(
            partial(walked, scheduler=self.scheduler), schedule=self.schedule
        )
        taken = zip(*shares, strict=True)
        for pair, (scale, mine) in enumerate(zip(self.scales, taken, strict=True)):
            yield e_folds_check(training, pair, expected_e_folds(mine, scale=scale))


def _lambda(*multipliers: Callable[[int], float]) -> Callable[[Optimizer], LRScheduler]:
    """Build a scheduler from one function of the step for all groups, or for each."""
    functions = list(multipliers)
    return lambda optimizer: LambdaLR(
        optimizer, functions if len(functions) > 1 else functions[0]
    )


def _cosine(optimizer: Optimizer) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=STEPS)


def _warm_up(step: int) -> float:
    return min(1.0, step / _WARM_UP)


PATHS: Mapping[str, Path] = {
    "constant lr": Path(schedule="follow-lr"),
    "cosine, follow-lr": Path(schedule="follow-lr", scheduler=_cosine),
    "warm-up from lr 0, follow-lr": Path(
        schedule="follow-lr", scheduler=_lambda(_warm_up)
    ),
    "warm-up from lr 0, constant": Path(
        schedule="constant", scheduler=_lambda(_warm_up)
    ),
    "lr ÷10 and ×10, constant": Path(
        schedule="constant",
        scheduler=_lambda(lambda step: (1.0, 0.1, 10.0, 1.0)[step * 4 // STEPS % 4]),
    ),
    "cosine, lr-squared": Path(schedule="lr-squared", scheduler=_cosine),
    "warm-up set by hand, follow-lr": Path(
        schedule="follow-lr", by_hand=lambda step: _warm_up(step + 1)
    ),
    "a lr per group, follow-lr": Path(
        schedule="follow-lr",
        scheduler=_lambda(_warm_up, lambda step: math.ldexp(1.0, -(step // 24))),
        groups=({"lr": 3e-3}, {"lr": 1e-3}),
        scales=(1.0, 1.0),
    ),
    "a decay scale per group": Path(
        schedule="follow-lr",
        groups=({"decay_scale": 1.0}, {"decay_scale": 0.5}),
        scales=(1.0, 0.5),
    ),
}


def undecayed(subject: Subject) -> Iterator[Check]:
    """A group marked as never decayed keeps every bit; the other one decays."""
    training = KitTraining(subject, groups=_ONE_DECAYS)
    for _ in range(STEPS):
        training.step(zero)
    yield e_folds_check(training, 0, expected_e_folds([1.0] * STEPS))
    yield bitwise_check(training.weights[1], training.started[1])


def without_gradient(subject: Subject) -> Iterator[Check]:
    """A weight whose gradient is None does not decay in that step."""

    def now_and_then(**options: Any) -> KitTraining:
        training = KitTraining(subject, **options)
        for step in range(STEPS):
            # The second weight has a gradient in every other step, the first in none.
            def gradient(weight: torch.Tensor, number: int, at: int = step) -> Any:
                return zero(weight, number) if number and at % 2 else None

            training.step(gradient)
        return training

    training = _blaming(now_and_then)
    (never, sometimes), (start, _) = training.weights[0], training.started[0]
    yield bitwise_check([never], [start])
    expected = expected_e_folds([1.0] * (STEPS // 2))
    mine = training.e_folds(0)[-sometimes.numel() :]
    yield compared(mine, expected, *training.tolerance())


def accumulation(subject: Subject) -> Iterator[Check]:
    """Four backward passes per step: the examples of all four count, once."""
    # Counted four times, the half-life would be a quarter as many steps.
    micro, passes = 8, 4
    examples = HALF_LIFE_STEPS * micro * passes
    training = KitTraining(
        subject, half_life=f"{examples} examples", batch_size=micro * passes
    )
    for _ in range(STEPS):
        training.set_gradients(zero)
        for _ in range(passes - 1):
            for weight in training.weights[0]:
                if weight.grad is not None:
                    weight.grad += torch.zeros_like(weight)
        training.step_optimizer()
    yield e_folds_check(training, 0, expected_e_folds([1.0] * STEPS))


def batch_size(subject: Subject) -> Iterator[Check]:
    """Twice the batch: half as many steps to the same half-life in epochs."""
    # 8 steps per epoch: 2 epochs are 16 steps, and 8 once the batch is doubled.
    training = KitTraining(
        subject, half_life="2 epochs", batch_size=32, dataset_size=256
    )
    for size in (32, 64):
        training.controller.batch_size = size
        for _ in range(HALF_LIFE_STEPS):
            training.step(zero)
    # One half-life of 16 steps, then two of 8.
    yield e_folds_check(training, 0, 3 * math.log(2))


def skipped_steps(subject: Subject) -> Iterator[Check]:
    """A step that GradScaler skips, around ``step`` or inside, decays nothing."""
    alone = KitTraining(subject, alone=True)
    _try(lambda: _step_scaled(alone, _scaler(), overflows=False))
    training, scaler = KitTraining(subject), _scaler()
    for step in range(STEPS):
        _step_scaled(training, scaler, overflows=step % 4 == 1)
    performed = STEPS * 3 // 4
    yield e_folds_check(training, 0, expected_e_folds([1.0] * performed))
    counted = training.controller.steps_done
    yield Check(
        quantity="steps counted",
        measured=float(counted),
        asked=float(performed),
        error=float(abs(counted - performed)),
        tolerance=0.0,
        why="a count is exact",
    )


def _scaler() -> torch.amp.GradScaler:
    # A scale of 1: a gradient of 0 stays as it is.
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    scaler.scale(torch.zeros(()))
    return scaler


def _step_scaled(
    training: KitTraining, scaler: torch.amp.GradScaler, *, overflows: bool
) -> None:
    training.set_gradients(
        lambda weight, number: torch.full_like(
            weight, math.inf if overflows and not number else 0.0
        )
    )
    scaler.step(training.optimizer)
    scaler.update()


def as_by_hand(subject: Subject) -> Iterator[Check]:
    """The weights go where the optimizer and a multiplication by hand take them."""
    held = KitTraining(subject)
    native = "native" in held.controller.mechanisms
    for step in range(_DRIVEN_STEPS):
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
    alone = KitTraining(subject, alone=True)
    _set_knob(alone, 0, knob)
    weights = alone.of_group(0)
    for step in range(_DRIVEN_STEPS):
        shrink = _SHRINK * _multiplier(step)
        if order == "before":
            _take(weights, shrink, weights)
        began = [weight.detach().clone() for weight in weights]
        _drive(alone, step)
        if order != "before":
            _take(weights, shrink, weights if order == "after" else began)
    return [weight.detach() for weight in alone.weights[0]]


def opposite_weights(subject: Subject) -> Iterator[Check]:
    """Half is left of a weight that gradients pull at, after one half-life.

    Two trainings have opposite weights and the same gradients: half of their difference
    is what the decay left, however the gradients moved both. What rebuilds its weights
    from their start (MADGRAD, D-Adaptation) loses the decay there.
    """
    weights = subject.weights(0)
    opposite = [torch.nn.Parameter(-each.detach()) for each in weights]
    held = [
        KitTraining(subject, weights=[each], schedule="constant")
        for each in (weights, opposite)
    ]
    for step in range(HALF_LIFE_STEPS):
        for training in held:
            training.set_multiplier(_TINY_LR)
            _pull(training, step)
    both = zip(held[0].weights[0], held[1].weights[0], strict=True)
    # In double precision: the difference of two rounded weights is all there is.
    halves = [(a.detach().double() - b.detach().double()) / 2 for a, b in both]
    left = zip(halves, held[0].started[0], strict=True)
    e_folds = -torch.cat([(now / then).flatten() for now, then in left]).abs().log()
    yield compared(e_folds, math.log(2), *_OF_UPDATES)


def undecayed_beside_decayed(subject: Subject) -> Iterator[Check]:
    """An undecayed group takes, to the last bit, the steps that it takes alone."""
    wanted = _alone_beside(subject, kept=1.0)
    held = KitTraining(subject, groups=_ONE_DECAYS)
    for step in range(_DRIVEN_STEPS):
        _drive(held, step)
    check = bitwise_check(held.weights[1], wanted)
    decayed = _alone_beside(subject, kept=1 - _SHRINK) if check.error else wanted
    if bitwise_check(decayed, wanted).error:
        why = "by itself its steps in one group depend on the weights of the others"
        raise CannotPlayError(why)
    yield check


def _alone_beside(subject: Subject, *, kept: float) -> Weights:
    """Run the optimizer alone, the first group multiplied by hand; return the other."""
    alone = KitTraining(subject, groups=_ONE_DECAYS, alone=True)
    _set_knob(alone, 1, 0.0)
    for step in range(_DRIVEN_STEPS):
        _drive(alone, step)
        _take(alone.of_group(0), 1 - kept, alone.of_group(0))
    return [weight.detach() for weight in alone.weights[1]]


def resumed(subject: Subject) -> Iterator[Check]:
    """Saved and loaded at any step, a training goes on to the same last bit."""
    try:  # does the optimizer alone do so after half of its steps?
        wanted = _until_end(KitTraining(subject, groups=_ONE_DECAYS, alone=True), 0)
        again = _resumed_at(subject, _RESUMED_STEPS // 2, alone=True)
    except CannotPlayError:
        raise
    except Exception as error:  # an optimizer may raise anything
        raise CannotPlayError(as_one_line(error)) from error
    if bitwise_check(again, wanted).error:
        why = "by itself it does not resume to the last bit"
        raise CannotPlayError(why)
    wanted = _until_end(KitTraining(subject, groups=_ONE_DECAYS), 0)
    unlike = [
        bitwise_check(_resumed_at(subject, step, alone=False), wanted)
        for step in range(_RESUMED_STEPS)
    ]
    yield max(unlike, key=lambda check: check.error)


def _until_end(training: KitTraining, start: int) -> Weights:
    for step in range(start, _RESUMED_STEPS):
        _drive(training, step)
    return [each.detach().clone() for pair in training.weights for each in pair]


def _resumed_at(subject: Subject, at: int, *, alone: bool) -> Weights:
    """Train up to a step, save, load into new objects, and train to the end."""
    first, second = (
        KitTraining(subject, groups=_ONE_DECAYS, alone=alone) for _ in range(2)
    )
    for step in range(at):
        _drive(first, step)
    for number in range(len(_ONE_DECAYS)):
        both = zip(first.of_group(number), second.of_group(number), strict=True)
        for old, new in both:
            new.data.copy_(old.detach())
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    if not alone:
        file = io.BytesIO()  # as a checkpoint goes
        torch.save(first.controller.state_dict(), file)
        file.seek(0)
        second.controller.load_state_dict(torch.load(file, weights_only=True))
    return _until_end(second, at)


def _multiplier(step: int) -> float:
    """Return a cosine from 1 to a tenth."""
    return 0.55 + 0.45 * math.cos(math.pi * step / _DRIVEN_STEPS)


def _drive(training: KitTraining, step: int) -> None:
    """Take one step with gradients that depend on the step alone."""
    training.set_multiplier(_multiplier(step))
    _pull(training, step)


def _pull(training: KitTraining, step: int) -> None:
    # Optimizers that draw numbers draw the same ones in every training.
    torch.manual_seed(step)

    def gradient(weight: torch.Tensor, number: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(100 * step + number)
        values = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        return values.to(weight.dtype)

    training.set_gradients(gradient)
    training.step_optimizer()


@torch.no_grad()
def _take(weights: Weights, shrink: float, of: Weights) -> None:
    for weight, other in zip(weights, of, strict=True):
        weight.sub_(shrink * other)


def _set_knob(training: KitTraining, pair: int, knob: float) -> None:
    group = training.group_of(training.weights[pair])
    if "weight_decay" in group:
        group["weight_decay"] = knob


def _blaming(play: Callable[..., _Played], **held: Any) -> _Played:
    """Play with a controller; where that fails, is it its fault, or the optimizer's?"""
    try:
        return play(**held)
    except CannotPlayError:
        raise
    except Exception:  # an optimizer may raise anything
        _try(lambda: play(alone=True))
        raise


def _try(alone: Callable[[], object]) -> None:
    """Raise CannotPlayError where the optimizer fails without a controller, too."""
    try:
        alone()
    except Exception as error:  # an optimizer may raise anything
        raise CannotPlayError(as_one_line(error)) from error


def _distance(held: KitTraining, wanted: Weights) -> float:
    """Return the largest difference, as a share of the largest weight."""
    both = zip(held.weights[0], wanted, strict=True)
    differences = [float((now.detach() - then).abs().max()) for now, then in both]
    size = max(float(each.abs().max()) for each in wanted)
    # max() passes over what is no number; a sum does not.
    return max(differences) / size if math.isfinite(sum(differences)) else math.nan


def e_folds_check(training: KitTraining, pair: int, expected: float) -> Check:
    """Compare all weights of a pair with the expected e-folds."""
    return compared(training.e_folds(pair), expected, *training.tolerance())


def compared(
    e_folds: torch.Tensor, expected: float, tolerance: float, why: str
) -> Check:
    """Compare the e-folds of weights, the worst of them, with the expected ones."""
    errors = (e_folds / expected - 1).abs()
    # A weight that is no longer a number is the worst of all.
    worst = int(errors.nan_to_num(nan=math.inf).argmax())
    return Check(
        quantity="e-folds",
        measured=float(e_folds[worst]),
        asked=expected,
        error=float(errors[worst]),
        tolerance=tolerance,
        why=why,
    )


def bitwise_check(weights: Weights, wanted: Weights) -> Check:
    """Count the weights that are not, to the last bit, what they had to be."""
    both = zip(weights, wanted, strict=True)
    unlike = float(sum(int((now.detach() != then).sum()) for now, then in both))
    return Check(
        quantity="unlike weights",
        measured=unlike,
        asked=0.0,
        error=unlike,
        tolerance=0.0,
        why="nothing may touch them",
    )
