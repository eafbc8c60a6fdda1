"""Options as records, and how the words of a command line become keyword arguments."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import click

from dwindle.errors import RangeError, UnknownNameError, UsageError

GENERAL = "Options"


def read_text(_: str, text: str) -> str:
    """Return the text as it is."""
    return text


def read_number(option: str, text: str) -> float:
    """Read 0.1, 3e-4 or 1_000; a text without a number in it is refused."""
    number = _number(text)
    if math.isnan(number):
        remedy = f"Write {option} 0.1, or {option} 3e-4."
        raise RangeError(option, repr(text), "a number", remedy)
    return number


def read_share(option: str, text: str) -> float:
    """Read 0.1 or 10%.

    Example:
        >>> read_share("--warmup", "0.1"), read_share("--warmup", "10%")
        (0.1, 0.1)

    """
    number = _number(text.removesuffix("%"))
    if math.isnan(number):
        remedy = f"Write {option} 0.1, or {option} 10%."
        raise RangeError(option, repr(text), "a share", remedy)
    return number / 100 if text.endswith("%") else number


def read_whole(option: str, text: str) -> int:
    """Read 512 or 1e6; a fraction is refused."""
    number = _number(text)
    if not number.is_integer():  # neither is inf
        remedy = f"Write {option} 512, or {option} 1e6."
        raise RangeError(option, repr(text), "a whole number", remedy)
    return int(number)


def _number(text: str) -> float:
    """Return the number that a text is, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


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
    words = list(words)
    params = [_parameter(option) for option in options]
    parser = click.Command(command, params=params, add_help_option=False)
    try:
        given = parser.make_context(command, list(words)).params
    except click.NoSuchOption as error:
        names = [option.name for option in options if not option.is_place]
        hint = f"{command} --help lists all options."
        raise UnknownNameError.among("option", error.option_name, names, hint) from None
    except click.UsageError as error:
        must = f"{command}: {error.format_message().rstrip('.')}."
        got = " ".join(words) or "no words"
        raise UsageError(must, got, _HOW.format(command)) from None
    return {
        option.argument: _value(command, option, given[option.argument])
        for option in options
    }


_HOW = "{} --help shows how to write it; quote what belongs together."


def _parameter(option: Option) -> click.Parameter:
    name = option.argument
    if option.is_place:
        return click.Argument([name], required=option.required, metavar=option.name)
    if option.is_flag:
        return click.Option([option.name, name], is_flag=True)
    # Click keeps the last of two values without a word; all of them show the mistake.
    return click.Option(
        [option.name, name],
        multiple=True,
        required=option.required,
        metavar=option.metavar,
    )


def _value(command: str, option: Option, given: object) -> object:
    if option.is_flag:
        return given
    texts = given if isinstance(given, tuple) else (given,)
    if len(texts) > 1:
        must = f"{option.name} must be given once."
        raise UsageError(must, " and ".join(map(repr, texts)), _HOW.format(command))
    text = texts[0] if texts else None
    return option.read(option.name, text) if isinstance(text, str) else None
