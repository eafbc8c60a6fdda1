"""Options as records, and how the words of a command line become keyword arguments."""

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dwindle.errors import RangeError, UnknownNameError, UsageError

GENERAL = "Options"


def read_text(_: str, text: str) -> str:
    """Return the text as it is."""
    return text


def read_number(option: str, text: str) -> float:
    """Read 0.1, 3e-4 or 1_000; a text without a number in it is refused."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        remedy = f"Write {option} 0.1, or {option} 3e-4."
        raise RangeError(option, repr(text), "a number", remedy)
    return number


def read_whole(option: str, text: str) -> int:
    """Read 512 or 1e6; a fraction is refused."""
    number = read_number(option, text)
    if not number.is_integer():  # neither is inf
        remedy = f"Write {option} 512, or {option} 1e6."
        raise RangeError(option, repr(text), "a whole number", remedy)
    return int(number)


@dataclass(frozen=True)
class Option:
    """One word of a command line.

    ``name`` is ``--lr``, or without dashes a place of its own (``KNOB=VALUE``).
    ``metavar`` stands for the value; an option without one is a flag.
    """

    name: str
    help: str
    metavar: str = ""
    read: Callable[[str, str], object] = read_text
    required: bool = False
    group: str = GENERAL

    @property
    def is_place(self) -> bool:
        """Whether the word is told by its place rather than by dashes."""
        return not self.name.startswith("--")

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.is_place and not self.metavar

    @property
    def argument(self) -> str:
        """Name of the keyword argument: ``as_json`` apart, the option's own."""
        if self is AS_JSON:
            return "as_json"
        return re.sub(r"\W+", "_", self.name.lstrip("-")).lower()


# A word that begins like an option; -0.1 and -inf are values.
_OPTION = re.compile(r"-(?![\d.]|inf\b|$)")
AS_JSON = Option("--json", "print JSON instead of tables")


def read_words(
    command: str, options: Sequence[Option], words: Iterable[str]
) -> dict[str, object]:
    """Return the keyword arguments that a command line says.

    Args:
        command: What was called, for the errors: ``dwindle convert``.
        options: All that the command takes.
        words: The words after it; ``--lr 0.1`` and ``--lr=0.1`` are the same.

    Raises:
        UnknownNameError: If an option is not one of the command's.
        UsageError: If a value or a place is missing, or a word is too many.
        RangeError: If a value cannot be read.

    Example:
        >>> options = (Option("KNOB", "Which."), Option("--lr", "Rate.", "LR"))
        >>> read_words("dwindle try", options, ["SGD", "--lr", "0.1"])
        {'knob': 'SGD', 'lr': '0.1'}

    """
    given: dict[Option, str] = {}
    for option, text in _pairs(command, options, deque(words)):
        if option in given:
            raise _usage(command, f"{option.name} must be given once.", "it twice")
        given[option] = text
    for option in options:
        if option.required and option not in given:
            raise _usage(command, f"{command} must be given {option.name}.", "none")
    return {option.argument: _value(option, given) for option in options}


def _value(option: Option, given: Mapping[Option, str]) -> object:
    if option.is_flag:
        return option in given
    return option.read(option.name, given[option]) if option in given else None


def _pairs(
    command: str, options: Sequence[Option], queue: deque[str]
) -> Iterator[tuple[Option, str]]:
    named = {option.name: option for option in options if not option.is_place}
    places = deque(option for option in options if option.is_place)
    while queue:
        word = queue.popleft()
        name = word.partition("=")[0]
        if not _OPTION.match(word):
            yield _next_place(command, places, word), word
        elif name in named:
            yield named[name], _text_of(command, named[name], word, queue)
        else:
            hint = f"{command} --help lists all options."
            raise UnknownNameError.among("option", name, named, hint)


def _next_place(command: str, places: deque[Option], word: str) -> Option:
    if not places:
        must = f"{command} must be given one word for each place."
        quoted = 'Quote what belongs together, as in half-life="3 epochs".'
        raise UsageError(must, f"{word!r}, which is one too many", quoted)
    return places.popleft()


def _text_of(command: str, option: Option, word: str, queue: deque[str]) -> str:
    _, equals, text = word.partition("=")
    if option.is_flag and equals:
        raise _usage(command, f"{option.name} must stand alone.", repr(word))
    if option.is_flag or equals:
        return text
    if not queue or _OPTION.match(queue[0]):
        got = repr(queue[0]) if queue else "nothing"
        must = f"{option.name} must be followed by its value, {option.metavar}."
        raise _usage(command, must, got)
    return queue.popleft()


def _usage(command: str, must: str, got: str) -> UsageError:
    return UsageError(must, got, f"{command} --help shows how to write it.")
