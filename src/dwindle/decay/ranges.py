"""Ranges that every family asks of its knob, its shrink and its e-folds."""

import math

from dwindle.errors import RangeError


def checked_knob(knob: float) -> float:
    """Return the knob if it is a finite number of at least 0."""
    if not 0 <= knob < math.inf:
        raise RangeError("weight_decay", knob, "a finite number of at least 0")
    return knob


def checked_shrink(shrink_per_step: float) -> float:
    """Return the shrink if a half-life belongs to it."""
    if not 0 <= shrink_per_step < 1:
        must = "a fraction in [0, 1): a step cannot take more than the whole weight"
        remedy = "Lower the weight decay or the learning rate."
        raise RangeError("shrink_per_step", shrink_per_step, must, remedy)
    return shrink_per_step


def checked_e_folds(e_folds: float) -> float:
    """Return the e-folds if some knob can give them."""
    if not 0 <= e_folds < math.inf:
        raise RangeError("e_folds", e_folds, "a finite number of at least 0")
    return e_folds
