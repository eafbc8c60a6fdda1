"""The largest lr of a run, per group: read from the optimizer and its scheduler."""

from collections.abc import Mapping, Sequence
from typing import Any

from dwindle.errors import RangeError

Group = Mapping[str, Any]  # Any: options of a param group are anything
LrPeak = float | Sequence[float] | None


def peaks_given(lr_peak: LrPeak, count: int) -> list[float | None]:
    """Return one peak per group, as the user gave it; None where it is to be read."""
    if lr_peak is None:
        return [None] * count
    if not isinstance(lr_peak, Sequence):
        return [float(lr_peak)] * count
    if len(lr_peak) != count:
        must = f"one number, or one for each of the {count} param groups"
        raise RangeError("lr_peak", list(lr_peak), must)
    return [float(peak) for peak in lr_peak]


def peak_read(group: Group) -> float:
    """Return the largest lr that a group tells of; 0 where it tells none.

    OneCycleLR writes ``max_lr``, every scheduler of torch ``initial_lr``: the lr that
    it multiplies.
    """
    for name in ("max_lr", "initial_lr", "lr"):
        if name in group:
            return float(group[name])
    return 0.0
