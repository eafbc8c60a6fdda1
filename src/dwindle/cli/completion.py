"""dwindle completion: what a shell needs to complete commands, options and names.

A script for each shell, made from the records that the commands read their words by.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from shlex import quote
from typing import NamedTuple

from dwindle.cli.main import COMMANDS
from dwindle.cli.options import ALWAYS, AS_JSON, Option
from dwindle.decay.knobs import KNOBS
from dwindle.decay.number_formats import DIGITS
from dwindle.decay.rules import RULES
from dwindle.decay.shapes import SHAPES
from dwindle.errors import UnknownNameError

OPTIONS = (Option("SHELL", "bash, zsh or fish", required=True),)
# What stands for a value, or an option by its name: what may be written there. Where
# nothing is known, the shell completes files.
_KNOBS = tuple(KNOBS)
_VALUES: Mapping[str, tuple[str, ...]] = {
    "KNOB": _KNOBS,
    "KNOB=VALUE": tuple(f"{name}=" for name in _KNOBS),
    "FILTER": _KNOBS,
    "RULE": tuple(rule.name for rule in RULES),
    "SHELL": ("bash", "zsh", "fish"),
    "--schedule": tuple(SHAPES),
    "--dtype": tuple(DIGITS),
}
# zsh reads its first line, and finds the command there.
_FIRST = {"zsh": "#compdef dwindle\n"}
_HEAD = "# dwindle completion {} made this: make it anew after an upgrade."


class _Line(NamedTuple):
    """What may be written behind a command."""

    name: str
    help: str
    options: Sequence[Option]  # those with names
    places: tuple[str, ...]

    def patterns(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        """The options that take a value, as a pattern, by what it may be."""
        taking = [each for each in self.options if not each.is_flag]
        for values in dict.fromkeys(map(_values_of, taking)):
            names = (each.name for each in taking if _values_of(each) == values)
            yield "|".join(f"{self.name}:{name}" for name in names), values


def _values_of(option: Option) -> tuple[str, ...]:
    return _VALUES.get(option.name, _VALUES.get(option.metavar, ()))


def command(*, shell: str, as_json: bool) -> None:
    """Print the completion of a shell: commands, options, knobs, rules, schedules.

    Each shell reads it from its own folder; the examples are the usual ones
    (zsh: one in $fpath). Where nothing is known of a value, files are completed.
    """
    if shell not in _SCRIPTS:
        raise UnknownNameError.among("shell", shell, list(_SCRIPTS), "")
    head = _FIRST.get(shell, "") + _HEAD.format(shell)
    script = "\n".join([head, *_SCRIPTS[shell](list(_lines()))])
    if as_json:
        from dwindle.cli.output import print_json

        print_json({"shell": shell, "script": script})
    else:
        print(script)


def _lines() -> Iterable[_Line]:
    for each in COMMANDS:
        options = (*each.load().OPTIONS, AS_JSON, *ALWAYS)
        places = (_values_of(option) for option in options if option.is_place)
        named = [option for option in options if option.is_named]
        yield _Line(each.name, each.help, named, next(places, ()))


def _bash(lines: Sequence[_Line]) -> Iterable[str]:
    yield "_dwindle() {"
    yield "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    local words= places= each"
    yield "    COMPREPLY=()"
    # Behind two dashes stands the command of somebody else's training.
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield "        [[ $each == -- ]] && return"
    yield "    done"
    yield "    case ${COMP_WORDS[1]}:$before in"
    for pattern, values in chain.from_iterable(line.patterns() for line in lines):
        yield f"    {pattern}) words={quote(' '.join(_in_bash(values)))} ;;"
    yield "    *) case ${COMP_WORDS[1]} in"
    for line in lines:
        words = quote(" ".join(word.name for word in line.options))
        places = quote(" ".join(_in_bash(line.places)))
        yield f"        {line.name}) words={words} places={places} ;;"
    yield "        esac"
    yield "        [[ $word == -* ]] || words=$places ;;"
    yield "    esac"
    names = " ".join(line.name for line in lines)
    yield f"    ((COMP_CWORD == 1)) && words={quote(names)}"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace"
    yield "}"
    yield "complete -o default -F _dwindle dwindle"


def _in_bash(words: Iterable[str]) -> Iterable[str]:
    # bash takes a colon for the end of a word: what is behind it cannot be completed.
    return (word for word in words if ":" not in word)


def _zsh(lines: Sequence[_Line]) -> Iterable[str]:
    names = " ".join(_described(line.name, line.help) for line in lines)
    yield "_dwindle() {"
    yield "    local -a words_there places"
    yield "    (( ${words[(i)--]} < CURRENT )) && { _files; return; }"
    yield "    if (( CURRENT == 2 )); then"
    yield f"        words_there=({names})"
    yield "        _describe command words_there"
    yield "        return"
    yield "    fi"
    yield "    case $words[2]:$words[CURRENT-1] in"
    for pattern, values in chain.from_iterable(line.patterns() for line in lines):
        yield f"    {pattern}) places=({' '.join(map(quote, values))}) ;;"
    yield "    *) case $words[2] in"
    for line in lines:
        options = " ".join(_described(word.name, word.help) for word in line.options)
        places = " ".join(map(quote, line.places))
        yield f"        {line.name}) words_there=({options}) places=({places}) ;;"
    yield "        esac ;;"
    yield "    esac"
    yield "    if [[ $PREFIX == -* ]]; then _describe option words_there"
    yield "    elif (( $#places )); then compadd -S '' -a places"
    yield "    else _files; fi"
    yield "}"
    # As a file in fpath it is run at the first completion; else it is sourced.
    yield "if [[ $funcstack[1] == _dwindle ]]; then _dwindle"
    yield "else compdef _dwindle dwindle; fi"


def _described(name: str, text: str) -> str:
    escaped = name.replace(":", "\\:")
    return quote(f"{escaped}:{text}")


def _fish(lines: Sequence[_Line]) -> Iterable[str]:
    # Files are for values and places of which nothing else is known.
    for line in lines:
        about = f"-d {_quoted_in_fish(line.help)}"
        yield f"complete -c dwindle -f -n __fish_use_subcommand -a {line.name} {about}"
    for line in lines:
        there = f"complete -c dwindle -n '__fish_seen_subcommand_from {line.name}'"
        if line.places:
            yield f"{there} -f -a {_quoted_in_fish(' '.join(line.places))}"
        for word in line.options:
            about = f"-l {word.name[2:]} -d {_quoted_in_fish(word.help)}"
            if word.is_flag:
                yield f"{there} {about}"
            elif _values_of(word):
                values = _quoted_in_fish(" ".join(_values_of(word)))
                yield f"{there} {about} -x -a {values}"
            else:
                yield f"{there} {about} -r"


def _quoted_in_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS: Mapping[str, Callable[[Sequence[_Line]], Iterable[str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
