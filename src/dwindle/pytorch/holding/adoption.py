"""Which param groups the controller holds, how strongly, and what they were before."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dwindle.errors import RangeError
from dwindle.pytorch.holding.group_plan import KNOB, GroupPlan

Group = Mapping[str, Any]  # Any: options of a param group are anything
MARKER = "decay_scale"


def scales_of(groups: Sequence[Group]) -> list[float]:
    """Return the multiple of the asked decay that each group gets.

    A group says it itself (``decay_scale``, as ``decay_groups`` writes it). Where none
    does, groups with ``weight_decay`` 0 beside others are left alone, and a set in
    which nothing decays yet is held as a whole.

    Raises:
        RangeError: If a decay_scale or weight_decay is no finite number of at least 0.

    """
    for at, group in enumerate(groups):
        _number(group.get(KNOB) or 0.0, f"{KNOB} of group {at}")
    knobs = [knob_of(group) for group in groups]
    all_zero = not any(knobs) and not any(MARKER in group for group in groups)
    return [
        _number(group[MARKER], f"{MARKER} of group {at}")
        if MARKER in group
        else float(all_zero or knob != 0)
        for at, (group, knob) in enumerate(zip(groups, knobs, strict=True))
    ]


def scales_changed(
    groups: Sequence[Group], plans: Sequence[GroupPlan]
) -> dict[int, float]:
    """Return the scale of each group whose mark has changed since it was planned.

    A group that lost its mark (to a checkpoint of before) is held as it was.

    Raises:
        RangeError: If a mark is no finite number of at least 0.

    """
    return {
        at: _number(group[MARKER], f"{MARKER} of group {at}")
        for at, (group, plan) in enumerate(zip(groups, plans, strict=False))
        if group.get(MARKER, plan.decay_scale) != plan.decay_scale
    }


def _number(value: Any, name: str) -> float:  # Any: what somebody wrote into a group
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise RangeError(name, value, "a finite number, 0 or more")
    return number


def knob_of(group: Group) -> float:
    """Return the group's weight_decay as a number; 0 where there is none."""
    return float(group.get(KNOB) or 0.0)


def has_lr(group: Group) -> bool:
    """Tell whether a group has a learning rate; transformers' Adafactor may not."""
    return group.get("lr") is not None


def options_before(group: Group) -> dict[str, Any]:
    """Return those options of a group that the controller will change."""
    return {name: group[name] for name in (KNOB, MARKER) if name in group}


def put_back(group: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Give a group the options that it had before it was held."""
    group.pop(MARKER, None)
    group.update(before)
