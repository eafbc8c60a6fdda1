"""What a run along its schedule leaves of a weight that nothing pulls at."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from dwindle.decay.survival import Left, left_by
from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.copying.quiet import undisturbed
from dwindle.pytorch.copying.toy import Mould, Toy, unwrapped
from dwindle.pytorch.probing.group_options import Options
from dwindle.pytorch.probing.measured import Measured

_ASKED = "What a run leaves of a weight"
_STEPS = "A schedule does not say how long the run is: probe(…, steps=10_000)."
# Where schedulers keep others: SequentialLR and ChainedScheduler.
_OTHERS = "_schedulers"
_INSTEAD = "Leave the scheduler out, and ask for the shrink at the lr of now."
_SAME = 1e-6
_AT_ONCE = 1000  # steps whose walk is kept in memory


def with_run(
    measured: Sequence[Measured],
    mould: Mould,
    *,
    scheduler: object | None,
    steps: int | None,
) -> list[Measured]:
    """Add what so many steps leave, with fresh state, from where the schedule is now.

    If all groups decouple, the lr and the knob of each step tell it; else a copy makes
    the steps.

    Args:
        measured: The groups of the optimizer.
        mould: Casts copies of it.
        scheduler: A learning-rate scheduler of torch's kind, or None for constant lr.
        steps: How many steps the run has from now on.

    Raises:
        RangeError: If the number of steps is not given or below 1.
        RefusedError: If the scheduler is another optimizer's, needs a metric, has no
            more steps, or is not of torch's kind.

    """
    if steps is None or steps < 1:
        raise RangeError("steps", steps, "a number of steps, at least 1", _STEPS)
    run = _Run.of(mould, scheduler)
    if all(each.decouples for each in measured):
        kept = run.computed(steps, [each.knob for each in measured])
    else:
        kept = run.watched(steps)
    pairs = zip(measured, kept, strict=True)
    return [_with(each, steps, left) for each, left in pairs]


def _with(measured: Measured, steps: int, left: Left | None) -> Measured:
    if left is None:
        return replace(measured, run_steps=steps)
    return replace(measured, run_steps=steps, e_folds=left.e_folds, kept=left.survival)


@dataclass(kw_only=True)
class _Run:
    """A copy of an optimizer and one of its scheduler, to go along together."""

    toy: Toy
    go_on: Callable[[], None]
    done: int = field(default=0)

    @classmethod
    def of(cls, mould: Mould, scheduler: object | None) -> "_Run":
        toy = mould.toy()
        copy = None if scheduler is None else _copied(scheduler, mould.optimizer, toy)
        return cls(toy=toy, go_on=_stay if copy is None else copy.step)

    def computed(self, steps: int, knobs: Sequence[str | None]) -> list[Left | None]:
        """Multiply what the steps leave, each 1 - lr·knob."""
        groups = self.toy.optimizer.param_groups
        shares: list[list[float]] = [[] for _ in groups]
        with undisturbed():
            for _ in range(steps):
                self._schedule()
                for group, knob, mine in zip(groups, knobs, shares, strict=True):
                    mine.append(float(group["lr"]) * float(group[str(knob)]))
        return [left_by(mine) for mine in shares]

    def watched(self, steps: int) -> list[Left | None]:
        """Make the steps; a part of them at a time."""

        def before(_step: int, at: int, _group: Options) -> None:
            if at == 0:
                self._schedule()

        start = [_entries(group) for group in self.toy.weights]
        while self.done < steps:
            self.toy.watch(min(_AT_ONCE, steps - self.done), before=before)
        ends = [_entries(group) for group in self.toy.weights]
        return [_compared(a, b) for a, b in zip(start, ends, strict=True)]

    def _schedule(self) -> None:
        """Let the schedule go on, but not before the first step."""
        if self.done:
            try:
                self.go_on()
            except Exception as error:
                raise _no_more(self.done, error) from error
        self.done += 1


def _stay() -> None:
    """Keep the lr."""


def _entries(group: Sequence[Tensor]) -> list[float]:
    """Entries of the weight that speaks for its group: that of most dimensions."""
    if not group:
        return []
    main = max(group, key=lambda weight: weight.ndim).detach()
    real = torch.view_as_real(main) if main.is_complex() else main
    entries: list[float] = real.double().flatten().tolist()
    return entries


def _compared(start: Sequence[float], end: Sequence[float]) -> Left | None:
    """What is left of each entry, if it is the same of all."""
    kept = [now / was for was, now in zip(start, end, strict=True)]
    if not kept or kept[0] == 0 or not all(map(math.isfinite, kept)):
        return None if kept else Left(e_folds=0.0)
    middle = math.fsum(kept) / len(kept)
    if any(abs(each - middle) > _SAME * abs(middle) for each in kept):
        return None
    return Left(e_folds=-math.log(abs(middle)), sign=1 if middle > 0 else -1)


def _copied(scheduler: object, optimizer: Optimizer, toy: Toy) -> LRScheduler:
    """Copy a scheduler onto a copy of its optimizer."""
    # Accelerate's wrapper keeps it there; Any: what it is, is looked at below.
    inner: Any = getattr(scheduler, "scheduler", scheduler)
    for each in _all_inside(inner):
        _refuse(each, optimizer)
    memo = {id(each): toy.optimizer for each in _owners(inner, optimizer)}
    with undisturbed():
        try:
            copy: LRScheduler = deepcopy(inner, memo)
        except Exception as error:
            why = f"The scheduler cannot be copied: {error}."
            raise RefusedError(_ASKED, why, _INSTEAD) from error
    return copy


def _all_inside(scheduler: object) -> Iterator[object]:
    yield scheduler
    for each in getattr(scheduler, _OTHERS, ()):
        yield from _all_inside(each)


def _owners(scheduler: object, optimizer: Optimizer) -> list[object]:
    """The optimizer, and the wrappers that the schedulers know it by."""
    known = [getattr(each, "optimizer", None) for each in _all_inside(scheduler)]
    return [optimizer, *known]


def _refuse(scheduler: object, optimizer: Optimizer) -> None:
    if isinstance(scheduler, ReduceLROnPlateau):
        why = "ReduceLROnPlateau lowers the lr when a metric of the training stalls."
        raise RefusedError(_ASKED, why, "Only the training tells: probe it then.")
    if not isinstance(scheduler, LRScheduler):
        why = f"{type(scheduler).__name__} is no scheduler of torch's kind."
        raise RefusedError(_ASKED, why, _INSTEAD)
    if unwrapped(scheduler.optimizer) is not optimizer:
        why = f"This {type(scheduler).__name__} belongs to another optimizer."
        raise RefusedError(_ASKED, why, "Give the scheduler of this optimizer.")


def _no_more(done: int, error: Exception) -> RefusedError:
    why = f"The scheduler stops after {done:,} steps: {error}."
    return RefusedError(_ASKED, why, "Ask for as many steps as it has.")
