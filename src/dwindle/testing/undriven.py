"""Scenarios with zero gradients: the decay alone, against what was asked for."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from dwindle.testing.certificate import Check
from dwindle.testing.training import (
    HALF_LIFE_STEPS,
    STEPS,
    CannotPlayError,
    Subject,
    Training,
    asked_e_folds,
    said,
    zero,
)

# Share of the peak's decay at a multiple of the peak lr: what each schedule means.
_SHARES: Mapping[str, Callable[[float], float]] = {
    "follow-lr": lambda multiplier: multiplier,
    "constant": lambda _: 1.0,
    "lr-squared": lambda multiplier: multiplier**2,
}
_WARM_UP = 8


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way of the lr, and how the decay has to follow it.

    Args:
        schedule: As the controller takes it.
        scheduler: Builds the lr scheduler, if there is one.
        by_hand: What the loop itself multiplies the lr with before each step, if it
            does, as loops without a scheduler do.
        groups: Options of the parameter groups.
        scales: Share of the decay that each group was marked for.

    """

    schedule: str
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    by_hand: Callable[[int], float] | None = None
    groups: tuple[Mapping[str, Any], ...] = ({},)
    scales: tuple[float, ...] = (1.0,)

    def play(self, subject: Subject) -> Iterator[Check]:
        """Take 64 steps and compare every group's e-folds.

        Raises:
            CannotPlayError: If the optimizer alone cannot step along this path.

        """
        try:
            training = self._training(subject, schedule=self.schedule)
            shares = self._walked(training)
        except CannotPlayError:
            raise
        except Exception:  # is it the controller's, or the optimizer's own?
            _try(lambda: self._walked(self._training(subject, alone=True)))
            raise
        for pair, (scale, taken) in enumerate(
            zip(self.scales, zip(*shares, strict=True), strict=True)
        ):
            asked = asked_e_folds(taken, scale=scale)
            yield e_folds_check(training, pair, asked)

    def _training(self, subject: Subject, **options: Any) -> Training:
        return Training(
            subject, groups=self.groups, scheduler=self.scheduler, **options
        )

    def _walked(self, training: Training) -> list[list[float]]:
        """Take the steps; return the share of the decay that each step had to take."""
        shares: list[list[float]] = []
        for step in range(STEPS):
            if self.by_hand is not None:
                training.set_multiplier(self.by_hand(step))
            follow = _SHARES[self.schedule]
            shares.append([follow(each) for each in training.multipliers()])
            training.step(zero)
        return shares


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


def _warm_up_from_an_eighth(step: int) -> float:
    return _warm_up(step + 1)


def _jumps(step: int) -> float:
    return (1.0, 0.1, 10.0, 1.0)[step * 4 // STEPS % 4]


def _halving(step: int) -> float:
    return math.ldexp(1.0, -(step // 24))


_HIGH_AND_LOW: tuple[Mapping[str, Any], ...] = ({"lr": 3e-3}, {"lr": 1e-3})
PATHS: Mapping[str, Path] = {
    "constant lr": Path(schedule="follow-lr"),
    "cosine, follow-lr": Path(schedule="follow-lr", scheduler=_cosine),
    "warm-up from lr 0, follow-lr": Path(
        schedule="follow-lr", scheduler=_lambda(_warm_up)
    ),
    "warm-up from lr 0, constant": Path(
        schedule="constant", scheduler=_lambda(_warm_up)
    ),
    "lr ÷10 and ×10, constant": Path(schedule="constant", scheduler=_lambda(_jumps)),
    "cosine, lr-squared": Path(schedule="lr-squared", scheduler=_cosine),
    "warm-up set by hand, follow-lr": Path(
        schedule="follow-lr", by_hand=_warm_up_from_an_eighth
    ),
    "a lr per group, follow-lr": Path(
        schedule="follow-lr",
        scheduler=_lambda(_warm_up, _halving),
        groups=_HIGH_AND_LOW,
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
    groups = ({"decay_scale": 1.0}, {"decay_scale": 0.0})
    training = Training(subject, groups=groups)
    for _ in range(STEPS):
        training.step(zero)
    yield e_folds_check(training, 0, asked_e_folds([1.0] * STEPS))
    yield bitwise_check(training.weights[1], training.started[1])


def without_gradient(subject: Subject) -> Iterator[Check]:
    """A weight whose gradient is None does not decay in that step."""
    training = Training(subject)
    try:
        _now_and_then(training)
    except Exception:  # is it the controller's, or the optimizer's own?
        _try(lambda: _now_and_then(Training(subject, alone=True)))
        raise
    (never, sometimes), (start, _) = training.weights[0], training.started[0]
    yield bitwise_check([never], [start])
    asked = asked_e_folds([1.0] * (STEPS // 2))
    count = sometimes.numel()
    yield compared(training.e_folds(0)[-count:], asked, *training.tolerance())


def _now_and_then(training: Training) -> None:
    for step in range(STEPS):
        # The second weight has a gradient in every other step, the first in none.
        def gradient(weight: torch.Tensor, number: int, at: int = step) -> Any:
            return zero(weight, number) if number and at % 2 else None

        training.step(gradient)


def _try(alone: Callable[[], object]) -> None:
    """Raise CannotPlayError where the optimizer fails without a controller, too."""
    try:
        alone()
    except Exception as error:  # an optimizer may raise anything
        raise CannotPlayError(said(error)) from error


def accumulation(subject: Subject) -> Iterator[Check]:
    """Four backward passes per step: the examples of all four count, once."""
    micro, passes = 8, 4
    examples = HALF_LIFE_STEPS * micro * passes
    training = Training(
        subject, half_life=f"{examples} examples", batch_size=micro * passes
    )
    for _ in range(STEPS):
        training.set_gradients(zero)
        for _ in range(passes - 1):
            for weight in training.weights[0]:
                if weight.grad is not None:
                    weight.grad += torch.zeros_like(weight)
        training.step_optimizer()
    yield e_folds_check(training, 0, asked_e_folds([1.0] * STEPS))


def batch_size(subject: Subject) -> Iterator[Check]:
    """Twice the batch: half as many steps to the same half-life in epochs."""
    # 8 steps per epoch: 2 epochs are 16 steps, and 8 once the batch is doubled.
    training = Training(subject, half_life="2 epochs", batch_size=32, dataset_size=256)
    for _ in range(HALF_LIFE_STEPS):
        training.step(zero)
    training.controller.batch_size = 64
    for _ in range(HALF_LIFE_STEPS):
        training.step(zero)
    yield e_folds_check(training, 0, 3 * math.log(2))


def skipped_steps(subject: Subject) -> Iterator[Check]:
    """A step that GradScaler skips, around ``step`` or inside, decays nothing."""
    _try_scaler(subject)
    training = Training(subject)
    scaler = _scaler()
    for step in range(STEPS):
        _step_scaled(training, scaler, overflows=step % 4 == 1)
    performed = STEPS * 3 // 4
    yield e_folds_check(training, 0, asked_e_folds([1.0] * performed))
    yield count_check("steps counted", training.controller.steps_done, performed)


def _try_scaler(subject: Subject) -> None:
    alone = Training(subject, alone=True)
    _try(lambda: _step_scaled(alone, _scaler(), overflows=False))


def _scaler() -> torch.amp.GradScaler:
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    scaler.scale(torch.zeros(()))
    return scaler


def _step_scaled(
    training: Training, scaler: torch.amp.GradScaler, *, overflows: bool
) -> None:
    training.set_gradients(
        lambda weight, number: torch.full_like(
            weight, math.inf if overflows and not number else 0.0
        )
    )
    scaler.step(training.optimizer)
    scaler.update()


def e_folds_check(training: Training, pair: int, asked: float) -> Check:
    """Compare all weights of a pair with what was asked for."""
    return compared(training.e_folds(pair), asked, *training.tolerance())


def compared(e_folds: torch.Tensor, asked: float, tolerance: float, why: str) -> Check:
    """Compare the e-folds of weights, the worst of them, with what was asked for."""
    errors = (e_folds / asked - 1).abs()
    # A weight that is no longer a number is the worst of all.
    worst = int(errors.nan_to_num(nan=math.inf).argmax())
    return Check(
        quantity="e-folds",
        measured=float(e_folds[worst]),
        asked=asked,
        error=float(errors[worst]),
        tolerance=tolerance,
        why=why,
    )


def bitwise_check(
    weights: Sequence[torch.Tensor],
    wanted: Sequence[torch.Tensor],
    quantity: str = "unlike weights",
) -> Check:
    """Count the weights that are not, to the last bit, what they had to be."""
    both = zip(weights, wanted, strict=True)
    unlike = sum(int((now.detach().double() != then).sum()) for now, then in both)
    return Check(
        quantity=quantity,
        measured=float(unlike),
        asked=0.0,
        error=float(unlike),
        tolerance=0.0,
        why="nothing may touch them",
    )


def count_check(quantity: str, measured: int, asked: int) -> Check:
    """Compare two counts, which must agree."""
    return Check(
        quantity=quantity,
        measured=float(measured),
        asked=float(asked),
        error=float(abs(measured - asked)),
        tolerance=0.0,
        why="a count is exact",
    )
