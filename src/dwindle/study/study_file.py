"""Study files: TOML in, a study out, or every mistake at once with line and remedy."""

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dwindle.errors import StudyFileError, UnknownNameError
from dwindle.store.records import Optimizer, Scale
from dwindle.store.spec import AxisSpec, StudyDraft, StudySpec, faults
from dwindle.store.vocabulary import CHOICES
from dwindle.study.plan import problem_faults
from dwindle.study.problems import problem
from dwindle.study.study_tables import TOLD, StudyFile
from dwindle.study.toml_lines import key_lines, line_of

LARGEST_BYTES = 1_000_000

Tables = dict[str, Any]  # as TOML has them
Mistake = tuple[str, str]  # key, text

# A whole study file: what stands in for a value that is wrong while the others are
# checked, and what an error about a missing key offers to write.
EXAMPLE: dict[str, dict[str, Any]] = {
    "study": {"problem": "digits-mlp"},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "base": {
        "width": 64,
        "depth": 2,
        "batch_size": 32,
        "dataset_size": 600,
        "epochs": 30,
    },
    "weight_decay": {"low": 1e-5, "high": 1e-1},
    "axes": {"width": [16, 32, 64, 128, 256]},
}

# Optimizers -> the keys of [optimizer] that nothing else reads.
READ_BY: dict[tuple[str, ...], tuple[str, ...]] = {
    ("sgd",): ("momentum", "dampening", "nesterov"),
    ("adamw", "adam"): ("betas", "eps"),
}

# Lists of a fixed length, whose every mistake has one text.
_PAIRS = ("betas",)

# First word of pydantic's type errors -> what the value must be.
_MUST = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text in quotes",
    "tuple": "a list of two numbers",
    "list": "a list of numbers",
    "model": "a table, or for an axis a list of values",
}


def read_study_file(path: Path) -> StudySpec:
    """Return the study that a file asks for.

    Args:
        path: A TOML file with the tables study, optimizer, base, weight_decay, axes.

    Raises:
        StudyFileError: If it has mistakes; all of them, each with its line.

    """
    text = _text(path)
    tables = _tables(path, text)
    found = list(_mistakes_of_tables(tables))
    draft = _draft(_repaired(tables, [key for key, _ in found]), path.stem)
    found += _mistakes_of_draft(draft, [key for key, _ in found])
    if found:
        lines = key_lines(text)
        told = {(line_of(key, lines), words): None for key, words in found}
        raise StudyFileError(str(path), tuple(sorted(told)))
    return StudySpec(**vars(draft))


def _text(path: Path) -> str:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            got = "a folder" if stat.S_ISDIR(facts.st_mode) else "a device or a pipe"
            raise _whole(path, f"A study file must be a regular file. Got {got}.")
        if facts.st_size > LARGEST_BYTES:
            raise _whole(path, f"The file must be at most {LARGEST_BYTES:,} bytes.")
        # Editors on Windows put a byte order mark in front.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _whole(path, f"The file must be readable. Got: {reason}.") from error
    except UnicodeDecodeError as error:
        raise _whole(path, "The file must be text in UTF-8.") from error


def _tables(path: Path, text: str) -> Tables:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        line = int(place[1]) if place else len(text.splitlines())
        told = f"The file must be TOML. Got: {error}."
        raise StudyFileError(str(path), ((line, told),)) from error
    except RecursionError as error:
        raise _whole(path, "The file must not nest hundreds of lists.") from error


def _whole(path: Path, text: str) -> StudyFileError:
    return StudyFileError(str(path), ((1, text),))


def _mistakes_of_tables(tables: Tables) -> Iterator[Mistake]:
    """Yield what is wrong with keys, types, names and ranges, one value at a time."""
    try:
        StudyFile.model_validate(tables)
    except ValidationError as error:
        for detail in error.errors():
            yield _mistake(detail)
    yield from _unread(tables.get("optimizer"))


def _unread(optimizer: object) -> Iterator[Mistake]:
    """Yield the keys of [optimizer] that the optimizer of that name does not read."""
    rows = optimizer if isinstance(optimizer, dict) else {}
    name = rows.get("name")
    readers = {key: names for names, keys in READ_BY.items() for key in keys}
    for key in rows:
        names = readers.get(key, ())
        if names and name in CHOICES["name"] and name not in names:
            text = f"{key} must be left out with {name}: it is {' and '.join(names)}'s."
            yield f"optimizer.{key}", f"{text} Got {_toml(rows[key])}."


def _mistake(detail: ErrorDetails) -> Mistake:
    # Places within a list of values, and the word itself, are not keys of the file's.
    path = [str(part) for part in detail["loc"] if isinstance(part, str)]
    path = [part for part in path if part != "values"] or [""]
    key, name = ".".join(path), path[-1]
    if name in _PAIRS and detail["type"] != TOLD:
        must = "a list of two numbers, such as [0.9, 0.999]"
        return key, f"{name} must be {must}. Got {detail['input']!r}."
    if detail["type"] == TOLD:
        return key, detail["msg"]
    if detail["type"] == "extra_forbidden":
        return key, str(_unknown_key(path))
    if detail["type"] == "missing":
        return key, _missing(path)
    must = _MUST.get(detail["type"].partition("_")[0], "of another type")
    return key, f"{name} must be {must}. Got {detail['input']!r}."


def _unknown_key(path: list[str]) -> UnknownNameError:
    table = ".".join(path[:-1])
    kind = f"key in [{table}]" if table else "table"
    return UnknownNameError.among(kind, path[-1], _known_keys(tuple(path[:-1])))


@cache
def _known_keys(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that a table may have, by the schema that pydantic knows."""
    schema = StudyFile.model_json_schema()
    node: Mapping[str, Any] = schema
    for part in path:
        node = node["properties"][part]
        choices = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
        reference = next(choice["$ref"] for choice in choices if "$ref" in choice)
        node = schema["$defs"][reference.rpartition("/")[2]]
    return tuple(node["properties"])


def _missing(path: list[str]) -> str:
    if len(path) == 1:
        rows = EXAMPLE[path[0]].items()
        write = f"[{path[0]}] with {', '.join(f'{k} = {_toml(v)}' for k, v in rows)}"
        return f"The file must have a table [{path[0]}]. Got none. Write {write}."
    table, name = ".".join(path[:-1]), path[-1]
    example = EXAMPLE.get(table, {}).get(name, [8, 16, 32])
    return f"[{table}] must have {name}. Got none. Write {name} = {_toml(example)}."


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _repaired(tables: Tables, wrong: list[str]) -> StudyFile:
    """Return the file with an example's value wherever its own is wrong."""
    whole: Tables = {}
    misnamed = any("." not in key and key not in EXAMPLE for key in wrong)
    for table, example in EXAMPLE.items():
        given = tables.get(table)
        rows = given if isinstance(given, dict) else {}
        right = {
            name: value
            for name, value in rows.items()
            if not any(_is_within(key, f"{table}.{name}") for key in wrong)
        }
        # An axis of the example's stands in for wrong ones only, never for none.
        own = table == "axes" and (right or not (rows or misnamed))
        whole[table] = right if own else {**example, **right}
    return StudyFile.model_validate(whole)


def _is_within(key: str, outer: str) -> bool:
    return key == outer or key.startswith(f"{outer}.")


def _draft(file: StudyFile, stem: str) -> StudyDraft:
    optimizer = file.optimizer.model_dump()
    lr = optimizer.pop("lr")
    axes = file.axes.model_dump(exclude_none=True)
    return StudyDraft(
        name=file.study.name or stem,
        problem=file.study.problem,
        seeds=file.study.seeds,
        optimizer=Optimizer(**optimizer),
        base=Scale(**file.base.model_dump(), lr=lr),
        axes=tuple(
            AxisSpec(**{**rows, "axis": axis, "values": tuple(rows["values"])})
            for axis, rows in axes.items()
        ),
        **file.weight_decay.model_dump(),
    )


def _mistakes_of_draft(draft: StudyDraft, wrong: list[str]) -> Iterator[Mistake]:
    """Yield what is wrong between values that are fine one by one.

    Whatever involves a value that an example's stands in for is not told.
    """
    found = list(faults(draft))
    bad = {key for key, _ in found}
    sizes = {"base.batch_size", "base.dataset_size"}
    if not sizes & (bad | set(wrong)) and "study.problem" not in wrong:
        axes = tuple(axis for axis in draft.axes if f"axes.{axis.axis}" not in bad)
        found += problem_faults(replace(draft, axes=axes), problem(draft.problem))
    for key, fault in found:
        about_sizes = getattr(fault, "name", "") in ("batch_size", "dataset_size")
        if key not in wrong and not (about_sizes and sizes & set(wrong)):
            yield key, str(fault)
