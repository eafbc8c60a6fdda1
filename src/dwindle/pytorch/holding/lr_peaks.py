"""The largest lr of a run, per group: given, or read from optimizer and scheduler."""

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from torch.optim import Optimizer, lr_scheduler

from dwindle.errors import MissingFactError, RangeError, RefusedError
from dwindle.pytorch.copying.copies import undisturbed
from dwindle.pytorch.copying.toy import Toy
from dwindle.pytorch.follow_schedule import (
    all_inside,
    belongs_to,
    copied_scheduler,
    unwrapped_scheduler,
)
from dwindle.pytorch.options import MARKER
from dwindle.pytorch.refusals import refused
from dwindle.pytorch.schedulers import PARTS, kind_of, peaks_at_base
from dwindle.wording import with_article

Group = Mapping[str, Any]  # Any: options of a param group are anything
LrPeak = float | Sequence[float] | None

# A step of a scheduler takes 3 µs; the peak of longer runs comes with the warm-up.
_MOST_STEPS = 1_000_000
# OneCycleLR writes the first, all schedulers of torch the second: what they multiply.
LEFT_BY_SCHEDULERS = ("max_lr", "initial_lr")
_OF_TORCH = lr_scheduler.__name__


def peaks_given(lr_peak: object, count: int) -> list[float | None]:
    """Return one peak per group, as the user gave it; None where it is to be read."""
    if lr_peak is None:
        return [None] * count
    must = f"one number, or one for each of the {count} param groups"
    if isinstance(lr_peak, Sequence) and not isinstance(lr_peak, str):
        if len(lr_peak) != count:
            raise RangeError("lr_peak", lr_peak, must)
        return [_peak(each, must) for each in lr_peak]
    return [_peak(lr_peak, must)] * count


def _peak(given: object, must: str) -> float:
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if not is_number or not 0 < float(given) < math.inf:  # type: ignore[arg-type]  # checked above
        remedy = "Write the largest lr of the run, such as lr_peak=1e-3."
        raise RangeError("lr_peak", repr(given), f"{must}, finite and above 0", remedy)
    return float(given)  # type: ignore[arg-type]  # as above


def peaks_read(
    optimizer: Optimizer, *, scheduler: object = None, steps: float | None = None
) -> list[float | None]:
    """Return the largest lr that each group will have; None where nothing shows it.

    From the scheduler if it is given: followed over the steps of the run, on a copy.
    Else from what schedulers leave in the groups, else the lr of now.

    Raises:
        MissingFactError: If the scheduler shows its peak only when it is followed, and
            the length of the run is not given.
        RefusedError: If a group has an ``lr_scale`` and no scheduler shows whether it
            applies that; or if the scheduler fails where only following it shows its
            peak.

    """
    inner = unwrapped_scheduler(scheduler)
    peaks = None if inner is None else _of_scheduler(inner, optimizer, steps)
    if peaks is not None:
        return [peak or None for peak in peaks]
    groups = optimizer.param_groups
    for at, group in enumerate(groups):
        scale = float(group.get("lr_scale", 1.0))
        if scale != 1 and group.get(MARKER) != 0:
            raise refused("lr-scale", at=at, scale=scale)
    if isinstance(inner, lr_scheduler.ReduceLROnPlateau) and not _done(inner):
        return [largest_lr(group, ["lr"]) for group in groups]
    return list(map(largest_lr, groups))


def peaks_read_again(
    groups: Sequence[Group], before: Sequence[float | None]
) -> list[float | None]:
    """Return what schedulers left in the groups since the controller was built.

    The lr of now does not count: somebody who sets it by hand may be warming up.
    """
    found = [largest_lr(group, LEFT_BY_SCHEDULERS) for group in groups]
    return [now or then for now, then in zip(found, before, strict=True)]


def left_by_schedulers(groups: Sequence[Group]) -> list[dict[str, float]]:
    """Return what schedulers have written into each group by now."""
    return [
        {
            name: float(group[name])
            for name in LEFT_BY_SCHEDULERS
            if group.get(name) is not None
        }
        for group in groups
    ]


def peaks_left_since(
    before: Sequence[Mapping[str, float]], groups: Sequence[Group]
) -> list[float] | None:
    """Return the largest number that was written into each group since, or None.

    A scheduler writes into all groups: at a step, only the first one is compared.
    """
    first = groups[0] if groups else {}
    same = (first.get(name) == before[0].get(name) for name in LEFT_BY_SCHEDULERS)
    if all(same):
        return None
    # Groups that were added since are planned with what is in them.
    both = zip(before, left_by_schedulers(groups), strict=False)
    changed = [
        [lr for name, lr in now.items() if lr != then.get(name)] for then, now in both
    ]
    return [max(lrs, default=0.0) for lrs in changed]


def largest_lr(
    group: Group, names: Sequence[str] = (*LEFT_BY_SCHEDULERS, "lr")
) -> float | None:
    """Return the largest lr above 0 that a group shows under these names."""
    # A warm-up has set the lr to nearly 0 already; optimi keeps a max_lr of all groups
    # in each.
    found = (group.get(name) for name in names)
    return max((float(lr) for lr in found if lr is not None and lr > 0), default=None)


def _of_scheduler(
    scheduler: Any, optimizer: Optimizer, steps: float | None
) -> list[float] | None:
    """Return the peaks in the surest way that there is; None where it shows none."""
    for each in all_inside(_at_its_pace(scheduler)):
        if not belongs_to(each, optimizer):
            name, owner = type(each).__name__, type(each.optimizer).__name__
            named = with_article(name)
            raise refused("another-optimizer", scheduler=named, owner=owner)
    failure, paced = None, _at_its_pace(scheduler)
    waits = steps is not None and _waits_for_a_metric(paced)
    if steps is not None and not waits and not kind_of(paced).falls(paced):
        try:
            return _followed(scheduler, optimizer, int(steps))
        except RefusedError as error:
            failure = error  # unless it shows its peak in another way
    shown = _shown(scheduler, optimizer.param_groups)
    if shown is not None:
        return shown
    if not (waits or peaks_at_base(paced)):
        named = with_article(type(paced).__name__)
        need = f"The peak of {named}, where lr_peak is not given,"
        raise failure or MissingFactError("steps", need, "--steps")
    return _from_base(scheduler, optimizer) if hasattr(scheduler, "base_lrs") else None


def _shown(scheduler: Any, groups: Sequence[Group]) -> list[float] | None:
    """Return the peaks that a scheduler has written down, if it is of such a kind."""
    if type(_at_its_pace(scheduler)) is lr_scheduler.OneCycleLR:
        return [float(group["max_lr"]) for group in groups]
    # CyclicLR; the max_lrs of GreedyLR, without a base, are a bound and no plan.
    if hasattr(scheduler, "max_lrs") and hasattr(scheduler, "base_lrs"):
        return [float(lr) for lr in scheduler.max_lrs]
    # timm's
    if hasattr(scheduler, "update_groups") and hasattr(scheduler, "base_values"):
        return [
            float(lr) * float(group.get("lr_scale", 1.0))
            for lr, group in zip(scheduler.base_values, groups, strict=True)
        ]
    return None


def _at_its_pace(scheduler: Any) -> Any:
    """Return the scheduler inside of one that an integration paces."""
    return getattr(scheduler, "paced", scheduler)


def _waits_for_a_metric(scheduler: Any) -> bool:
    """Whether a step needs what only the training to come will show, such as a loss."""
    try:
        inspect.signature(scheduler.step).bind()
    except TypeError:
        return True
    return False


def _followed(scheduler: Any, optimizer: Optimizer, steps: int) -> list[float]:
    """Follow a copy of the scheduler over the run."""
    # A LambdaLR may return the lr itself, on a base of 1. The first step is made at the
    # lr of before any `scheduler.step()`, the last one after `steps - 1` of them.
    toy = Toy.of(optimizer).optimizer
    with undisturbed():
        try:
            copy = copied_scheduler(scheduler, optimizer, toy)
            inside = [*all_inside(_at_its_pace(copy))]
            done = max(_done(copy), 0)
            # A custom class may count where we cannot see it: it goes on. Those of
            # torch are put back to their beginning.
            if done and {type(it).__module__ for it in inside} == {_OF_TORCH}:
                _begin_anew(inside[0], toy)
                done = 0
            peaks = [float(group["lr"]) for group in toy.param_groups]
            for _ in range(min(steps, _MOST_STEPS) - 1 - done):
                copy.step()
                for at, group in enumerate(toy.param_groups):
                    peaks[at] = max(peaks[at], float(group["lr"]))
        except Exception as error:
            kind = with_article(type(_at_its_pace(scheduler)).__name__)
            values = {"scheduler": kind, "steps": steps, "error": error}
            raise refused("not-followed", **values) from error
    return peaks


def _from_base(scheduler: Any, optimizer: Optimizer) -> list[float]:
    """Return the base lrs, in proportion to where the scheduler really began."""
    # An lr that was set by hand between two schedulers is where the second one begins;
    # its base is still the `initial_lr` that the first one left.
    bases, paced = [float(lr) for lr in scheduler.base_lrs], _at_its_pace(scheduler)
    if _done(paced) or not peaks_at_base(paced):
        return bases
    toy = Toy.of(optimizer).optimizer
    with undisturbed():
        _begin_anew(copied_scheduler(paced, optimizer, toy), toy)
    began = [float(group["lr"]) for group in toy.param_groups]
    now = [float(group["lr"]) for group in optimizer.param_groups]
    both = zip(bases, now, began, strict=True)
    return [base * here / there if there else base for base, here, there in both]


def _done(scheduler: Any) -> int:
    """Return how many steps a scheduler has made."""
    inside = all_inside(_at_its_pace(scheduler))
    return max(int(getattr(each, "last_epoch", 0)) for each in inside)


def _begin_anew(scheduler: Any, toy: Optimizer) -> None:
    for group in toy.param_groups:
        group["lr"] = float(group["initial_lr"])
    for each in all_inside(scheduler):
        each.last_epoch = -1
    _begin(scheduler)


def _begin(scheduler: Any) -> None:
    """Do what the constructor does: the step that sets the first lr."""
    parts = getattr(scheduler, PARTS, None)
    if parts is None:
        scheduler._initial_step()  # noqa: SLF001 - step() alone is none to MultiplicativeLR
        return
    at_once = isinstance(scheduler, lr_scheduler.ChainedScheduler)
    for part in parts if at_once else parts[:1]:
        _begin(part)
    if not at_once:
        scheduler.last_epoch = 0
