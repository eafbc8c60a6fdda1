"""Pace: how often a loop steps its scheduler, as it was given or as its plan suggests.

A scheduler does not know: ``T_max=30`` is thirty steps or thirty epochs, and the two
leave quite different weights.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch.optim import lr_scheduler

from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.copying.quiet import undisturbed
from dwindle.pytorch.probing.follower import ASKED, Follower

# "step", "epoch", or so many steps.
Every = int | str

# A plan that is over after this part of a run was made for another clock, or is the
# warm-up of a constant lr.
_EARLY = 1 / 50
# The lr has fallen where a tenth of it is left, but for rounding and a floor.
_FALLEN = 0.11
# A plan as long as the run, within this part of it, was made for its steps.
_AS_LONG = 0.01
_TO_A_TENTH = math.log(0.1)

_Named = tuple[str, float]
# Any: each reads its own scheduler of torch.
_PLANS: Mapping[type, Callable[[Any], _Named]] = {
    lr_scheduler.StepLR: lambda it: ("step_size", it.step_size),
    lr_scheduler.MultiStepLR: lambda it: ("milestones", max(it.milestones, default=0)),
    lr_scheduler.CosineAnnealingLR: lambda it: ("T_max", it.T_max),
    lr_scheduler.CosineAnnealingWarmRestarts: lambda it: ("T_0", it.T_0),
    lr_scheduler.OneCycleLR: lambda it: ("total_steps", it.total_steps),
    lr_scheduler.CyclicLR: lambda it: ("step_size", it.total_size),
    lr_scheduler.PolynomialLR: lambda it: ("total_iters", it.total_iters),
    lr_scheduler.LinearLR: lambda it: ("total_iters", it.total_iters),
    lr_scheduler.ConstantLR: lambda it: ("total_iters", it.total_iters),
}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many steps of the optimizer there are between two of the scheduler.

    Args:
        every: That number.
        unit: ``step``, ``epoch``, or ``N steps``.
        known_from: ``given``, ``scheduler`` (it says so itself, or its plan is as long
            as the run) or ``guess``.
        why: What a guess was made from.

    """

    every: int
    unit: str
    known_from: Literal["given", "scheduler", "guess"]
    why: str = ""

    @property
    def is_guessed(self) -> bool:
        """Whether nobody said it."""
        return self.known_from == "guess"


def read_every(every: Every | None, *, steps_per_epoch: int | None) -> int | None:
    """Return a pace in steps; None where none is given, or epochs of unknown length.

    Raises:
        RangeError: If it is neither ``step``, ``epoch`` nor a number of steps.

    Example:
        >>> read_every("step", steps_per_epoch=None), read_every(391, steps_per_epoch=1)
        (1, 391)

    """
    if every is None or every == "epoch":
        return steps_per_epoch if every else None
    if every == "step":
        return 1
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        must = '"step", "epoch" or the steps between two of the scheduler, at least 1'
        raise RangeError("every", repr(every), must, 'Write every="epoch".')
    return every


def pace_of(
    follower: Follower,
    *,
    steps: int,
    steps_per_epoch: int | None = None,
    every: Every | None = None,
) -> Pace:
    """Return how often a scheduler steps: as given, as it says itself, or guessed.

    Args:
        follower: A copy of the scheduler that may be stepped; it is used up.
        steps: Steps of the run.
        steps_per_epoch: Steps of an epoch, where they are known.
        every: What the user says.

    Raises:
        RefusedError: If it is not given, and the scheduler's plan is so short beside
            the run that it may count epochs, whose length is not known.
        RangeError: If what is given is no pace.

    """
    given = read_every(every, steps_per_epoch=steps_per_epoch)
    if every == "epoch" or (every is None and follower.in_epochs):
        if steps_per_epoch is None:
            raise _no_epoch(follower.name)
        source: Literal["given", "scheduler"] = "given" if every else "scheduler"
        return Pace(every=steps_per_epoch, unit="epoch", known_from=source)
    if given is not None:
        unit = "step" if given == 1 else f"{given:,} steps"
        return Pace(every=given, unit=unit, known_from="given")
    if follower.scheduler is None or follower.in_epochs is False:
        return Pace(every=1, unit="step", known_from="scheduler")
    return _guessed(follower, steps, steps_per_epoch)


def _guessed(follower: Follower, steps: int, steps_per_epoch: int | None) -> Pace:
    boundary = _boundary(steps, steps_per_epoch)
    name, length = _plan(follower.scheduler) or _fall(follower, boundary)
    why = f"the {name} of its {follower.name} is {length:,.4g}"
    if not name:
        why = f"the lr of its {follower.name} does not fall early"
    if name and abs(length - steps) <= _AS_LONG * steps:
        return Pace(every=1, unit="step", known_from="scheduler", why=why)
    if _is_warmup(follower.scheduler):
        boundary = steps / (steps_per_epoch or math.inf)
    if length > boundary or steps_per_epoch == 1:
        return Pace(every=1, unit="step", known_from="guess", why=why)
    if steps_per_epoch is None:
        raise _unclear(f"{why[0].upper()}{why[1:]}", steps)
    return Pace(every=steps_per_epoch, unit="epoch", known_from="guess", why=why)


def _boundary(steps: int, steps_per_epoch: int | None) -> float:
    """Return the length of a plan that is as far from the epochs as from the steps."""
    if steps_per_epoch is None:
        return _EARLY * steps
    return math.sqrt(steps * max(1.0, steps / steps_per_epoch))


def _plan(scheduler: Any) -> _Named | None:  # of torch or timm
    """Return the length of a plan in steps of the scheduler, and its argument's name.

    Of a sequence the length of all parts, of a chain that of the longest.
    """
    parts: Any = getattr(scheduler, "_schedulers", ())
    if type(scheduler) is lr_scheduler.SequentialLR:
        _, last = _plan(parts[-1]) or ("", 0)
        return "milestones", max(scheduler._milestones, default=0) + last  # noqa: SLF001
    if type(scheduler) is lr_scheduler.ChainedScheduler:
        plans = [plan for each in parts if (plan := _plan(each))]
        return max(plans, key=lambda plan: plan[1], default=None)
    if type(scheduler) is lr_scheduler.ExponentialLR and 0 < scheduler.gamma < 1:
        return "time to a tenth", _TO_A_TENTH / math.log(scheduler.gamma)
    read = _PLANS.get(type(scheduler))
    return None if read is None else read(scheduler)


def _fall(follower: Follower, most: float) -> _Named:
    """Return after how many steps it ends, or a tenth of its highest lr is left.

    Infinite where that is later than anybody asks.
    """
    group = max(follower.groups, key=lambda each: float(each["lr"]))
    highest = float(group["lr"])
    with undisturbed():
        for number in range(1, math.floor(most) + 2):
            try:
                follower.go_on(follower.step, number)
            except RefusedError:
                return "end", number - 1
            highest = max(highest, float(group["lr"]))
            if highest and float(group["lr"]) <= _FALLEN * highest:
                return "time to a tenth", number
    return "", math.inf


def _is_warmup(scheduler: Any) -> bool:  # as above
    """Whether a scheduler only rises to its base lr, and stays there.

    Then its length says less: a few hundred are steps, however long the run is.
    """
    if type(scheduler) is lr_scheduler.LinearLR:
        return bool(scheduler.start_factor < scheduler.end_factor == 1)
    return type(scheduler) is lr_scheduler.ConstantLR and scheduler.factor < 1


def _no_epoch(name: str) -> RefusedError:
    why = f"The {name} steps once per epoch, and how many steps an epoch has is not "
    why += "known."
    return RefusedError(ASKED, why, _SIZES)


_SIZES = (
    "Give dataset_size (--dataset-size) and batch_size (--batch-size), or the steps of "
    "an epoch as every (--scheduler-every)."
)


def _unclear(why: str, steps: int) -> RefusedError:
    why += f", little beside {steps:,} steps: it may step once per epoch."
    instead = (
        'Give its pace: every (--scheduler-every) is "step", or the steps of an epoch.'
    )
    return RefusedError(ASKED, why, instead)
