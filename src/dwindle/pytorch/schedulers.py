"""What is known of each class of torch's schedulers: its plan, its peak, its jumps.

Of exactly these classes, for a subclass may do anything.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from torch.optim import lr_scheduler

# Where SequentialLR and ChainedScheduler keep their parts.
PARTS = "_schedulers"
# An exponential never ends: this far its length is counted.
_TO_A_TENTH = math.log(0.1)

Plan = tuple[str, float] | None
# Any: each reads one class of schedulers.
_Predicate = Callable[[Any], bool]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A class of schedulers; of one that is not known, nothing is.

    Args:
        plan: Returns the name of the argument that gives its length, and that length in
            steps of the scheduler; None if it has none.
        lands: Whether ``step(t)`` lands where ``t`` steps do.
        falls: Whether it begins at its base lr and goes no higher: its peak is known
            without a step.
        returns: Whether it goes up to its base lr and no higher, however long the run.
        rises: Whether it only rises to its base lr, and stays there.

    """

    plan: Callable[[Any], Plan] = lambda _: None
    lands: bool = False
    falls: _Predicate = lambda _: False
    returns: _Predicate = lambda _: False
    rises: _Predicate = lambda _: False


def kind_of(scheduler: object) -> Kind:
    """Return what is known of the class of a scheduler."""
    return _KINDS.get(type(scheduler), Kind())


def peaks_at_base(scheduler: object) -> bool:
    """Return whether its largest lr is its base lr, however long the run is."""
    kind = kind_of(scheduler)
    return kind.falls(scheduler) or kind.returns(scheduler)


def plan_of(scheduler: object) -> Plan:
    """Return the length of a plan in steps of the scheduler, and its argument's name.

    Of a sequence the length of all parts, of a chain that of the longest.
    """
    return kind_of(scheduler).plan(scheduler)


def _plan_of_all(sequence: Any) -> Plan:
    _, last = plan_of(getattr(sequence, PARTS)[-1]) or ("", 0)
    return "milestones", max(sequence._milestones, default=0) + last  # noqa: SLF001


def _plan_of_longest(chain: Any) -> Plan:
    plans = filter(None, map(plan_of, getattr(chain, PARTS)))
    return max(plans, key=itemgetter(1), default=None)


_STEPS = Kind(lands=True, falls=lambda it: bool(it.gamma <= 1))
_WAVE = Kind(lands=True, falls=lambda it: bool(it.eta_min <= min(it.base_lrs)))
_LINE = Kind(lands=True, plan=lambda it: ("total_iters", it.total_iters))
_KINDS: Mapping[type, Kind] = {
    lr_scheduler.StepLR: replace(_STEPS, plan=lambda it: ("step_size", it.step_size)),
    lr_scheduler.MultiStepLR: replace(
        _STEPS, plan=lambda it: ("milestones", max(it.milestones, default=0))
    ),
    lr_scheduler.ExponentialLR: replace(
        _STEPS,
        plan=lambda it: (
            ("time to a tenth", _TO_A_TENTH / math.log(it.gamma))
            if 0 < it.gamma < 1
            else None
        ),
    ),
    lr_scheduler.CosineAnnealingLR: replace(_WAVE, plan=lambda it: ("T_max", it.T_max)),
    lr_scheduler.CosineAnnealingWarmRestarts: replace(
        _WAVE, plan=lambda it: ("T_0", it.T_0)
    ),
    lr_scheduler.PolynomialLR: replace(_LINE, falls=lambda _: True),
    lr_scheduler.ConstantLR: replace(
        _LINE, returns=lambda _: True, rises=lambda it: bool(it.factor < 1)
    ),
    lr_scheduler.LinearLR: replace(
        _LINE,
        returns=lambda it: max(it.start_factor, it.end_factor) == 1,
        rises=lambda it: bool(it.start_factor < it.end_factor == 1),
    ),
    lr_scheduler.OneCycleLR: Kind(
        lands=True, plan=lambda it: ("total_steps", it.total_steps)
    ),
    lr_scheduler.CyclicLR: Kind(
        lands=True, plan=lambda it: ("step_size", it.total_size)
    ),
    lr_scheduler.LambdaLR: Kind(lands=True),
    lr_scheduler.ReduceLROnPlateau: Kind(falls=lambda _: True),
    lr_scheduler.SequentialLR: Kind(
        plan=_plan_of_all,
        returns=lambda it: all(map(peaks_at_base, getattr(it, PARTS))),
    ),
    lr_scheduler.ChainedScheduler: Kind(plan=_plan_of_longest),
}
