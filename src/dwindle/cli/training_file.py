"""The study file of find and tune: a command line as TOML."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dwindle.cli.options import Option, read_text, unknown_option, written
from dwindle.decay.facts import FACTS
from dwindle.decay.run import Run
from dwindle.decay.typed_facts import as_fields
from dwindle.errors import (
    DwindleError,
    MissingFactError,
    RangeError,
    StudyFileError,
    UnknownNameError,
    UsageError,
)

# On the command line both have places without a name.
_COMMAND = Option("--command", "words of the command", "WORDS", keyword="words")
_FUNCTION = Option("--function", "module:function", "NAME", keyword="training")
_WORDS = ["python", "train.py", "{weight_decay}", "{seed}"]
_RUN = "run"
Arguments = dict[str, Any]  # keyword arguments of a command, of many types


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """What may stand in a study file."""

    table: str  # of the options, beside ``[run]``
    options: Sequence[Option]  # what may stand there, and no fact of a run
    facts: Sequence[Option]  # what may stand in ``[run]``
    needed: Mapping[str, str]  # what must stand there or be typed, with an example
    free: Mapping[str, Option]  # tables whose keys are the user's own, and their option

    def options_of(self, table: str) -> dict[str, Option]:
        """Return the options of a table by their keys."""
        of_table = (*self.options, _COMMAND, _FUNCTION)
        named = self.facts if table == _RUN else of_table
        return {each.name.lstrip("-").replace("-", "_"): each for each in named}

    def option_at(self, table: str, key: str) -> Option:
        """Return the option that a key stands for."""
        if table in self.free:
            return self.free[table]
        options, kind = self.options_of(table), f"key in [{table}]"
        if key in options:
            return options[key]
        raise unknown_option(kind, key, options)


@dataclass(frozen=True, kw_only=True)
class _Mistakes:
    """What is wrong in a file, with its lines; owns the list."""

    lines: Mapping[tuple[str, ...], int]
    found: list[tuple[int, str]] = field(default_factory=list)
    meant: set[str] = field(default_factory=set)  # keys and tables that are misspelt

    def add(self, table: str, key: str, error: DwindleError) -> None:
        at = self.lines.get((table, key), self.lines.get((table,), 1))
        self.found.append((at, str(error)))
        if isinstance(error, UnknownNameError):
            self.meant.update(error.nearest[:1])


@contextmanager
def arguments_of(typed: Arguments, grammar: Grammar) -> Iterator[Arguments]:
    """Yield the arguments of a command: typed, and read from a study file.

    A typed option overrides the file. ``inputs`` are the files that were read. An error
    that the body raises about values of the file gets its line there.
    """
    training: str | None = typed["training"]
    if training is None or not training.endswith(".toml"):
        yield {**typed, "inputs": ()}
        return
    from dwindle.study.study_file import key_lines, read_toml

    path = Path(training)
    text, tables = read_toml(path)
    mistakes = _Mistakes(lines=key_lines(text))
    arguments = _with_tables(tables, {**typed, "training": None}, grammar, mistakes)
    if mistakes.found:
        raise StudyFileError(training, tuple(sorted(mistakes.found)))
    arguments["store"] = arguments["store"] or str(path.with_suffix(".db"))
    try:
        yield {**arguments, "inputs": (path,)}
    except DwindleError as error:
        if error.exit_code != DwindleError.exit_code:
            raise
        # Of a number that is out of range the name is that of its option.
        name = str(getattr(error, "name", "")).lstrip("-").replace("-", "_")
        at = [line for key, line in mistakes.lines.items() if key[-1] == name]
        line = (*at, mistakes.lines.get((grammar.table,), 1))[0]
        raise StudyFileError(training, ((line, str(error)),)) from None


def _with_tables(
    tables: Arguments, typed: Arguments, grammar: Grammar, mistakes: _Mistakes
) -> Arguments:
    """Return the arguments; mistakes in the tables of the file are collected."""
    in_file: Arguments = {}
    for table, key, value in _rows(tables, grammar, mistakes):
        try:
            option, read = _read(grammar, table, key, value)
        except DwindleError as error:
            mistakes.add(table, key, error)
            mistakes.meant.add(key)
            continue
        before = in_file.get(option.argument)
        if isinstance(read, dict) and before:
            read = {**before, **read}
        if option.repeats:
            read = (*(before or ()), read)
        in_file[option.argument] = read
    _settle_direction(in_file, typed)
    arguments = {**typed, **{k: v for k, v in in_file.items() if not typed.get(k)}}
    for name, example in grammar.needed.items():
        if arguments[name] is None and mistakes.meant.isdisjoint({name, grammar.table}):
            must = f"[{grammar.table}] must have {name}."
            absent = UsageError(must, "none", written(name, example))
            mistakes.add(grammar.table, "", absent)
    return arguments


def _settle_direction(in_file: Arguments, typed: Arguments) -> None:
    """Let a typed direction override the file; ``maximize = false`` there minimizes."""
    if typed["maximize"] or typed["minimize"]:
        in_file.update(maximize=False, minimize=False)
    elif in_file.get("maximize") is False:
        in_file["minimize"] = True


def _rows(
    tables: Arguments, grammar: Grammar, mistakes: _Mistakes
) -> Iterator[tuple[str, str, object]]:
    """Yield table, key and value; an unknown table is a mistake."""
    known = (grammar.table, _RUN, *grammar.free)
    for table, rows in tables.items():
        if table not in known:
            is_key = table in grammar.options_of(grammar.table)
            hint = f"Write it below [{grammar.table}]." if is_key else ""
            error = UnknownNameError.among("table", table, known, hint)
            mistakes.add(table, "", error)
        elif isinstance(rows, dict):
            yield from ((table, key, value) for key, value in rows.items())
        else:
            remedy = f"Write [{table}] in a line, and below it its keys."
            mistakes.add(table, "", RangeError(table, _text(rows), "a table", remedy))
            mistakes.meant.add(table)


def _read(
    grammar: Grammar, table: str, key: str, value: object
) -> tuple[Option, object]:
    """Return the option of a key, and its value as the option reads it."""
    option, text = grammar.option_at(table, key), _text(value)
    if table in grammar.free:
        return option, option.read(key, f"{key}={text}")
    if option is _COMMAND:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return option, tuple(value)
        must = f"a list of words, such as {json.dumps(_WORDS)}"
        raise RangeError(key, text, must)
    if option.is_flag:
        if not isinstance(value, bool):
            raise RangeError(key, text, "true or false")
        return option, value
    if option.read is read_text and not (option.is_fact or isinstance(value, str)):
        raise RangeError(key, text, "a text in quotes")
    found = option.read(key, text)
    if not option.is_fact:
        return option, found
    has_name = FACTS[option.argument].of_schedule  # and no meaning without it
    alone = {} if has_name else {option.argument: found}
    # What a fact needs of others is checked once all of them are known.
    with suppress(UsageError, MissingFactError):
        Run(**as_fields(alone))
    return option, text


def _text(value: object) -> str:
    """Return a value as it is typed on a command line: lists with commas."""
    if isinstance(value, dict):
        return ",".join(f"{name}={_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
