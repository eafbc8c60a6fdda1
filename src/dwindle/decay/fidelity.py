"""How much a conversion keeps: the label, by what is equal on both sides."""

from dataclasses import replace
from typing import Literal

from dwindle.decay.coordinates import decays_by_size
from dwindle.decay.families import STAYS, course_of, has_momentum
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import facts_of
from dwindle.decay.run import Run

Fidelity = Literal[
    "same-trajectory",
    "same-decay",
    "same-objective",
    "same-total-decay",
    "approximate",
]
Keep = Literal["step", "epoch", "run"]

# Taken where no length is given: the averages of a longer run are the same to 1e-3.
ASSUMED_STEPS = 10_000


def steps_of(run: Run) -> float | None:
    """Return the steps of the run, or None where they are not known."""
    return run.quantities().get("steps")


def falls_by_itself(knob: Knob) -> bool:
    """Return whether the decay gets slower by itself, also at a constant lr."""
    return not course_of(knob).is_of_schedule


def are_alike(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Return whether an equal shrink at the peak is one all along the run.

    Where the lr is constant, all that only depends on the lr is constant too. A longer
    run takes the same course more slowly: that is alike, but not the same course.
    """
    courses = {course_of(source), course_of(target)}
    is_constant = before.schedule.is_constant and after.schedule.is_constant
    if courses == {STAYS} or is_constant:
        return len(courses) == 1 or all(each.is_of_schedule for each in courses)
    return len(courses) == 1 and before.schedule == after.schedule


def are_one_course(before: Run, after: Run) -> bool:
    """Return whether both runs have one schedule, one length and one number format."""
    return (
        before.schedule == after.schedule
        and steps_of(before) == steps_of(after)
        and before.dtype == after.dtype
    )


def are_same_weights(source: Knob, target: Knob) -> bool:
    """Tell whether the same weights decay on both sides by default."""
    both_all = source.skips_nothing and target.skips_nothing
    return both_all or source.skips == target.skips


def is_same_step(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether both optimizers take the same steps where their decay is the same.

    That is the same update of the same weights with the same facts, in a format in
    which the libraries' orders of operations round alike.
    """
    return (
        is_same_update(source, target, before, after)
        and not is_coarse(source, target, before, after)
        and not starts_otherwise(source, target, before, after)
    )


def is_same_update(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell the same, apart from rounding and from the first step."""
    return (
        bool(source.update)
        and source.update == target.update
        and are_same_weights(source, target)
        and _with_given_betas(source, before) == _with_given_betas(target, after)
    )


def is_coarse(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether two libraries' steps are rounded by a format of few digits."""
    dtypes = {before.dtype, after.dtype}
    return source != target and not dtypes <= {"float32", "float64"}


def starts_otherwise(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether only one side dampens the first step too."""
    damped = facts_of(source, before).dampening or facts_of(target, after).dampening
    flags = {knob.options.dampening_is_flag for knob in (source, target)}
    return bool(damped) and len(flags) > 1


def _with_given_betas(knob: Knob, run: Run) -> Run:
    # Betas are taken to be the same on both sides, whatever the libraries' defaults:
    # a sentence beside the conversion says so.
    return replace(facts_of(knob, run), betas=run.betas)


def of_penalty(source: Knob, target: Knob, before: Run, after: Run) -> Fidelity:
    """Return what a conversion between coefficients of an objective keeps."""
    if source.beside_l1 != target.beside_l1:
        return "approximate"
    same_loss = source.penalty == target.penalty
    same_step = same_loss and is_same_step(source, target, before, after)
    same = same_step or (source == target and before == after)
    return "same-trajectory" if same else "same-objective"


def of_shrink(
    source: Knob, target: Knob, before: Run, after: Run, *, is_rounded: bool
) -> Fidelity:
    """Return what a conversion keeps that keeps the shrink at the peak lr."""
    if source == target and before == after:
        return "same-trajectory"
    if not _is_every_step_alike(source, target, before, after):
        return "approximate"
    if is_same_step(source, target, before, after):
        return "same-trajectory"
    return "approximate" if is_rounded else "same-decay"


def _is_every_step_alike(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    if not are_alike(source, target, before, after):
        return False
    return are_one_course(before, after) and not any(
        falls_by_itself(knob) or has_memory(knob, run) or is_rough(knob, run)
        for knob, run in ((source, before), (target, after))
    )


def of_total(
    source: Knob, target: Knob, before: Run, after: Run, *, is_rounded: bool
) -> Fidelity:
    """Return what a conversion keeps that keeps the average decay of a run's steps."""
    loose = is_rough(source, before) or is_rough(target, after) or is_rounded
    loose = loose or before.dtype != after.dtype or steps_of(before) is None
    return "approximate" if loose else "same-total-decay"


def has_memory(knob: Knob, run: Run) -> bool:
    """Tell whether the decay goes through a momentum."""
    return has_momentum(knob) and facts_of(knob, run).momentum > 0


def is_rough(knob: Knob, run: Run) -> bool:
    """Tell whether the decay of a step depends on more than the number and the lr."""
    return knob.varies or decays_by_size(knob, run)


def of_number(source: Knob, target: Knob, run: Run) -> Fidelity:
    """Return what one number keeps in two libraries' forms of an algorithm."""
    same = source == target or is_same_step(source, target, run, run)
    return "same-trajectory" if same else "approximate"
