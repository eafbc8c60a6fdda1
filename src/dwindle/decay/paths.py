"""Where a decay goes between the peak of the lr and the end of the run."""

from collections.abc import Mapping
from types import MappingProxyType

from dwindle.decay.knob import Knob
from dwindle.decay.run import Run

_FOLLOWS = "follows the lr"
_DIVIDES = "divides by 1 + what follows the lr"
_BY_FAMILY: Mapping[str, str] = MappingProxyType(
    {
        "coupled-sgd": _FOLLOWS,
        "decoupled": _FOLLOWS,
        "schedule-only": _FOLLOWS,
        "constant": "stays",
        "corrected": "follows the lr squared",
        "asgd": "falls by itself",
        "asgd-lambd": "falls by itself, by lambd",
        "proximal": _DIVIDES,
        "proximal-schedule-only": _DIVIDES,
    }
)
_OF_THE_SCHEDULE = {_FOLLOWS, _DIVIDES, "stays", "follows the lr squared"}


def path_of(knob: Knob) -> str:
    """Return the way of a knob that has a shrink; a rate follows the schedule."""
    return _FOLLOWS if knob.family is None else _BY_FAMILY[knob.family]


def are_alike(source: Knob, target: Knob, before: Run, after: Run) -> bool:
    """Tell whether an equal shrink at the peak is an equal shrink in every step.

    Where the lr is constant, all that only depends on the lr is constant too.
    """
    ways = {path_of(source), path_of(target)}
    constant = _is_constant(before) and _is_constant(after)
    return len(ways) == 1 or (constant and ways <= _OF_THE_SCHEDULE)


def _is_constant(run: Run) -> bool:
    return run.schedule.shape == "constant" and run.schedule.warmup == 0
