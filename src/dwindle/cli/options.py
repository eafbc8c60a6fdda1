"""Options as records, and how the words of a command line become keyword arguments."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import click

from dwindle.decay import read_numbers
from dwindle.decay.read_numbers import number_of, whole_of
from dwindle.errors import UnknownNameError, UsageError

GENERAL = "Options"


def read_text(_: str, text: str) -> str:
    """Return the text as it is."""
    return text


def read_number(option: str, text: str) -> float:
    """Read 0.1, 3e-4, 1/32768, 1_000 or 1.28M; a text that is no number is refused."""
    return number_of(option, text, remedy=f"Write {option} 0.1, or {option} 3e-4.")


def read_share(option: str, text: str) -> float:
    """Read 0.1 or 10%.

    Example:
        >>> read_share("--warmup", "0.1"), read_share("--warmup", "10%")
        (0.1, 0.1)

    """
    remedy = f"Write {option} 0.1, or {option} 10%."
    return number_of(option, text, must="a share", remedy=remedy)


def read_whole(option: str, text: str) -> int:
    """Read 512, 50k or 1e6; a fraction is refused."""
    return whole_of(option, text, remedy=f"Write {option} 512, or {option} 1e6.")


@dataclass(frozen=True)
class Option:
    """One word of a command line.

    ``name`` is ``--lr``, or without dashes a place of its own (``KNOB=VALUE``).
    ``metavar`` stands for the value; an option without one is a flag. ``also`` are the
    names of other tools: who types one of them reads this one in the error.
    """

    name: str
    help: str
    metavar: str = ""
    read: Callable[[str, str], object] = read_text
    required: bool = False
    group: str = GENERAL
    also: tuple[str, ...] = ()

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
        raise _unknown(command, error.option_name, options) from None
    except click.UsageError as error:
        must = f"{command}: {error.format_message().rstrip('.')}."
        got = " ".join(words) or "no words"
        remedy = _joined_pair(words) or _joined_setting(words) or _HOW.format(command)
        raise UsageError(must, got, remedy) from None
    return {
        option.argument: _value(command, option, given[option.argument])
        for option in options
    }


def _unknown(command: str, typed: str, options: Sequence[Option]) -> UnknownNameError:
    """Offer what another tool's name means here, else what looks like it."""
    hint = f"{command} --help lists all options."
    usual = typed.casefold().replace("_", "-")
    meant = [option for option in options if usual in option.also]
    if meant:
        told = f"{meant[0].name}: {meant[0].help}. {hint}"
        return UnknownNameError("option", typed, (meant[0].name,), told)
    names = [option.name for option in options if not option.is_place]
    return UnknownNameError.among("option", typed, names, hint)


def _joined_setting(words: Sequence[str]) -> str:
    """Say how to write a knob and its value that came as two words."""
    for knob, value in pairwise(words):
        is_name = not knob.startswith("-") and "=" not in knob
        if is_name and read_numbers.read_number(value) is not None:
            return f"Write {knob}={value}, in one word."
    return ""


def _joined_pair(words: Sequence[str]) -> str:
    """Say how to write betas that came as two words."""
    for option, *pair in zip(words, words[1:], words[2:], strict=False):
        numbers = [read_numbers.read_number(each) is not None for each in pair]
        if option == "--betas" and all(numbers):
            return f"Write --betas {','.join(pair)}, in one word."
    return ""


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
