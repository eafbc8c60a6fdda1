"""One small training under a controller: its weights, optimizer and expected decay."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.pytorch.controller import DecayController
from dwindle.pytorch.options import set_option

# The class of an optimizer will do; options are set with a lambda or a partial.
Factory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
Gradient = Callable[[torch.Tensor, int], torch.Tensor | None]

# float32 keeps a weight to 2^-24 at each step. The worst of 22 weights is then off by
# 4e-7 after 64 steps (seen; the roundings go either way), of 1 to 2.8 e-folds. A factor
# 1 − s that is rounded to 2^-25 adds 7e-7 at a half-life of 16 steps, so 1e-6 is met.
HALF_LIFE_STEPS = 16
STEPS = 4 * HALF_LIFE_STEPS  # a sixteenth is left: well above the roundings
TOLERANCES: Mapping[torch.dtype, tuple[float, str]] = {
    torch.float64: (1e-12, "64 roundings of 1e-16, in 1 to 3 e-folds"),
    torch.float32: (1e-6, "64 roundings of 6e-8 either way, in 1 to 3 e-folds"),
}
# Two matrices, because Muon takes nothing else, and a mistake in a list shows on two.
_SHAPES = ((4, 4), (3, 2))
# One more in each group is always pulled at, this way and that: an optimizer may skip a
# step whose gradients are all zero, and a training has no such steps.
_BESIDE, _SEED_BESIDE, _TURNS = (4, 4), 1000, 8


class CannotPlayError(Exception):
    """The optimizer by itself cannot play the scenario."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The optimizer that is certified, in one number format."""

    factory: Factory
    dtype: torch.dtype

    def weights(self, seed: int) -> list[torch.nn.Parameter]:
        """Return two matrices of both signs, from a quarter to four."""
        generator = torch.Generator().manual_seed(seed)
        return [self._weight(shape, generator) for shape in _SHAPES]

    def bystander(self, seed: int) -> torch.nn.Parameter:
        """Return the matrix of a group that is always pulled at."""
        generator = torch.Generator().manual_seed(_SEED_BESIDE + seed)
        return self._weight(_BESIDE, generator)

    def _weight(
        self, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.nn.Parameter:
        size, side = torch.rand((2, *shape), generator=generator, dtype=torch.float64)
        values = 2 ** (4 * size - 2) * (side - 0.5).sign()
        return torch.nn.Parameter(values.to(self.dtype))

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return the optimizer alone."""
        try:
            return self.factory(groups)
        except Exception as error:  # an optimizer may raise anything
            raise CannotPlayError(as_one_line(error)) from error


class KitTraining:
    """Owns the weights, the optimizer and, unless it is alone, its controller.

    Each group of these options gets two matrices, unless other weights are given. A
    training that is alone has no controller: it is what others are compared with. The
    half-life of the controller is 16 steps unless its options have another.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        groups: Sequence[Mapping[str, Any]] = ({},),
        scheduler: Callable[[torch.optim.Optimizer], LRScheduler] | None = None,
        weights: list[list[torch.nn.Parameter]] | None = None,
        alone: bool = False,
        **options: Any,  # Any: arguments of the controller
    ) -> None:
        seeds = range(len(groups))
        self.weights = weights or [subject.weights(seed) for seed in seeds]
        # Copies in float64, also of a weight that is in float64 already.
        self.started = [
            [weight.detach().to(torch.float64, copy=True) for weight in pair]
            for pair in self.weights
        ]
        self.bystanders = [subject.bystander(seed) for seed in seeds]
        self.optimizer = subject.build(
            [
                {"params": self.of_group(number), **group}
                for number, group in enumerate(groups)
            ]
        )
        self._steps = 0
        self.peaks = self.learning_rates()
        self.scheduler = None if scheduler is None else scheduler(self.optimizer)
        held = {
            "half_life": f"{HALF_LIFE_STEPS} steps",
            "scheduler": self.scheduler,
            "steps": STEPS,  # so far a scheduler that is a function of the step is read
        }
        self._controller = (
            None if alone else DecayController(self.optimizer, **held | options)
        )
        needs = inspect.signature(type(self.optimizer).step).parameters.get("closure")
        self.needs_closure = needs is not None and needs.default is needs.empty

    @property
    def controller(self) -> DecayController:
        """The controller, in a training that is not alone."""
        if self._controller is None:
            why = "there is no controller"
            raise CannotPlayError(why)
        return self._controller

    def of_group(self, number: int) -> list[torch.nn.Parameter]:
        """Return all weights of a group, its bystander last."""
        return [*self.weights[number], self.bystanders[number]]

    def group_of(self, pair: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Return the optimizer's group of these weights; some regroup them."""
        return next(
            group
            for group in self.optimizer.param_groups
            if any(each is pair[0] for each in group["params"])
        )

    def learning_rates(self) -> list[float]:
        """Return the lr of each pair of weights, as the next step will use it."""
        rates = [self.group_of(pair).get("lr") for pair in self.weights]
        if None in rates:
            why = "its groups have no lr, and a decay that follows the lr needs one"
            raise CannotPlayError(why)
        return [float(lr) for lr in rates if lr is not None]

    def multipliers(self) -> list[float]:
        """Return lr now over peak lr of each pair."""
        pairs = zip(self.learning_rates(), self.peaks, strict=True)
        return [now / peak for now, peak in pairs]

    def set_multiplier(self, multiplier: float) -> None:
        """Set every lr to this share of its peak, in place where it is a tensor."""
        for pair, peak in zip(self.weights, self.peaks, strict=True):
            set_option(self.group_of(pair), "lr", peak * multiplier)

    def set_gradients(self, gradient: Gradient) -> None:
        """Fill the gradients: ``gradient(weight, number of the weight)``."""
        flat = [weight for pair in self.weights for weight in pair]
        for number, weight in enumerate(flat):
            weight.grad = gradient(weight, number)
        pull = -1.0 if self._steps // _TURNS % 2 else 1.0
        for each in self.bystanders:
            each.grad = torch.full_like(each, pull)

    def step(self, gradient: Gradient) -> None:
        """Step the optimizer, and the scheduler if there is one."""
        self.set_gradients(gradient)
        self.step_optimizer()
        if self.scheduler is not None:
            self.scheduler.step()

    def step_optimizer(self) -> None:
        """Call ``step`` as a loop does; with a closure only where one is required."""
        self._steps += 1
        if self.needs_closure:
            self.optimizer.step(lambda: 0.0)
        else:
            self.optimizer.step()

    def e_folds(self, pair: int) -> torch.Tensor:
        """Return −ln of what is left of each weight of a pair."""
        both = zip(self.weights[pair], self.started[pair], strict=True)
        left = [(now.detach().double() / start).flatten() for now, start in both]
        return -torch.cat(left).log()

    def tolerance(self) -> tuple[float, str]:
        """Return the tolerance of the coarsest format in play, and its reason."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        held = [*self.optimizer.param_groups[0]["params"], *rates]
        formats = {each.dtype for each in held if isinstance(each, torch.Tensor)}
        return max(TOLERANCES[dtype] for dtype in formats if dtype in TOLERANCES)


def zero(weight: torch.Tensor, _: int) -> torch.Tensor:
    """Return a gradient of zero."""
    return torch.zeros_like(weight)


def one(weight: torch.Tensor, _: int) -> torch.Tensor:
    """Return a gradient that is not zero."""
    return torch.ones_like(weight)


def expected_e_folds(shares: Iterable[float], *, scale: float = 1.0) -> float:
    """Return −ln of what is left when each step takes its share of the decay at peak.

    ``scale`` multiplies the rate of decay: a quarter is a half-life of 64 steps.
    """
    shrink = shrink_from_half_life(HALF_LIFE_STEPS / scale)
    return -math.fsum(math.log1p(-shrink * share) for share in shares)


def as_one_line(error: Exception) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
