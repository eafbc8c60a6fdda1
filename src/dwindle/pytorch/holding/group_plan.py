"""GroupPlan: what the controller does to one param group at a step, as plain facts."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from dwindle.decay.held_rate import HeldRate

Mechanism = Literal["native", "multiply", "penalty", "left alone"]
KNOB = "weight_decay"
# A peak read from a scheduler and the lr that it sets differ in their last digits.
_ROOM = 1 + 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPlan:
    """What the controller does to one param group.

    ``rate`` is what a step owes, None where no half-life is held; ``decay_scale``
    multiplies the asked decay; ``knob`` is what ``weight_decay`` is set to where it
    stays the same. ``before`` has the options as they were, to be put back. ``factors``
    is how many factors the group's numbers can tell (:mod:`dwindle.decay.owed`).
    ``without_momentum``: the knob is used only in steps whose momentum is 0.
    """

    decay_scale: float
    before: dict[str, Any]  # Any: options of a param group are anything
    factors: float
    mechanism: Mechanism = "left alone"
    rate: HeldRate | None = None
    knob: float = 0.0
    without_momentum: bool = False

    @property
    def has_knob(self) -> bool:
        """Whether the group has a weight_decay at all."""
        return KNOB in self.before

    @property
    def lr_peak(self) -> float | None:
        """The lr that the half-life belongs to; None where it holds at every lr."""
        return None if self.rate is None else self.rate.lr_peak

    @property
    def lr_top(self) -> float:
        """The lr from which on a step decays faster than asked."""
        return math.inf if self.lr_peak is None else self.lr_peak * _ROOM
