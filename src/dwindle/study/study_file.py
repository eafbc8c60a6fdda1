"""Study files: TOML in, a study out, or every mistake at once with line and remedy."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dwindle.errors import RangeError, StudyFileError
from dwindle.store import LARGEST_STUDY_FILE, irregular
from dwindle.store.spec import StudySpec
from dwindle.store.tables import Fault, Key, Right, faults, plain_tables, toml_text
from dwindle.study.plan import PROBLEM_RELATIONS

# Optimizers -> the keys of [optimizer] that nothing else reads.
READ_BY: dict[tuple[str, ...], tuple[str, ...]] = {
    ("sgd",): ("momentum", "dampening", "nesterov"),
    ("adamw", "adam"): ("betas", "eps"),
}
# A line of a table's name, and the beginning of one with a key.
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
# Only for the line of a mistake: what a file means is read by tomllib.
_KEY = re.compile(r"""\s*([A-Za-z0-9_.\-"' ]+?)\s*=""")


def read_study_file(path: Path) -> StudySpec:
    """Return the study that a TOML file describes; all its mistakes are one error."""
    text, tables = read_toml(path)

    def unread(right: Right) -> Iterator[Fault]:
        """Yield the keys of [optimizer] that the optimizer of that name ignores."""
        given = tables["optimizer"]
        name = right["optimizer", "name"]
        for names, keys in READ_BY.items():
            for key in () if name in names else set(keys) & given.keys():
                must = f"left out with {name}: it is {' and '.join(names)}'s"
                fault = RangeError(key, toml_text(given[key]), must)
                yield ("optimizer", key), fault

    found = list(faults(tables, (unread, *PROBLEM_RELATIONS)))
    if found:
        lines = key_lines(text)
        mistakes = set()
        for key, fault in found:
            # What is missing is reported at the table that it should be in, or at 1.
            at = [key[:length] for length in range(len(key), 0, -1)]
            line = next((lines[part] for part in at if part in lines), 1)
            mistakes.add((line, str(fault)))
        raise StudyFileError(str(path), tuple(sorted(mistakes)))
    return StudySpec.from_tables(plain_tables(tables), path.stem)


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file as text and as tables."""
    text = _text(path)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Python 3.14 has the line as an attribute; before, it is in the message only.
        place = re.search(r"at line (\d+)", str(error))
        line = int(place[1]) if place else len(text.splitlines())
        mistake = f"The file must be TOML. Got: {error}."
        raise StudyFileError(str(path), ((line, mistake),)) from error
    except RecursionError as error:
        raise _whole(path, "The file must not nest hundreds of lists.") from error


def _text(path: Path) -> str:
    try:
        if got := irregular(path):
            raise _whole(path, f"A study file must be a regular file. Got {got}.")
        if path.stat().st_size > LARGEST_STUDY_FILE:
            raise _whole(
                path, f"The file must be at most {LARGEST_STUDY_FILE:,} bytes."
            )
        # Editors on Windows put a byte order mark in front.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _whole(path, f"The file must be readable. Got: {reason}.") from error
    except UnicodeDecodeError as error:
        raise _whole(path, "The file must be text in UTF-8.") from error


def _whole(path: Path, text: str) -> StudyFileError:
    return StudyFileError(str(path), ((1, text),))


def key_lines(text: str) -> dict[Key, int]:
    """Return the line, from 1, of every table and key of a TOML file.

    It reads one line at a time, which is all that a study file needs; what stands
    within an inline table or a multi-line array is found at the line of its key.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _TABLE.match(line), _KEY.match(line)
        if header:
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key:
            lines.setdefault(table + _parts(key[1]), number)
    return lines


def _parts(name: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in name.split("."))
