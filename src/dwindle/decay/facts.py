"""The facts of a run and of its schedule: one record each, from ``facts.toml``.

A record has all but the value of a fact: its name here, on a command line and in other
tools, what it is, how it is read, and its range.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from dwindle.decay.read_numbers import (
    number_of,
    numbers_of,
    read_number,
    read_time,
    read_times,
    whole_of,
)
from dwindle.plain import table_beside


class Counted(float):
    """A share of the run that was counted; it may be longer than the run."""


class NumberRange(NamedTuple):
    """How a number is read, its range as text, and the check of that range."""

    must: str
    holds: Callable[[Any], bool]  # Any: a number, or a tuple of them
    read: Callable[..., Any] = number_of  # Any: the same


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A fact as it is typed; a text has no range.

    ``typed`` names the reader of the command line, and ``elsewhere`` the options of
    other tools for it.
    """

    name: str
    option: str
    of_schedule: bool = False
    metavar: str = ""
    typed: str = ""
    text: str = ""
    range: NumberRange | None = None
    example: str = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The option with an example of its value."""
        return f"{self.option} {self.example}"


def _time(name: str, given: object, *, remedy: str) -> float | str:
    """Return a share of the run; a count stays text until the run is known."""
    if not isinstance(given, str):
        return given if isinstance(given, Counted) else number_of(name, given)
    number = read_number(given)
    if number is not None:
        return number
    count, clock = read_time(name, given, remedy)
    return Counted(count) if clock == "run" or count <= 0 else given


def _times(name: str, given: object, *, remedy: str) -> tuple[float, ...] | str:
    """Return several such shares."""
    are_shares = isinstance(given, str) and all(
        read_number(each) is not None for each in given.split(",")
    )
    if are_shares or not isinstance(given, str):
        return numbers_of(name, given, remedy=remedy)
    counts, clock = read_times(name, given, remedy)
    return counts if clock == "run" else given


_SHARE = NumberRange("in [0, 1)", lambda x: 0 <= x < 1)
_FACTOR = NumberRange("a factor in (0, 1]", lambda x: 0 < x <= 1)
_PAIR = NumberRange(
    "two numbers in [0, 1)",
    lambda x: len(x) == 2 and all(map(_SHARE.holds, x)),  # noqa: PLR2004
    partial(
        numbers_of,
        must="two numbers in a list or tuple",
        remedy="Write betas=(0.9, 0.95).",
    ),
)
_CYCLED = "two numbers in [0, 1): the momentum at the peak, and at both ends"
_LRS = "two or more finite lrs of at least 0, one of them above 0"
_RANGES: Mapping[str, NumberRange] = MappingProxyType(
    {
        # An lr of 0 is that of a group at rest, and of a warm-up.
        "not negative": NumberRange(
            "a finite number, 0 or more", lambda x: 0 <= x < math.inf
        ),
        "above 0": NumberRange("a finite number above 0", lambda x: 0 < x < math.inf),
        "share": _SHARE,
        "count": NumberRange("at least 1", lambda x: 1 <= x < math.inf, whole_of),
        "depth": NumberRange(
            "at least 0 hidden layers", lambda x: 0 <= x < math.inf, whole_of
        ),
        "pair": _PAIR,
        "units": NumberRange(
            "two or more layer sizes of at least 1, inputs first",
            lambda x: len(x) >= 2 and min(x) >= 1,  # noqa: PLR2004
            partial(
                numbers_of,
                read=whole_of,
                must="sizes of layers in a list or tuple",
                remedy="Write units=(784, 256, 10).",
            ),
        ),
        "fraction": NumberRange(
            "a fraction of the peak in [0, 1]", lambda x: 0 <= x <= 1
        ),
        "factor": _FACTOR,
        "rise": NumberRange("a share of the steps in [0, 1)", _SHARE.holds, _time),
        "fall": NumberRange("a share in (0, 1]", _FACTOR.holds, _time),
        "period": NumberRange(
            "a share of the steps in (0, 1], or a count of steps or epochs",
            lambda x: 0 < x <= (math.inf if isinstance(x, Counted) else 1),
            _time,
        ),
        "growth": NumberRange(
            "a finite number of at least 1", lambda x: 1 <= x < math.inf
        ),
        "milestones": NumberRange(
            "within the run, each after the one before",
            lambda x: bool(x) and x[0] > 0 and x[-1] < 1 and list(x) == sorted(x),
            _times,
        ),
        "cycle": NumberRange(_CYCLED, _PAIR.holds, partial(numbers_of, must=_CYCLED)),
        "lrs": NumberRange(
            _LRS,
            lambda x: len(x) > 1 and min(x) >= 0 and 0 < max(x) < math.inf,
            partial(numbers_of, must=_LRS),
        ),
    }
)


def _records() -> dict[str, Fact]:
    table = table_beside(__file__)
    found = {
        name: Fact(
            name=name,
            of_schedule=group == "of_schedules",
            option=row.pop("option", f"--{name.replace('_', '-')}"),
            range=_RANGES[row.pop("range")] if "range" in row else None,
            elsewhere=tuple(row.pop("elsewhere", ())),
            **row,
        )
        for group, rows in table.items()
        for name, row in rows.items()
    }
    # Of a listed schedule: a list of lrs, typed where one lr is.
    lrs = Fact(name="lrs", option="--lr", example="lrs.csv", range=_RANGES["lrs"])
    return found | {"lrs": lrs}


FACTS: Mapping[str, Fact] = MappingProxyType(_records())


def option_of(name: str) -> str:
    """Return the option of the command line for a fact of a run or a schedule."""
    return FACTS[name].option if name in FACTS else f"--{name.replace('_', '-')}"


def fact_elsewhere(name: str) -> str | None:
    """Return the field of a run for another tool's name of it, or None.

    Example:
        >>> fact_elsewhere("learning_rate"), fact_elsewhere("scheduler")
        ('lr', 'schedule')

    """
    option = f"--{name.replace('_', '-')}"
    for fact in FACTS.values():
        if option in (fact.option, *fact.elsewhere):
            return "schedule" if fact.name == "shape" else fact.name
    return None
