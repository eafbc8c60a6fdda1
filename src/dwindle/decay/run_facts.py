"""Facts of a run one by one: how each is read, and what it may be."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from dwindle.decay.read_numbers import number_of, numbers_of, whole_of


class NotGiven:
    """Marks a fact that nobody gave: where a library has a default, that is used."""


class NumberNotGiven(NotGiven, float):
    """A number to go on with where neither the user nor a library has one."""


class _PairNotGiven(NotGiven, tuple[float, float]):
    """The same for two numbers."""

    __slots__ = ()


# They compute as numbers do, and ``isinstance`` shows that nobody gave them.
NO_MOMENTUM = NumberNotGiven(0.0)
USUAL_BETAS = _PairNotGiven((0.9, 0.999))

# The tokens of an example where a batch is counted in tokens: the number of examples
# is then unknown.
ONE_TOKEN = NumberNotGiven(1.0)


class Fact(NamedTuple):
    """How a number of a run is read, its range in words, and whether it is in it."""

    read: Callable[[str, Any], Any]  # Any: a number or a tuple of them
    must: str
    holds: Callable[[Any], bool]  # Any: the same


# An lr of 0 is that of a group at rest, and of a warm-up.
_NOT_NEGATIVE = Fact(
    number_of, "a finite number, 0 or more", lambda x: 0 <= x < math.inf
)
SHARE = Fact(number_of, "in [0, 1)", lambda x: 0 <= x < 1)
ABOVE_0 = Fact(number_of, "a finite number above 0", lambda x: 0 < x < math.inf)
_COUNT = Fact(whole_of, "at least 1", lambda x: 1 <= x < math.inf)
_DEPTH = Fact(whole_of, "at least 0 hidden layers", lambda x: 0 <= x < math.inf)
PAIR = Fact(
    partial(
        numbers_of,
        must="two numbers in a list or tuple",
        remedy="Write betas=(0.9, 0.95).",
    ),
    "two numbers in [0, 1)",
    lambda x: len(x) == 2 and all(map(SHARE.holds, x)),  # noqa: PLR2004
)
_UNITS = Fact(
    partial(
        numbers_of,
        read=whole_of,
        must="sizes of layers in a list or tuple",
        remedy="Write units=(784, 256, 10).",
    ),
    "two or more layer sizes of at least 1, inputs first",
    lambda x: len(x) >= 2 and min(x) >= 1,  # noqa: PLR2004
)
# Those that are not typed under the name of their field.
_OPTIONS = {
    "shape": "--schedule",
    "start": "--start-lr",
    "final": "--final-lr",
    "lrs": "--lr",
    "decay_schedule": "--wd-schedule",
}


def option_of(name: str) -> str:
    """Return the option of the command line for a fact of a run or a schedule."""
    return _OPTIONS.get(name, f"--{name.replace('_', '-')}")


FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        "lr": _NOT_NEGATIVE,
        "momentum": SHARE,
        "dampening": SHARE,
        "betas": PAIR,
        "batch_size": _COUNT,
        "dataset_size": _COUNT,
        "epochs": ABOVE_0,
        "steps": _COUNT,
        "tokens_per_example": ABOVE_0,
        "gradient_rms": ABOVE_0,
        "width": _COUNT,
        "parameters": _COUNT,
        "depth": _DEPTH,
        "units": _UNITS,
    }
)
