"""Clocks: what a time of training is counted on, and how a text says one."""

import re
from collections.abc import Mapping
from typing import Literal, get_args

from dwindle.decay.written import NUMBER, read_number
from dwindle.errors import RangeError, UnknownNameError

Clock = Literal["steps", "examples", "epochs", "tokens", "run"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)

REMEDY = 'Write a number and a clock: "3 epochs", "2e9 tokens", "20% of the run".'


def _synonyms() -> dict[str, Clock]:
    words: dict[str, Clock] = {"of the run": "run", "of run": "run", "run": "run"}
    for clock in CLOCKS[:-1]:
        words |= {clock: clock, clock.removesuffix("s"): clock}
    words |= {"runs": "run", "samples": "examples", "sample": "examples"}
    its: dict[str, Clock] = dict.fromkeys(("its", "it", "iters", "iter"), "steps")
    return words | {"iterations": "steps", "iteration": "steps"} | its


_WORDS: Mapping[str, Clock] = _synonyms()
_TEXT = re.compile(rf"\s*(?P<number>{NUMBER})\s*(?P<clock>[A-Za-z\s]*)")


def clock_named(word: str) -> Clock:
    """Return the clock of a word: ``epoch``, ``samples``, ``of the run``.

    Raises:
        UnknownNameError: If there is no such clock.

    """
    clock = _WORDS.get(" ".join(word.lower().split()))
    if clock is None:
        raise UnknownNameError.among("clock", word, CLOCKS, REMEDY)
    return clock


def read_time(name: str, text: str, remedy: str = REMEDY) -> tuple[float, Clock]:
    """Read a number and its clock; a percentage is always one of the run.

    Args:
        name: What it is the time of, for the errors.
        text: ``3 epochs``, ``1.5e9 tokens``, ``50k examples``, ``20% of the run``.
        remedy: What to write instead.

    Raises:
        RangeError: If the text is not a number and a clock.
        UnknownNameError: If there is no such clock.

    Example:
        >>> read_time("half_life", "50k examples"), read_time("warmup", "5%")
        ((50000.0, 'examples'), (0.05, 'run'))

    """
    match = _TEXT.fullmatch(text)
    number = read_number(match["number"]) if match else None
    if match is None or number is None:
        raise RangeError(name, repr(text), "a number and a clock", remedy)
    word, is_percentage = match["clock"], "%" in match["number"]
    clock = clock_named("run" if is_percentage and not word.strip() else word)
    if is_percentage and clock != "run":
        raise RangeError(name, repr(text), "a percentage of the run", remedy)
    return number, clock
