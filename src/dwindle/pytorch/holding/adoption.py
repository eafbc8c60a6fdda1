"""Which param groups the controller holds, how strongly, and what they were before."""

from collections.abc import Mapping, Sequence
from typing import Any

from dwindle.pytorch.holding.group_plan import KNOB

Group = Mapping[str, Any]  # Any: options of a param group are anything
MARKER = "decay_scale"


def scales_of(groups: Sequence[Group]) -> list[float]:
    """Return the multiple of the asked decay that each group gets.

    A group says it itself (``decay_scale``, as ``decay_groups`` writes it). Where none
    does, groups with ``weight_decay`` 0 beside others are left alone, and a set in
    which nothing decays yet is held as a whole.
    """
    knobs = [knob_of(group) for group in groups]
    all_zero = not any(knobs) and not any(MARKER in group for group in groups)
    return [
        float(group.get(MARKER, 1.0 if all_zero or knob else 0.0))
        for group, knob in zip(groups, knobs, strict=True)
    ]


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
