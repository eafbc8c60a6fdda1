"""Follow a schedule: a copy of a scheduler on a copy of its optimizer, and its pace.

The copy is stepped as the loop would step the original; only where a run has too many
steps for that, and the scheduler computes its lr at any step, some of them are read.
How often the loop steps it is given, or is guessed from its plan: ``T_max=30`` is
thirty steps or thirty epochs, and the two leave quite different weights.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import SWALR

from dwindle.decay.legs import Leg, merged
from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.copying.copies import undisturbed
from dwindle.pytorch.copying.toy import Mould, Toy
from dwindle.pytorch.options import Options, number_of
from dwindle.pytorch.schedulers import PARTS, kind_of, plan_of
from dwindle.wording import count, counted

REQUEST = "What a run leaves of a weight"
_INSTEAD = "Leave the scheduler out, and give the shape of its schedule."
# Where wrappers of other libraries keep the scheduler.
_WRAPPED = ("scheduler", "lr_scheduler")
_OF_TIMM = "timm.scheduler"
_TIMMS_PLATEAU = "PlateauLRScheduler"
# Steps of a scheduler, times groups, that are made where it must be stepped: 5 µs each.
_MOST = 1_000_000
# Where it need not be, a schedule of more than twice so many steps is read at so many
# places, each for the steps around it: a smooth one is then known to ten digits, and
# the place of a jump to a fifty-thousandth of the run.
_PLACES = 50_000
# A schedule that ends in the last hundredth of a run stays as it is to its end.
_NEARLY_ALL = 0.99
_Groups = list[Options]
_Jump = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A copy of a scheduler, to be stepped beside a copy of its optimizer.

    ``step`` makes its n-th step from here, n from 1; ``jump`` goes to where n steps
    lead, without the others, and is None where it cannot. ``scheduler`` is None where
    the lr is constant, ``in_epochs`` where it is not known what it counts.
    """

    name: str
    scheduler: Any  # of torch or timm: only some of their attributes are read
    groups: _Groups
    step: _Jump
    jump: _Jump | None = None
    in_epochs: bool | None = None

    @classmethod
    def of(cls, mould: Mould, scheduler: object | None) -> "Follower":
        """Copy a scheduler and its optimizer."""
        return cls.on(Toy(mould).optimizer, mould.optimizer, scheduler)

    @classmethod
    def on(
        cls, copy: Optimizer, original: Optimizer, scheduler: object | None
    ) -> "Follower":
        """Copy a scheduler onto a copy of an optimizer that there is already."""
        groups = copy.param_groups
        if scheduler is None:
            return cls(name="", scheduler=None, groups=groups, step=_stay, jump=_stay)
        inner = unwrapped_scheduler(scheduler)
        _refuse(inner, original)
        there = copied_scheduler(inner, original, copy)
        made = partial(cls, name=type(inner).__name__, scheduler=there, groups=groups)
        if is_timms(inner):
            in_epochs = bool(inner.t_in_epochs)
            step = there.step if in_epochs else there.step_update
            return made(step=step, jump=step, in_epochs=in_epochs)
        counts = True if isinstance(inner, SWALR) else None  # it has anneal_epochs
        jump = _jumping(there)
        return made(step=lambda _: there.step(), jump=jump, in_epochs=counts)

    def legs(
        self, steps: int, *, every: int, knobs: Iterable[str | None]
    ) -> list[list[Leg]]:
        """Return the legs of each group along a run."""
        found: list[list[Leg]] = [[] for _ in self.groups]
        named = list(knobs)
        with undisturbed():
            for steps_alike in self._along(steps, every):
                for group, knob, mine in zip(self.groups, named, found, strict=True):
                    lr = number_of(group.get("lr")) or 0.0
                    if not 0 <= lr < math.inf:
                        why = f"{self.name} sets an lr of {lr:g} on the way."
                        raise RefusedError(REQUEST, why, "Mend the scheduler.")
                    leg = Leg(
                        steps=steps_alike,
                        lr=lr,
                        weight_decay=number_of(group.get(str(knob))) or 0.0,
                        momentum=number_of(group.get("momentum")) or 0.0,
                        dampening=number_of(group.get("dampening")) or 0.0,
                        nesterov=bool(group.get("nesterov")),
                    )
                    mine.append(leg)
        return [list(merged(mine)) for mine in found]

    def _along(self, steps: int, every: int) -> Iterator[int]:
        """Go along a run; yield for how many steps the options stay as they are."""
        moves = -(-steps // every)
        go_on = self.step
        bounds: Sequence[int] = range(moves + 1)
        if self.jump is None and moves * len(self.groups) > _MOST:
            why = f"A {self.name} must be followed step by step, and has {moves:,}."
            raise RefusedError(REQUEST, why, _INSTEAD)
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
        """Make a step of the scheduler; refuse where it has no more."""
        try:
            step(number)
        except Exception as error:
            why = f"The scheduler stops after {counted(number - 1, 'step')}: {error}."
            instead = "Give at most as many steps as it has."
            raise RefusedError(REQUEST, why, instead) from error


def _stay(_number: int) -> None:
    """Keep the lr."""


def is_timms(scheduler: object) -> bool:
    """Return whether a scheduler is one of timm, which count epochs or updates."""
    modules = [cls.__module__ for cls in type(scheduler).__mro__]
    return any(module.startswith(_OF_TIMM) for module in modules)


def belongs_to(scheduler: object, optimizer: Optimizer) -> bool:
    """Return whether a scheduler sets the lr of an optimizer, as far as it shows that.

    A Lookahead and its inner optimizer share their groups: each may be the owner.
    """
    owner = getattr(unwrapped_scheduler(scheduler), "optimizer", None)
    mine = {id(group) for group in optimizer.param_groups}
    theirs = getattr(owner, "param_groups", optimizer.param_groups)
    return not mine or any(id(group) in mine for group in theirs)


def unwrapped_scheduler(scheduler: Any) -> Any:  # of any library
    """Return the scheduler inside of the wrappers of other libraries."""
    for name in _WRAPPED:
        inner = getattr(scheduler, name, None)
        if inner is not None and not callable(inner):
            return unwrapped_scheduler(inner)
    return scheduler


def all_inside(scheduler: Any) -> Iterator[Any]:  # as above
    """Yield a scheduler, and those that it keeps."""
    yield scheduler
    paced = getattr(scheduler, "paced", None)  # by an integration of ours
    for each in (*getattr(scheduler, PARTS, ()), *([paced] if paced else ())):
        yield from all_inside(each)


def copied_scheduler(
    scheduler: Any, optimizer: Optimizer, copy: Optimizer
) -> Any:  # as above
    """Copy a scheduler onto a copy of its optimizer."""
    known = [getattr(each, "optimizer", None) for each in all_inside(scheduler)]
    memo = {id(each): copy for each in (optimizer, *known) if each is not None}
    with undisturbed():
        try:
            return deepcopy(scheduler, memo)
        except Exception as error:
            why = f"The scheduler cannot be copied: {error}."
            raise RefusedError(REQUEST, why, _INSTEAD) from error


def _jumping(there: Any) -> _Jump | None:  # there: a scheduler of torch, or no such
    """Return how to get anywhere in a schedule at once; None where one cannot."""
    start = getattr(there, "last_epoch", 0)
    parts: Any = getattr(there, PARTS, ())  # of schedulers
    if kind_of(there).lands:
        return lambda number: there.step(start + number)
    if type(there) is not lr_scheduler.SequentialLR or not all(
        kind_of(part).lands for part in parts
    ):
        return None
    ends = list(there._milestones)  # noqa: SLF001  nowhere else

    def jump(number: int) -> None:
        at = bisect_right(ends, start + number)
        parts[at].step(start + number - (ends[at - 1] if at else 0))

    return jump


def _refuse(scheduler: object, optimizer: Optimizer) -> None:
    for each in all_inside(scheduler):
        name = type(each).__name__
        if isinstance(each, ReduceLROnPlateau) or name == _TIMMS_PLATEAU:
            why = f"{name} lowers the lr when a metric of the training stalls."
            raise RefusedError(
                REQUEST, why, "Only the training shows when: probe it then."
            )
        if not (isinstance(each, LRScheduler) or is_timms(each)):
            why = f"{name} is no scheduler of torch's kind."
            raise RefusedError(REQUEST, why, _INSTEAD)
        if not belongs_to(each, optimizer):
            why = f"This {name} belongs to another optimizer."
            raise RefusedError(REQUEST, why, "Give the scheduler of this optimizer.")


# "step", "epoch", or so many steps.
Every = int | str

# A plan that is over after this part of a run was made for another clock, or is the
# warm-up of a constant lr.
_EARLY = 1 / 50
# The lr has fallen where a tenth of it is left, but for rounding and a floor.
_FALLEN = 0.11
# A plan as long as the run, within this part of it, was made for its steps.
_AS_LONG = 0.01

_SIZES = (
    "Give dataset_size (--dataset-size) and batch_size (--batch-size), or the steps of "
    "an epoch as every (--scheduler-every)."
)
_PACE = 'Give its pace: every (--scheduler-every) is "step", or the steps of an epoch.'


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many steps of the optimizer there are between two of the scheduler.

    The unit is ``step``, ``epoch``, or ``N steps``. It is known from the scheduler if
    that counts epochs or updates, or if its plan is as long as the run. ``why`` is what
    a guess was made from.
    """

    every: int
    unit: str
    known_from: Literal["given", "scheduler", "guess"]
    why: str = ""

    @property
    def is_guessed(self) -> bool:
        """Whether it is a guess."""
        return self.known_from == "guess"


def read_every(every: Every | None, *, steps_per_epoch: int | None) -> int | None:
    """Return a pace in steps; None where none is given, or epochs of unknown length."""
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
    remedy: str = "",
) -> Pace:
    """Return how often a scheduler steps: given, read from it, or guessed.

    The follower is used up. ``remedy`` is how the user can give the pace, where the
    usual arguments are missing.

    Raises:
        RefusedError: If it is not given, and the scheduler's plan is so short beside
            the run that it may count epochs, whose length is not known.

    """
    given = read_every(every, steps_per_epoch=steps_per_epoch)
    if every == "epoch" or (every is None and follower.in_epochs):
        if steps_per_epoch is None:
            why = (
                f"The {follower.name} steps once per epoch, and how many steps an "
                "epoch has is not known."
            )
            raise RefusedError(REQUEST, why, remedy or _SIZES)
        source: Literal["given", "scheduler"] = "given" if every else "scheduler"
        return Pace(every=steps_per_epoch, unit="epoch", known_from=source)
    if given is not None:
        unit = "step" if given == 1 else f"{given:,} steps"
        return Pace(every=given, unit=unit, known_from="given")
    if follower.scheduler is None or follower.in_epochs is False:
        return Pace(every=1, unit="step", known_from="scheduler")
    found = _guessed(follower, steps, steps_per_epoch)
    if found.every == 0:
        why = f"{found.why[0].upper()}{found.why[1:]}, little beside {steps:,} steps: "
        why += "it may step once per epoch."
        raise RefusedError(REQUEST, why, remedy or _PACE)
    return found


def _guessed(follower: Follower, steps: int, steps_per_epoch: int | None) -> Pace:
    """Guess the pace; it is 0 where it is that of epochs of unknown length."""
    # A plan of this length is as far from the epochs as from the steps.
    boundary = _EARLY * steps
    if steps_per_epoch is not None:
        boundary = math.sqrt(steps * max(1.0, steps / steps_per_epoch))
    name, length = plan_of(follower.scheduler) or _fall(follower, boundary)
    why = f"the {name} of its {follower.name} is {count(length)}"
    if not name:
        why = f"the lr of its {follower.name} does not fall early"
    if name and abs(length - steps) <= _AS_LONG * steps:
        return Pace(every=1, unit="step", known_from="scheduler", why=why)
    # The length of a warm-up shows less: a few hundred are steps, however long the run.
    if kind_of(follower.scheduler).rises(follower.scheduler):
        boundary = steps / (steps_per_epoch or math.inf)
    if length > boundary or steps_per_epoch == 1:
        return Pace(every=1, unit="step", known_from="guess", why=why)
    every = steps_per_epoch or 0
    return Pace(every=every, unit="epoch", known_from="guess", why=why)


def _fall(follower: Follower, most: float) -> tuple[str, float]:
    """Return after how many steps it ends, or a tenth of its highest lr is left."""
    # Infinite where that is later than ``most``.
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
