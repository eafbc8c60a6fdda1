"""Options as records: how words become keyword arguments, and what --help prints."""

import inspect
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import dedent
from typing import TYPE_CHECKING, Any, TypeVar

from dwindle.cli.output import show
from dwindle.decay import read_numbers
from dwindle.decay.read_numbers import number_of, whole_of
from dwindle.errors import RangeError, UnknownNameError, UsageError
from dwindle.show import Column, Line, Table

if TYPE_CHECKING:
    import click

Number = TypeVar("Number", int, float)
GENERAL = "Options"
_HOW = "{} --help shows how to write it; quote what belongs together."


def read_text(_: str, text: str) -> str:
    """Return the text as it is."""
    return text


def written(option: str, *values: str) -> str:
    """Return how to write an option, or a key of a study file that has no dashes.

    Example:
        >>> written("--time", "2h", "90s"), written("time", "2h")
        ('Write --time 2h, or --time 90s.', 'Write time = "2h".')

    """
    if option.startswith("--"):
        texts = [f"{option} {value}" for value in values]
    else:
        quoted = [
            value if read_numbers.read_number(value) is not None else f'"{value}"'
            for value in values
        ]
        texts = [f"{option} = {value}" for value in quoted]
    return f"Write {', or '.join(texts)}."


def read_number(option: str, text: str) -> float:
    """Read 0.1, 3e-4, 1/32768, 1_000 or 1.28M; a text that is no number is refused."""
    return number_of(option, text, remedy=written(option, "0.1", "3e-4"))


def read_share(option: str, text: str) -> float:
    """Read 0.1 or 10%."""
    remedy = written(option, "0.1", "10%")
    return number_of(option, text, must="a share", remedy=remedy)


def read_whole(option: str, text: str) -> int:
    """Read 512, 50k or 1e6; a fraction is refused."""
    return whole_of(option, text, remedy=written(option, "512", "1e6"))


def read_count(most: int) -> Callable[[str, str], int]:
    """Return what reads a whole number from 1 to some number."""

    def read(option: str, text: str) -> int:
        count = read_whole(option, text)
        if not 1 <= count <= most:
            raise RangeError(option, count, f"from 1 to {most:,}", written(option, "8"))
        return count

    return read


def read_with(
    units: Mapping[str, int], must: str, *examples: str, kind: type[Number]
) -> Callable[[str, str], Number]:
    """Return what reads a number with its unit, as so many of the unit ``""``.

    Example:
        >>> read_with({"": 1, "m": 60}, "a time", "2m", kind=float)("--time", "1.5m")
        90.0

    """

    def read(option: str, text: str) -> Number:
        unit = re.findall(r"[a-z]*$", text.strip().casefold())[0]
        number = read_numbers.read_number(text.strip()[: -len(unit) or None])
        remedy = written(option, *examples)
        if number is None or not math.isfinite(number) or unit not in units:
            raise RangeError(option, repr(text), must, remedy)
        found = kind(number * units[unit])
        if found <= 0:
            raise RangeError(option, text, "above 0", remedy)
        return found

    return read


def read_one_of(values: Mapping[str, object]) -> Callable[[str, str], object]:
    """Return what reads one of some words, in capitals or not, as its value."""

    def read(option: str, text: str) -> object:
        if text.casefold() not in values:
            kind = f"value of {option}"
            raise UnknownNameError.among(kind, text, tuple(values))
        return values[text.casefold()]

    return read


@dataclass(frozen=True)
class Option:
    """One word of a command line."""

    name: str  # ``--lr``, or without dashes a place (``KNOB=VALUE``)
    help: str  # what it is, in a few words
    metavar: str = ""  # stands for the value; an option without one is a flag
    read: Callable[[str, str], object] = read_text  # of the name, and of what was typed
    required: bool = False
    group: str = GENERAL  # heading of the help page
    # Names that other tools have for it: who types one reads this one in the error.
    also: tuple[str, ...] = ()
    keyword: str = ""  # name of the keyword argument, where it is another one
    is_rest: bool = False  # all words behind ``--``: the command of a training
    repeats: bool = False  # it may be given several times, and its value is a tuple
    # A fact of a run arrives as text, which may be before:after, and is read with all
    # others.
    is_fact: bool = False

    @property
    def is_place(self) -> bool:
        """Whether the word counts by its place rather than by dashes."""
        return not self.name.startswith("--") and not self.is_rest

    @property
    def is_named(self) -> bool:
        """Whether it stands behind its name."""
        return not (self.is_place or self.is_rest)

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return self.is_named and not self.metavar

    @property
    def argument(self) -> str:
        """Name of the keyword argument."""
        return self.keyword or re.sub(r"\W+", "_", self.name.lstrip("-")).lower()

    def value_of(self, text: str) -> object:
        """Return what a command gets of what was typed."""
        return text if self.is_fact else self.read(self.name, text)


DIRECTIONS = (
    Option("--maximize", "more of the metric is better; else inferred from its name"),
    Option("--minimize", "less of the metric is better"),
)


def direction_of(arguments: Mapping[str, Any]) -> bool | None:
    """Return whether more is better, if either option was given; else None."""
    if arguments["maximize"] and arguments["minimize"]:
        must = "One of --maximize and --minimize must be left out."
        raise UsageError(must, "both", "Write --maximize for a score.")
    return True if arguments["maximize"] else False if arguments["minimize"] else None


# Hardly a training has these options, so in a line without -- they are dwindle's;
# --lr or --epochs may be those of the training.
_ONLY_OURS = {"--knob", "--low", "--high", "--guess", "--within", "--trainings"}
AS_JSON = Option("--json", "print JSON instead of tables", keyword="as_json")
# main reads them before the command does.
ALWAYS = (
    Option("--help", "show this page"),
    Option("--debug", "show a traceback when something fails"),
)


def read_words(
    command: str, options: Sequence[Option], words: Iterable[str]
) -> dict[str, object]:
    """Return the keyword arguments that a command line gives."""
    # Here and not above: the calculator has the tables of options, and no click.
    import click

    words, rest = split_at_dashes(words)
    if not any(option.is_rest for option in options):
        words, rest = [*words, *rest], []
    params = [_parameter(option) for option in options if not option.is_rest]
    parser = click.Command(command, params=params, add_help_option=False)
    try:
        # Click takes the words out of the list that it is given.
        given = parser.make_context(command, list(words)).params
    except click.UsageError as error:
        begins = _where_a_command_begins(words, options)
        if begins is not None:
            ours, theirs = _parted(words[:begins], [*words[begins:], *rest], options)
            must = "A command must stand behind --, all options of dwindle before it."
            line = shlex.join([*command.split(), *ours, "--", *theirs])
            got = shlex.join([*words[begins:], *rest])
            raise UsageError(must, got, f"Write: {line}") from None
        if isinstance(error, click.NoSuchOption):
            named = {each.name: each for each in options if not each.is_rest}
            hint = f"{command} --help lists all options."
            raise unknown_option("option", error.option_name, named, hint) from None
        must = f"{command}: {error.format_message().rstrip('.')}."
        got = " ".join(words) or "no words"
        raise UsageError(must, got, _joined(words) or _HOW.format(command)) from None
    return {
        option.argument: tuple(rest)
        if option.is_rest
        else _value(command, option, given[option.argument])
        for option in options
    }


def split_at_dashes(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words before ``--``, which are ours, and those behind it."""
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def _where_a_command_begins(
    words: Sequence[str], options: Sequence[Option]
) -> int | None:
    """Return the place of the first word of a command that lacks its two dashes."""
    if not any(option.is_rest for option in options):
        return None
    takes = {each.name: not each.is_flag for each in options if each.is_named}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        name, is_joined, _ = words[at].partition("=")
        if name not in takes:  # an option of ours that is misspelt
            return None
        at += 2 if takes[name] and not is_joined else 1
    # Of one word alone only module:function and FILE.toml are no command.
    is_command = at < len(words) and not re.search(r"\w:\w|\.toml$", words[at])
    return at if is_command else None


def _parted(
    before: Sequence[str], behind: Sequence[str], options: Sequence[Option]
) -> tuple[list[str], list[str]]:
    """Return our words, and those of a command among which some of ours may stand."""
    movable = {each.name for each in options if each.name in _ONLY_OURS}
    movable -= {word.partition("=")[0] for word in before}
    ours, theirs = [*before], list[str]()
    at = 0
    while at < len(behind):
        name, is_joined, _ = behind[at].partition("=")
        size = 2 if name in movable and not is_joined else 1
        (ours if name in movable else theirs).extend(behind[at : at + size])
        at += size
    return ours, theirs


def _parameter(option: Option) -> "click.Parameter":
    import click

    name, required = option.argument, option.required
    if option.is_place:
        return click.Argument([name], required=required, metavar=option.name)
    if option.is_flag:
        return click.Option([option.name, name], is_flag=True)
    # Click silently keeps the last of two values; with all of them it is an error.
    words = [option.name, name]
    return click.Option(words, multiple=True, required=required, metavar=option.metavar)


def _value(command: str, option: Option, given: object) -> object:
    if option.is_flag:
        return given
    texts = given if isinstance(given, tuple) else (given,)
    if option.repeats:
        return tuple(map(option.value_of, texts))
    if len(texts) > 1:
        must = f"{option.name} must be given once."
        raise UsageError(must, " and ".join(map(repr, texts)), _HOW.format(command))
    text = texts[0] if texts else None
    return option.value_of(text) if isinstance(text, str) else None


def unknown_option(
    kind: str, typed: str, options: Mapping[str, Option], hint: str = ""
) -> UnknownNameError:
    """Return an error that offers what another tool's name means here, or similar ones.

    Another tool's is learning_rate, or --LEARNINGRATE; ``options`` are by the name that
    they have where this one stands.
    """
    for name, option in options.items():
        if _letters(typed) in map(_letters, option.also):
            hint = f"{name}: {option.help}. {hint}".strip()
            return UnknownNameError(kind, typed, (name,), hint)
    names = [name for name, option in options.items() if not option.is_place]
    return UnknownNameError.among(kind, typed, names, hint)


def _letters(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def _joined(words: Sequence[str]) -> str:
    """Return how to write betas, or a knob and its value, that came as two words."""
    # argparse takes "--betas 0.9 0.95", and papers write "AdamW 0.1".
    is_number = [read_numbers.read_number(word) is not None for word in words]
    for at, word in enumerate(words[:-2]):
        if word == "--betas" and all(is_number[at + 1 : at + 3]):
            return f"Write --betas {','.join(words[at + 1 : at + 3])}, in one word."
    for at, (knob, value) in enumerate(pairwise(words)):
        if is_number[at + 1] and not knob.startswith("-") and "=" not in knob:
            return f"Write {knob}={value}, in one word."
    return ""


def print_page(
    name: str, text: str, options: Sequence[Option], examples: Sequence[str]
) -> None:
    """Print the help of one command: how to write it, what it does, its options."""
    places = " ".join(each.name for each in options if each.is_place)
    rest = "".join(f" -- {each.name}" for each in options if each.is_rest)
    groups: dict[str, dict[str, str]] = {}
    for option in (*options, *ALWAYS):
        group = groups.setdefault(option.group, {})
        group[f"{option.name} {option.metavar}".rstrip()] = option.help
    groups[GENERAL] = groups.pop(GENERAL)  # facts first, the small print last
    # One width for all groups, so that their texts stand below each other.
    widest = max(len(word) for group in groups.values() for word in group)
    usage = Line(text=f"dwindle {name} {places} OPTIONS{rest}", style="bold", indent=2)
    show("", usage)
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        is_code = paragraph.startswith(" ")  # an example file: as it is written
        folded = dedent(paragraph) if is_code else " ".join(paragraph.split())
        show("", Line(text=folded, indent=2, whole=is_code))
    show("", Line(text="Examples", style="bold", indent=2))
    for example in examples:
        show(Line(text=f"dwindle {name} {example}".rstrip(), indent=2, whole=True))
    for title, group in groups.items():
        show("", Line(text=title, style="bold", indent=2), _rows(group, widest))
    show("")


def print_overview(commands: Mapping[str, str]) -> None:
    """Print what dwindle is and one line for each command."""
    last = (
        "dwindle COMMAND --help prints what one command takes.",
        "Every command prints JSON with --json.",
        "--version prints the version.",
    )
    title = "dwindle: weight decay, corrected for scale"
    rows = _rows(commands, max(map(len, commands)))
    show("", Line(text=title, style="bold", indent=2), "", rows, "")
    show(*(Line(text=each, indent=2) for each in last), "")


def _rows(texts: Mapping[str, str], width: int) -> Table:
    columns = (Column("word", "name", "cyan"), "text")
    rows = [(f"{word:{width}}", text) for word, text in texts.items()]
    return Table(columns=columns, rows=rows, heads=False, indent=2)
