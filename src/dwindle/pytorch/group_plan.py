"""GroupPlan: what the controller does to one param group at a step, as plain facts."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from dwindle.decay.held_rate import HeldRate

Mechanism = Literal["native", "multiply", "penalty", "left alone"]
KNOB = "weight_decay"


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPlan:
    """What the controller does to one param group.

    ``rate`` is what a step owes (None where nothing decays by a half-life);
    ``decay_scale`` multiplies the asked decay; ``knob`` is what the group's
    weight_decay is set to where it is a constant; ``before`` holds the options as they
    were, to be put back. ``factors`` is the number of factors that the group's number
    format can tell (:mod:`dwindle.decay.owed`).
    """

    mechanism: Mechanism
    why: str
    decay_scale: float
    before: dict[str, Any]  # Any: options of a param group are anything
    factors: float
    rate: HeldRate | None = None
    knob: float = 0.0

    @property
    def has_knob(self) -> bool:
        """Whether the group has a weight_decay at all."""
        return KNOB in self.before

    @property
    def half_life_steps(self) -> float:
        """Half-life in steps at the peak lr; ``inf`` where none is held."""
        return math.inf if self.rate is None else self.rate.half_life_steps
