"""A table of results from a file or from Python: CSV, JSON, Parquet, rows, a DataFrame.

Text is read, never run: no pickle, no address, no formula. What a cell means depends on
its column, and is decided elsewhere; here only the shape of the table is found.
"""

import ast
import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from dwindle.fitting.table import (
    KINDS,
    MOST_BYTES,
    MOST_COLUMNS,
    MOST_ROWS,
    Builder,
    Results,
    Value,
    too_many_rows,
    unfit,
)
from dwindle.store import SQLITE_HEAD
from dwindle.wording import clean, counted

_LONGEST_CELL = 1 << 20  # a whole config in a cell; Python's csv stops at 131,072
_DEEPEST = 5  # of nested settings that are written as config.optimizer.weight_decay
_BRACKETS = 1000  # of a dictionary in a cell
_SAMPLED = 200  # lines that show the delimiter
_DELIMITERS = ",;\t|"
# 0,5 is a decimal comma; 1,234 may be either; a point elsewhere decides it.
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*")
# Python writes nan into a dictionary, and cannot read it back.
_BARE_NAN = re.compile(r"(?<=[:\[,\s])(-?(?:nan|inf))(?=\s*[,}\]])")
_NO_PARQUET = "Install polars or pyarrow, or write the table as CSV."


def read_results(given: object, *, study: str | None = None) -> Results:
    """Read results from a path, from rows, from columns or from a DataFrame.

    A DataFrame is what has ``to_dict``, as those of pandas and polars do. Dictionaries
    inside of cells become columns.
    """
    if isinstance(given, str | os.PathLike):
        return _written_out(_read_file(Path(given), study))
    source = f"the {type(given).__name__}"
    if hasattr(given, "to_dict") and not isinstance(given, Mapping):
        made = given.to_dict()
        # pandas keys a column by its index; polars gives its own type of column.
        given = {
            str(name): list(getattr(column, "values", lambda c=column: c)())
            for name, column in made.items()
        }
    return _written_out(_from_python(given, source))


def _read_file(path: Path, study: str | None) -> Results:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        got = (error.strerror or str(error)).lower()
        raise unfit(str(path), "a file that can be read", got) from None
    if size > MOST_BYTES:
        got = f"{size:,} bytes, more than {MOST_BYTES:,}"
        raise unfit(str(path), "a table that fits into memory", got)
    if start == SQLITE_HEAD:
        from dwindle.fitting.optuna_file import read_optuna

        return read_optuna(path, study=study)
    if start[:4] == b"PAR1":
        return _read_parquet(path)
    text, remarks = _decoded(path)
    is_json = text.lstrip()[:1] in {"{", "["}
    return (_read_json if is_json else _read_csv)(text, str(path), remarks)


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        text = data.decode("utf-16", errors="replace")
        return text, ()
    if b"\x00" in data[:4096]:
        raise unfit(str(path), KINDS, "a binary file")
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        # Every byte is a letter there, so that a stray é stops nobody's table.
        return data.decode("latin-1"), ("the file is not UTF-8: read as Latin-1",)


def _read_csv(text: str, source: str, remarks: tuple[str, ...]) -> Results:
    csv.field_size_limit(_LONGEST_CELL)
    delimiter = _delimiter(text)
    rows = _rows_of(text, source, delimiter)
    names = [name.strip() for name in rows.pop(0)]
    if all(name and name.lstrip("+-")[:1].isdigit() for name in names):
        got = f"numbers: {clean(', '.join(names), limit=60)}"
        raise unfit(
            source, "a table with the names of its columns in the first line", got
        )
    if len(names) > MOST_COLUMNS:
        raise unfit(source, "a table of results", f"{len(names):,} columns")
    longer = next((at for at, row in enumerate(rows) if len(row) > len(names)), None)
    if longer is not None:
        below = counted(len(names), "name")
        got = f"{len(rows[longer])} cells in row {longer + 1} below {below}"
        raise unfit(source, "a table with as many cells in a row as names", got)
    for row in rows:
        row.extend([""] * (len(names) - len(row)))
    columns: dict[str, list[str]] = {}
    seen: Counter[str] = Counter()
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        # One that comes again is counted: loss, loss (2). An index that pandas wrote
        # has no name, and is dropped.
        seen[name] += 1
        if name:
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            columns[name + again] = list(column)
    if _has_decimal_commas(columns, source, delimiter):
        remarks = (*remarks, "a comma was read as the decimal sign")
        columns = {
            name: [
                each.replace(",", ".") if _DECIMAL_COMMA.fullmatch(each) else each
                for each in column
            ]
            for name, column in columns.items()
        }
    return Results(source=source, columns=columns, remarks=remarks)


def _rows_of(text: str, source: str, delimiter: str) -> list[list[str]]:
    """Return all rows that are not blank, the names of the columns first."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in islice(lines, MOST_ROWS + 2) if any(map(str.strip, row))]
    except csv.Error as error:
        got = f"line {lines.line_num}: {error}"
        raise unfit(source, "a table of text", got) from None
    if len(rows) > MOST_ROWS + 1:
        raise too_many_rows(source)
    if len(rows) <= 1:
        got = "an empty file" if not rows else "one line"
        raise unfit(source, "a line of names with rows below it", got)
    return rows


def _delimiter(text: str) -> str:
    """Return the delimiter: the one that cuts the first lines into the most cells."""
    lines = list(islice(io.StringIO(text, newline=""), _SAMPLED))

    def cells(delimiter: str) -> tuple[bool, int]:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return (False, 0)
        return (len(set(counts)) == 1 and counts[0] > 1, max(counts[:1], default=0))

    return max(_DELIMITERS, key=cells)


def _has_decimal_commas(
    columns: Mapping[str, Sequence[str]], source: str, delimiter: str
) -> bool:
    """Decide what the commas in numbers are; 1,234 alone could be either."""
    texts = {each for column in columns.values() for each in column}
    with_comma = [each for each in texts if _DECIMAL_COMMA.fullmatch(each)]
    if any(not _THOUSANDS.fullmatch(each) for each in with_comma):
        return True
    # In a file separated by commas "1,234" in quotes has thousands.
    is_open = with_comma and delimiter != ","
    if is_open and not any(_DECIMAL_POINT.fullmatch(each) for each in texts):
        must = "clear about its commas: decimal signs, or separators of thousands"
        raise unfit(source, must, repr(with_comma[0]), "Write numbers with points.")
    return False


def _read_json(text: str, source: str, remarks: tuple[str, ...]) -> Results:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = []
        for at, line in enumerate(io.StringIO(text), 1):
            try:
                whole += [json.loads(line)] if line.strip() else []
            except (ValueError, RecursionError) as error:
                must = "one JSON object in every line, or one JSON list"
                raise unfit(source, must, f"line {at}: {error}") from None
    if isinstance(whole, dict) and list not in map(type, whole.values()):
        whole = [whole]  # one row, where columns would be lists
    return replace(_from_python(whole, source), remarks=remarks)


def _from_python(given: object, source: str) -> Results:
    if isinstance(given, Mapping):
        lengths = {
            len(column) if isinstance(column, Sequence) else -1
            for column in given.values()
        }
        if len(lengths) != 1 or lengths == {-1}:
            got = f"lists of {len(lengths)} lengths" if lengths else "nothing"
            raise unfit(source, "columns of one length", got)
        columns = {str(name): list(column) for name, column in given.items()}
        return Results(source=source, columns=columns)
    built = Builder(source=source)
    for at, row in enumerate(given if isinstance(given, Iterable) else [given]):
        if not isinstance(row, Mapping):
            got = f"{type(row).__name__} as row {at + 1}"
            raise unfit(source, "a path, or rows that are dicts", got)
        built.add(_flat(row))
    if not built.rows:
        raise unfit(source, "a table with rows", "none")
    return built.done()


def _flat(
    row: Mapping[Any, Value], prefix: str = "", depth: int = 0
) -> dict[str, Value]:
    """Write nested dictionaries as names with points."""
    found: dict[str, Value] = {}
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < _DEEPEST:
            found.update(_flat(value, f"{name}.", depth + 1))
        else:
            found[name] = value
    return found


def _written_out(table: Results) -> Results:
    """Write out dictionaries in cells of a config, as W&B's API gives them."""
    columns: dict[str, Sequence[Value]] = {}
    for name, column in table.columns.items():
        first = next((each for each in column if each not in {None, ""}), None)
        if not isinstance(first, str) or not first.lstrip().startswith("{"):
            columns[name] = column
            continue
        built = Builder(source=table.source)
        for each in column:
            built.add(_flat(_dictionary(each), f"{name}."))
        inside = built.done().columns
        columns.update(inside or {name: column})
    if not table.rows:
        raise unfit(table.source, "a table with rows", "none")
    return replace(table, columns=columns)


def _dictionary(text: Value) -> Mapping[Any, Value]:
    """Read a dictionary that JSON or Python wrote; nothing else is a dictionary."""
    quoted = _BARE_NAN.sub(r"'\1'", str(text))
    # A ladder of brackets would exhaust the stack of Python's own parser.
    if len(quoted) > _LONGEST_CELL or quoted.count("(") + quoted.count("[") > _BRACKETS:
        return {}
    readers: tuple[Callable[[str], Any], ...] = (json.loads, ast.literal_eval)
    for read, written in zip(readers, (str(text), quoted), strict=True):
        try:
            found = read(written)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(found, Mapping):
            return found
    return {}


def _read_parquet(path: Path) -> Results:
    try:
        polars = import_module("polars")
    except ImportError:
        try:
            parquet = import_module("pyarrow.parquet")
        except ImportError:
            must, got = "in a format that is read here", "Parquet, and no polars"
            raise unfit(path, must, got, _NO_PARQUET) from None
        columns = _by_library(path, lambda: parquet.read_table(path).to_pydict())
    else:
        columns = _by_library(
            path, lambda: polars.read_parquet(path).to_dict(as_series=False)
        )
    return _from_python(columns, str(path))


def _by_library(path: Path, read: Callable[[], object]) -> object:
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - each library has other errors
        got = clean(error, limit=80)
        raise unfit(str(path), "a Parquet file", got) from None
