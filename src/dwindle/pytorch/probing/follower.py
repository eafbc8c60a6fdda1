"""Follower: a copy of a scheduler on a copy of its optimizer, and how the lr goes.

The copy is stepped as the loop would step the original. Only where a run has too many
steps for that, and the scheduler says its lr at any step, is it asked at some of them.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import SWALR

from dwindle.decay.long_runs import Leg, merged
from dwindle.errors import RefusedError
from dwindle.pytorch.copying.quiet import undisturbed
from dwindle.pytorch.copying.toy import Mould, unwrapped
from dwindle.pytorch.options import Options, number_of

ASKED = "What a run leaves of a weight"
_INSTEAD = "Leave the scheduler out, and give the shape of its schedule."
# Where schedulers keep others: SequentialLR and ChainedScheduler.
_OTHERS = "_schedulers"
_OF_TIMM = "timm.scheduler"
_TIMMS_PLATEAU = "PlateauLRScheduler"
# Steps of a scheduler, times groups, that are made where it must be stepped: 5 µs each.
_MOST = 1_000_000
# Where it need not be, a schedule of more than twice so many steps is asked at so many
# places, each for the steps around it: a smooth one is then known to ten digits, and
# the place of a jump to a fifty-thousandth of the run.
_PLACES = 50_000
# Schedulers of torch whose ``step(t)`` lands where ``t`` steps do; exactly these.
_LAND_ANYWHERE = frozenset(
    {
        lr_scheduler.StepLR,
        lr_scheduler.MultiStepLR,
        lr_scheduler.ConstantLR,
        lr_scheduler.LinearLR,
        lr_scheduler.ExponentialLR,
        lr_scheduler.CosineAnnealingLR,
        lr_scheduler.CosineAnnealingWarmRestarts,
        lr_scheduler.PolynomialLR,
        lr_scheduler.LambdaLR,
        lr_scheduler.OneCycleLR,
        lr_scheduler.CyclicLR,
    }
)
# A schedule that ends in the last hundredth of a run stays as it is to its end.
_NEARLY_ALL = 0.99
_Groups = list[Options]
_Jump = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A copy of a scheduler, to be stepped beside a copy of its optimizer.

    Args:
        name: Class of the scheduler.
        scheduler: The copy; None where the lr is constant.
        groups: Param groups of the copied optimizer, which it sets.
        step: Makes its n-th step from here, n from 1.
        jump: Goes to where n steps lead, without the others; None if it cannot.
        in_epochs: Whether it says itself that it counts epochs; None if it says
            nothing.

    """

    name: str
    scheduler: Any  # of torch or timm: only some of their attributes are read
    groups: _Groups
    step: _Jump
    jump: _Jump | None = None
    in_epochs: bool | None = None

    @classmethod
    def of(cls, mould: Mould, scheduler: object | None) -> "Follower":
        """Copy a scheduler and its optimizer.

        Args:
            mould: Casts copies of the optimizer.
            scheduler: Of torch or timm, or None for a constant lr.

        Raises:
            RefusedError: If it belongs to another optimizer, needs a metric, cannot be
                copied, or is of another kind.

        """
        return cls.on(mould.toy().optimizer, mould.optimizer, scheduler)

    @classmethod
    def on(
        cls, copy: Optimizer, original: Optimizer, scheduler: object | None
    ) -> "Follower":
        """Copy a scheduler onto a copy of an optimizer that there is already."""
        groups = copy.param_groups
        if scheduler is None:
            return cls(name="", scheduler=None, groups=groups, step=_stay, jump=_stay)
        # Accelerate's wrapper keeps it there; Any: what it is, is looked at below.
        inner: Any = getattr(scheduler, "scheduler", scheduler)
        _refuse(inner, original)
        there = _copied(inner, original, copy)
        name = type(inner).__name__
        if is_timms(inner):
            in_epochs = bool(inner.t_in_epochs)
            step = there.step if in_epochs else there.step_update
            return cls(
                name=name,
                scheduler=there,
                groups=groups,
                step=step,
                jump=step,
                in_epochs=in_epochs,
            )
        return cls(
            name=name,
            scheduler=there,
            groups=groups,
            step=lambda _: there.step(),
            jump=_jumping(there),
            in_epochs=True
            if isinstance(inner, SWALR)
            else None,  # it has anneal_epochs
        )

    def legs(
        self, steps: int, *, every: int, knobs: Iterable[str | None]
    ) -> list[list[Leg]]:
        """Return the legs of each group along a run.

        Args:
            steps: Steps of the optimizer.
            every: Steps of the optimizer between two of the scheduler.
            knobs: Option that sets the decay, group by group.

        Raises:
            RefusedError: If the scheduler has no more steps, or too many are asked.

        """
        found: list[list[Leg]] = [[] for _ in self.groups]
        named = list(knobs)
        with undisturbed():
            for count in self._along(steps, every):
                for group, knob, mine in zip(self.groups, named, found, strict=True):
                    mine.append(_leg(group, knob, count))
        return [list(merged(mine)) for mine in found]

    def _along(self, steps: int, every: int) -> Iterator[int]:
        """Go along a run; yield for how many steps the options stay as they are."""
        moves = -(-steps // every)
        go_on = self.step
        bounds: Sequence[int] = range(moves + 1)
        if self.jump is None and moves * len(self.groups) > _MOST:
            why = f"A {self.name} must be followed step by step, and has {moves:,}."
            raise RefusedError(ASKED, why, _INSTEAD)
        if self.jump is not None and moves > 2 * _PLACES:
            go_on = self.jump
            bounds = [at * moves // _PLACES for at in range(_PLACES + 1)]
        for first, end in pairwise(bounds):
            middle = (first + end) // 2
            if middle:
                try:
                    self.go_on(go_on, middle)
                except RefusedError:
                    # A loader that drops its last batch has a step per epoch less.
                    if middle < _NEARLY_ALL * moves:
                        raise
                    go_on = _stay
            yield min(end * every, steps) - first * every

    def go_on(self, step: _Jump, number: int) -> None:
        """Make a step of the scheduler.

        Raises:
            RefusedError: If it has no more.

        """
        try:
            step(number)
        except Exception as error:
            why = f"The scheduler stops after {number - 1:,} steps: {error}."
            instead = "Ask for as many steps as it has."
            raise RefusedError(ASKED, why, instead) from error


def _stay(_number: int) -> None:
    """Keep the lr."""


def _leg(group: Mapping[str, Any], knob: str | None, steps: int) -> Leg:
    return Leg(
        steps=steps,
        lr=number_of(group.get("lr")) or 0.0,
        weight_decay=number_of(group.get(str(knob))) or 0.0,
        momentum=number_of(group.get("momentum")) or 0.0,
        dampening=number_of(group.get("dampening")) or 0.0,
        nesterov=bool(group.get("nesterov")),
    )


def is_timms(scheduler: object) -> bool:
    """Return whether a scheduler is one of timm, which count epochs or updates."""
    modules = [cls.__module__ for cls in type(scheduler).__mro__]
    return any(module.startswith(_OF_TIMM) for module in modules)


def belongs_to(scheduler: object, optimizer: Optimizer) -> bool:
    """Return whether a scheduler, as far as it says, sets the lr of an optimizer."""
    inner = getattr(scheduler, "scheduler", scheduler)
    owner = getattr(inner, "optimizer", optimizer)
    return not isinstance(owner, Optimizer) or _same(owner, optimizer)


def _same(owner: Optimizer, optimizer: Optimizer) -> bool:
    """Whether two are one, or share their groups, as a Lookahead and its inner do."""
    if owner is optimizer or unwrapped(owner) is optimizer:
        return True
    mine = {id(group) for group in optimizer.param_groups}
    return any(id(group) in mine for group in owner.param_groups)


def _jumping(there: Any) -> _Jump | None:  # there: a scheduler of torch, or no such
    """Return how to get anywhere in a schedule at once; None where one cannot."""
    start = getattr(there, "last_epoch", 0)
    parts: Any = getattr(there, _OTHERS, ())  # of schedulers
    if type(there) in _LAND_ANYWHERE:
        return lambda number: there.step(start + number)
    if type(there) is not lr_scheduler.SequentialLR or not all(
        type(part) in _LAND_ANYWHERE for part in parts
    ):
        return None
    ends = list(there._milestones)  # noqa: SLF001  nowhere else

    def jump(number: int) -> None:
        at = bisect_right(ends, start + number)
        parts[at].step(start + number - (ends[at - 1] if at else 0))

    return jump


def _copied(scheduler: Any, optimizer: Optimizer, copy: Optimizer) -> Any:  # as above
    """Copy a scheduler onto a copy of its optimizer."""
    known = [getattr(each, "optimizer", None) for each in _all_inside(scheduler)]
    memo = {id(each): copy for each in (optimizer, *known) if each is not None}
    with undisturbed():
        try:
            return deepcopy(scheduler, memo)
        except Exception as error:
            why = f"The scheduler cannot be copied: {error}."
            raise RefusedError(ASKED, why, _INSTEAD) from error


def _all_inside(scheduler: object) -> Iterator[object]:
    yield scheduler
    for each in getattr(scheduler, _OTHERS, ()):
        yield from _all_inside(each)


def _refuse(scheduler: object, optimizer: Optimizer) -> None:
    for each in _all_inside(scheduler):
        name = type(each).__name__
        if isinstance(each, ReduceLROnPlateau) or name == _TIMMS_PLATEAU:
            why = f"{name} lowers the lr when a metric of the training stalls."
            raise RefusedError(ASKED, why, "Only the training tells: probe it then.")
        if not (isinstance(each, LRScheduler) or is_timms(each)):
            why = f"{name} is no scheduler of torch's kind."
            raise RefusedError(ASKED, why, _INSTEAD)
        if not belongs_to(each, optimizer):
            why = f"This {name} belongs to another optimizer."
            raise RefusedError(ASKED, why, "Give the scheduler of this optimizer.")
