"""Every knob to its coordinate and back: a penalty λ, a shrink per step, or e-folds.

A knob that is a coefficient of an objective has a penalty, one whose family takes a
known fraction off a weight has a shrink; coupled SGD has both, and is the bridge.

Coupled decay in an adaptive optimizer has a shrink where gradients are noise of known
size. Adam divides the sum of gradient and ``λ·w`` by its own size. Where that is the
gradients' and they do not depend on the weight, the decay is divided by a constant: one
step takes ``lr·λ/(G + ε)`` off a weight, with ``G`` the root mean square of its
gradient, as AdamW does with ``weight_decay = λ/(G + ε)``. Measured on torch 2.13.0 and
pytorch_optimizer 4.1.0 as the difference of two starts under the same white noise, 500
to 2,000 steps, over lr·λ/G: Adam 1.001, NAdam 1.001, RMSprop 0.994, AdaBelief 1.086;
RAdam 0.69, which its rectification takes to 1.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from dwindle.decay.families import (
    ADAPTIVE,
    DECOUPLED,
    OF_A_RATE,
    Family,
    family_of,
)
from dwindle.decay.half_life import (
    HalfLife,
    checked_shrink,
    half_life_from_shrink,
    shrink_from_half_life,
)
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import facts_of
from dwindle.decay.penalties import PENALTIES, Penalty
from dwindle.decay.refusals import refused
from dwindle.decay.run import Run
from dwindle.errors import RangeError


@dataclass(frozen=True, kw_only=True)
class CoordinateScale:
    """Ratio of what the family reads to the number x that is typed.

    Args:
        factor: That ratio.
        inverse: Suffix of the formula for x.
        divisor: A root sign or nothing, the letter of the fact that x is divided by,
            and the fact in digits, empty where it is not known; None where x is read
            as it is.

    """

    factor: Callable[[Run], float]
    inverse: str = ""
    divisor: Callable[[Run], tuple[str, str, str] | None] = lambda _: None


# By their suffix of x in a formula.
SCALES: Mapping[str, CoordinateScale] = MappingProxyType(
    {
        "": CoordinateScale(factor=lambda _: 1.0),
        "/√steps": CoordinateScale(
            factor=lambda run: 1 / math.sqrt(run.total_steps),
            inverse="·√steps",
            divisor=lambda run: (
                "√",
                "T",
                f"{steps:.6g}" if (steps := run.quantities().get("steps")) else "",
            ),
        ),
        # The nominal batch of ultralytics/engine/trainer.py.
        "·B/64": CoordinateScale(
            factor=lambda run: (
                run.require("batch_size", "A decay stated for a batch of 64") / 64
            ),
            inverse="·64/B",
            divisor=lambda run: (
                "",
                "(64/B)",
                f"{64 / run.batch_size:.6g}" if run.batch_size else "",
            ),
        ),
        "/B": CoordinateScale(
            factor=lambda run: (
                1 / run.require("batch_size", "A decay divided by the minibatch")
            ),
            inverse="·B",
            divisor=lambda run: ("", "B", str(run.batch_size or "")),
        ),
    }
)


def _belief(beta: float) -> float:
    if beta:
        return beta
    must = "above 0 for the first one: without it AdaBelief divides by g − g, by 0"
    raise RangeError("betas", beta, must, "Write --betas 0.9,0.999, for example.")


# By algorithm: how much more than lr·λ/(G + ε) a step takes. Adagrad, Adadelta, Adamax,
# ADOPT and AdEMAMix divide by other sizes, which G does not determine.
_GAINS: Mapping[str, Callable[[Run], float]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("adam", "torch-nadam", "radam", "torch-rmsprop"), lambda _: 1.0
        ),
        # It divides by the size of g − m, which is smaller than that of g.
        # Of white noise it is β₁ (g − m₋₁), with 2 β₁²/(1 + β₁) times its variance.
        "adabelief": lambda run: (
            math.sqrt((1 + run.betas[0]) / 2) / _belief(run.betas[0])
        ),
    }
)


def divides_by_gradients(knob: Knob) -> bool:
    """Return whether the decay is divided by nothing but the gradients' size."""
    return family_of(knob) is ADAPTIVE and knob.algorithm in _GAINS


def decays_by_size(knob: Knob, run: Run) -> bool:
    """Return whether the knob has a rate because the gradients' size is known."""
    return run.gradient_rms is not None and divides_by_gradients(knob)


def decoupled_over_penalty(knob: Knob, run: Run) -> float:
    """Return AdamW's weight_decay over the coefficient λ that decays as fast."""
    size = run.require("gradient_rms", f"The rate of {knob.name}") + knob.epsilon
    return _GAINS[knob.algorithm](run) / size


def penalty_convention_of(knob: Knob) -> Penalty | None:
    """Return the objective that the knob is a coefficient of, or None."""
    return None if knob.penalty is None else PENALTIES[knob.penalty]


def has_shrink(knob: Knob, run: Run | None = None) -> bool:
    """Return whether a weight with zero gradient decays at a rate that the knob sets.

    Where a run knows the size of the gradients, Adam's coupled decay has a rate too:
    that of weights with such gradients.
    """
    family = family_of(knob)
    if run is not None and decays_by_size(knob, run):
        return True
    return knob.is_rate or (family is not None and family.has_half_life)


def shrink_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return the shrink per step at the peak lr."""
    family, read = _family(knob, run), _read(knob, number, run)
    if knob.is_rate:  # 1, of a half-life far below one step, is allowed
        return read
    return family.shrink_per_step(read, facts_of(knob, run))


def number_from_shrink(knob: Knob, shrink_per_step: float, run: Run) -> float:
    """Return the number to type for a shrink per step at the peak lr."""
    read = _family(knob, run).knob_for_shrink(shrink_per_step, facts_of(knob, run))
    return _typed(knob, read, run)


def number_at_same_shrink(
    source: Knob, number: float, before: Run, *, target: Knob, after: Run
) -> float:
    """Return the number to type at the target for the same shrink per step.

    From clock to clock no shrink is computed: a half-life far below one step would lose
    all digits in it.
    """
    if source.clock and target.clock and source.timescale == target.timescale:
        steps = HalfLife(number, source.clock).in_steps(before)
        return HalfLife.from_steps(steps, clock=target.clock, run=after).value
    shrink = shrink_from_number(source, number, before)
    return number_from_shrink(target, shrink, after)


def number_at_scaled_penalty(
    knob: Knob, number: float, factor: float, before: Run, after: Run
) -> float:
    """Return the number to type where the coefficient λ is multiplied."""
    convention = penalty_convention_of(knob)
    if convention is None:
        return number * factor
    penalty = convention.penalty_from_number(number, before)
    return convention.number_from_penalty(penalty * factor, after)


def e_folds_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return -ln of what the whole run leaves of a weight with zero gradient."""
    family = _family(knob, run)
    return family.e_folds(_read(knob, number, run), facts_of(knob, run))


def survival_from_number(knob: Knob, number: float, run: Run) -> float:
    """Return what the whole run leaves of a weight with zero gradient."""
    family = _family(knob, run)
    return family.survival(_read(knob, number, run), facts_of(knob, run))


def number_from_e_folds(knob: Knob, e_folds: float, run: Run) -> float:
    """Return the number to type for so many e-folds over the run."""
    read = _family(knob, run).knob_for_e_folds(e_folds, facts_of(knob, run))
    return _typed(knob, read, run)


def _family(knob: Knob, run: Run) -> Family:
    if knob.is_rate:
        return OF_A_RATE
    family = DECOUPLED if decays_by_size(knob, run) else family_of(knob)
    if family is None:
        raise refused("no-optimizer", knob=knob.name)
    return family


def _read(knob: Knob, number: float, run: Run) -> float:
    """Return what the family reads: for a half-life, the shrink at the peak lr."""
    if knob.clock is not None:
        steps = HalfLife(number, knob.clock).in_steps(run)
        if knob.timescale:
            return checked_shrink(1 / steps)
        return shrink_from_half_life(steps)
    if knob.is_rate:
        return checked_shrink(number)
    if decays_by_size(knob, run):
        # The RMS is of the gradients as they are, of a summed loss or of a mean.
        as_it_is = replace(run, loss="mean")
        penalty = PENALTIES[str(knob.penalty)].penalty_from_number(number, as_it_is)
        return penalty * decoupled_over_penalty(knob, run)
    return number * SCALES[knob.scale].factor(run)


def _typed(knob: Knob, read: float, run: Run) -> float:
    """Return the number to type for what the family reads: inverse of ``_read``."""
    if knob.clock is not None:
        steps = half_life_from_shrink(read)
        if knob.timescale:  # until 1/e is left
            steps = 1 / read if read else math.inf
        return HalfLife.from_steps(steps, clock=knob.clock, run=run).value
    if decays_by_size(knob, run):
        penalty = read / decoupled_over_penalty(knob, run)
        as_it_is = replace(run, loss="mean")
        return PENALTIES[str(knob.penalty)].number_from_penalty(penalty, as_it_is)
    return read / SCALES[knob.scale].factor(run)
