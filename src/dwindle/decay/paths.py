"""Where a decay goes between the peak of the lr and the end of the run."""

from collections.abc import Mapping
from types import MappingProxyType

from dwindle.decay.knob import Knob
from dwindle.decay.run import Run

# Taken where no length is given: the averages of a longer run are the same to 1e-3.
ASSUMED_STEPS = 10_000
_FOLLOWS = "follows the lr"
_STAYS = "stays"
_DIVIDES = "divides by 1 + what follows the lr"
_BY_FAMILY: Mapping[str, str] = MappingProxyType(
    {
        "coupled-sgd": _FOLLOWS,
        "coupled-adaptive": _FOLLOWS,  # where gradients keep their size
        "decoupled": _FOLLOWS,
        "schedule-only": _FOLLOWS,
        "constant": _STAYS,
        "corrected": "follows the lr squared",
        "asgd": "falls by itself",
        "asgd-lambd": "falls by itself, by lambd",
        "proximal": _DIVIDES,
        "proximal-schedule-only": _DIVIDES,
    }
)
_OF_THE_SCHEDULE = {_FOLLOWS, _DIVIDES, _STAYS, "follows the lr squared"}


def path_of(knob: Knob) -> str:
    """Return the way of a knob that has a shrink; a rate follows the schedule."""
    return _FOLLOWS if knob.family is None else _BY_FAMILY[knob.family]


def are_alike(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether an equal shrink at the peak is an equal shrink all along the run.

    Where the lr is constant, all that only depends on the lr is constant too. A longer
    run takes the same path more slowly: that is alike, but not the same course.
    """
    ways = {path_of(source), path_of(target)}
    if ways == {_STAYS} or (_is_constant(before) and _is_constant(after)):
        return len(ways) == 1 or ways <= _OF_THE_SCHEDULE
    return len(ways) == 1 and before.schedule == after.schedule


def are_one_course(before: Run, after: Run) -> bool:
    """Tell whether both runs have one schedule, one length and one number format."""
    return (
        before.schedule == after.schedule
        and steps_of(before) == steps_of(after)
        and before.dtype == after.dtype
    )


def steps_of(run: Run) -> float | None:
    """Return the steps of the run, or None where they are not known."""
    return run.quantities().get("steps")


def _is_constant(run: Run) -> bool:
    return run.schedule.shape == "constant" and run.schedule.warmup == 0
