"""Every knob to its coordinate and back: a penalty λ, a shrink per step, or e-folds.

A knob that is a coefficient of an objective has a penalty, one whose family takes a
known fraction off a weight has a shrink; coupled SGD has both, and is the bridge.
"""

import math
import re
from collections.abc import Callable, Mapping

from dwindle.decay.families import FAMILIES, Family
from dwindle.decay.gradient_size import decays_by_size, decoupled_over_penalty
from dwindle.decay.half_life import (
    HalfLife,
    checked_shrink,
    half_life_from_shrink,
    shrink_from_half_life,
)
from dwindle.decay.knob import Knob
from dwindle.decay.lambd import LAMBD
from dwindle.decay.own_facts import facts_of
from dwindle.decay.penalties import PENALTIES, Penalty
from dwindle.decay.read_numbers import Clock
from dwindle.decay.run import Run
from dwindle.errors import RefusedError

# What the family reads, over the number that is typed.
SCALES: Mapping[str, Callable[[Run], float]] = {
    "": lambda _: 1.0,
    "/√steps": lambda run: 1 / math.sqrt(run.total_steps),
    "/B": lambda run: 1 / run.require("batch_size", "A decay divided by the minibatch"),
}

# What a rate does between the peak and the end of the run: it follows the schedule.
_RATE_FAMILY = "schedule-only"


def family_of(knob: Knob) -> Family | None:
    """Return the update rule that reads the knob; None for a bare penalty or a rate."""
    if knob.family is None:
        return None
    return LAMBD if knob.family == LAMBD.name else FAMILIES[knob.family]


def penalty_convention_of(knob: Knob) -> Penalty | None:
    """Return the objective that the knob is a coefficient of, or None."""
    return None if knob.penalty is None else PENALTIES[knob.penalty]


def has_shrink(knob: Knob, run: Run | None = None) -> bool:
    """Tell whether a weight with zero gradient decays at a rate that the knob sets.

    Where a run knows the size of the gradients, Adam's coupled decay has a rate too:
    that of weights with such gradients.
    """
    family = family_of(knob)
    if run is not None and decays_by_size(knob, run):
        return True
    return knob.is_rate or (family is not None and family.has_half_life)


def shrink_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return the shrink per step at the peak lr.

    Raises:
        RangeError: If the number or the shrink is out of range.
        OscillationError: If momentum makes the weight swing.
        MissingFactError: If the formula needs a fact that the run does not have.

    """
    if knob.clock is not None:
        steps = HalfLife(number, knob.clock).in_steps(run)
        return (
            checked_shrink(1 / steps)
            if knob.timescale
            else shrink_from_half_life(steps)
        )
    if knob.is_rate:
        return checked_shrink(number)
    family = _family(knob, run)
    return family.shrink_per_step(_read(knob, number, run), facts_of(knob, run))


def number_from_shrink(knob: Knob, shrink_per_step: float, run: Run) -> float:
    """Return the number to type for a shrink per step at the peak lr.

    Raises:
        RangeError: If no number gives that shrink.
        OscillationError: If momentum cannot decay that fast.
        MissingFactError: If the formula needs a fact that the run does not have.

    """
    if knob.clock is not None:
        steps = _timescale(knob, checked_shrink(shrink_per_step))
        return HalfLife.from_steps(steps, clock=knob.clock, run=run).value
    if knob.is_rate:
        return checked_shrink(shrink_per_step)
    read = _family(knob, run).knob_for_shrink(shrink_per_step, facts_of(knob, run))
    return _typed(knob, read, run)


def number_at_same_shrink(
    source: Knob, number: float, before: Run, *, target: Knob, after: Run
) -> float:
    """Return the number to type at the target for the same shrink per step.

    From clock to clock no shrink is formed: of a half-life far below one step it would
    keep no digit.
    """
    if source.clock and target.clock and source.timescale == target.timescale:
        steps = HalfLife(number, source.clock).in_steps(before)
        return HalfLife.from_steps(steps, clock=target.clock, run=after).value
    shrink = shrink_from_number(source, number, before)
    return number_from_shrink(target, shrink, after)


def e_folds_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return -ln of what the whole run leaves of a weight with zero gradient."""
    if knob.is_rate:
        shrink = shrink_from_number(knob, number, run)
        return FAMILIES[_RATE_FAMILY].e_folds(shrink, run)
    family = _family(knob, run)
    return family.e_folds(_read(knob, number, run), facts_of(knob, run))


def survival_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return what the whole run leaves of a weight with zero gradient."""
    if knob.is_rate:
        shrink = shrink_from_number(knob, number, run)
        return FAMILIES[_RATE_FAMILY].survival(shrink, run)
    family = _family(knob, run)
    return family.survival(_read(knob, number, run), facts_of(knob, run))


def number_from_e_folds(knob: Knob, e_folds: float, run: Run) -> float:
    """Return the number to type for so many e-folds over the run."""
    if knob.is_rate:
        shrink = FAMILIES[_RATE_FAMILY].knob_for_e_folds(e_folds, run)
        return number_from_shrink(knob, shrink, run)
    read = _family(knob, run).knob_for_e_folds(e_folds, facts_of(knob, run))
    return _typed(knob, read, run)


def _family(knob: Knob, run: Run) -> Family:
    family = FAMILIES["decoupled"] if decays_by_size(knob, run) else family_of(knob)
    if family is None:
        why = "It is a term of an objective; an optimizer and its lr make it a decay."
        asked, instead = f"A shrink of {knob.name}", "Name an optimizer."
        raise RefusedError(asked, why, instead)
    return family


def _read(knob: Knob, number: float, run: Run) -> float:
    if decays_by_size(knob, run):
        penalty = PENALTIES[str(knob.penalty)].penalty_from_number(number, run)
        return penalty * decoupled_over_penalty(knob, run)
    return number * SCALES[knob.scale](run)


def _typed(knob: Knob, read: float, run: Run) -> float:
    """Return what is typed where the family reads this: the inverse of reading."""
    if decays_by_size(knob, run):
        penalty = read / decoupled_over_penalty(knob, run)
        return PENALTIES[str(knob.penalty)].number_from_penalty(penalty, run)
    return read / SCALES[knob.scale](run)


def _timescale(knob: Knob, shrink_per_step: float) -> float:
    """Return the steps until one half is left, or 1/e as timescales have it."""
    if not knob.timescale:
        return half_life_from_shrink(shrink_per_step)
    return 1 / shrink_per_step if shrink_per_step else math.inf


# How the shrink at the peak lr comes about, said to people; x is the number.
FORMULAS: Mapping[str, tuple[str, str]] = {
    "coupled-sgd": (
        "s = 1 − slow root of z² − (1 + μ − (1−d)·η·x)·z + μ",
        "x = s·(1 − μ − s)/((1 − s)·(1−d)·η)",
    ),
    "decoupled": ("s = η·x", "x = s/η"),
    "schedule-only": ("s = x", "x = s"),
    "constant": ("s = x", "x = s"),
    "corrected": ("s = η·x", "x = s/η"),
    "asgd": ("s = η·(x + 1e-4)", "x = s/η − 1e-4"),
    "asgd-lambd": ("s = η·x", "x = s/η"),
    "proximal": ("s = η·x/(1 + η·x)", "x = s/((1 − s)·η)"),
    "proximal-schedule-only": ("s = x/(1 + x)", "x = s/(1 − s)"),
}
_NESTEROV = (
    "s = 1 − slow root of z² − (1 + μ)(1 − η·x)·z + μ(1 − η·x)",
    "x = s·(1 − μ − s)/((1 − (1 + μ)·s)·η)",
)

# What makes steps of a time on a clock, and back.
_CLOCK_FACTORS: Mapping[Clock, tuple[str, str]] = {
    "steps": ("", ""),
    "examples": ("/(examples per step)", "·(examples per step)"),
    "epochs": ("·(steps per epoch)", "/(steps per epoch)"),
    "tokens": ("/(tokens per step)", "·(tokens per step)"),
    "run": ("·(steps of the run)", "/(steps of the run)"),
}


def shrink_formulas(knob: Knob, run: Run) -> tuple[str, str]:
    """Return the formula from the number to the shrink, and the one back."""
    if knob.clock is not None:
        to_steps, from_steps = _CLOCK_FACTORS[knob.clock]
        time = "x" if knob.timescale else "h"
        steps = f"({time}{to_steps})" if to_steps else time
        if knob.timescale:
            return f"s = 1/{steps}", f"x = 1/s{from_steps}"
        return f"s = 1 − 2^(−1/{steps})", f"h = −ln 2/ln(1 − s){from_steps}"
    if knob.is_rate:
        return "s", "s"
    if decays_by_size(knob, run):
        return _formulas_by_size(knob, run)
    forward, inverse = _family_formulas(str(knob.family), facts_of(knob, run))
    if not knob.scale:
        return forward, inverse
    scaled = re.sub(r"\bx\b", f"x{knob.scale}", forward)
    return scaled, inverse + knob.scale.replace("/", "·")


def _formulas_by_size(knob: Knob, run: Run) -> tuple[str, str]:
    penalty = PENALTIES[str(knob.penalty)]
    gain = decoupled_over_penalty(knob, run)
    return (
        f"{penalty.forward}, s = η·λ·{gain:.6g}",
        f"λ = s/(η·{gain:.6g}), {penalty.inverse}",
    )


def _family_formulas(family: str, run: Run) -> tuple[str, str]:
    if family == "coupled-sgd" and run.nesterov:
        return _NESTEROV
    if family == "coupled-sgd" and run.momentum == 0:
        return FORMULAS["decoupled"]
    return FORMULAS[family]
