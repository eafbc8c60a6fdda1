"""A SQLite file of Optuna: its trials, read from a copy, without Optuna.

Only tables with the schema of Optuna are read, by name: studies, study_directions,
trials, trial_values, trial_params and trial_user_attributes. Distributions are JSON.
Trials of the first schema (before Optuna 3) hold their value and direction themselves.
"""

import json
import math
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dwindle.errors import AmbiguousNameError, DataFilesError, UnknownNameError
from dwindle.fitting.table import KINDS, MOST_ROWS, Results, Value, too_many_rows, unfit
from dwindle.store.connect import APPLICATION_ID
from dwindle.wording import clean

# A file may define a view under the name of a table: it must not run forever.
_MOST_STEPS = 2_000
_INSTRUCTIONS_PER_STEP = 1_000_000  # of SQLite's machine: 9 ms were measured
# In all versions of its schema.
_NEEDED = {"studies", "trials", "trial_params"}
# SQLite keeps no infinity: Optuna writes which one it was beside a null.
_INFINITIES = {"INF_POS": math.inf, "INF_NEG": -math.inf}
_SEVERAL = "one objective: a best weight decay for several at once does not exist"


def read_optuna(path: Path, *, study: str | None = None) -> Results:
    """Read the trials of one study, which needs no name where there is one.

    The file and its journal are copied first, so that nothing is written beside a file
    that Optuna may be using. One row per trial: ``value``, ``state`` and the parameters
    by their names; user attributes as ``user_attrs_NAME``.
    """
    with _opened_copy(path) as connection:
        try:
            tables = {
                str(name)
                for (name,) in connection.execute("SELECT name FROM sqlite_master")
            }
            if not tables >= _NEEDED:
                mark = connection.execute("PRAGMA application_id").fetchone()[0]
                if mark == APPLICATION_ID:
                    remedy = f"Read it with: dwindle report {shlex.quote(str(path))}"
                    raise unfit(str(path), KINDS, "a store of dwindle", remedy)
                got = f"a SQLite file without {', '.join(sorted(_NEEDED - tables))}"
                raise _no_optuna(path, "a file of Optuna", got)
            number, name = _chosen(connection, study)
            maximize = _direction(connection, path, number, name, tables)
            return _table(connection, path, number, maximize=maximize, tables=tables)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _no_optuna(path, "a file of Optuna", str(error)) from None


@contextmanager
def _opened_copy(path: Path) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="dwindle-") as folder:
        copy = Path(folder) / "copy.db"
        try:
            shutil.copyfile(path, copy)
            for end in ("-wal", "-journal"):
                beside = path.with_name(path.name + end)
                if beside.exists():
                    shutil.copyfile(beside, copy.with_name(copy.name + end))
        except OSError as error:
            raise _no_optuna(path, "a file that can be copied", str(error)) from None
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            steps = iter(range(_MOST_STEPS))
            connection.set_progress_handler(
                lambda: next(steps, None) is None, _INSTRUCTIONS_PER_STEP
            )
            yield connection


def _chosen(connection: sqlite3.Connection, study: str | None) -> tuple[int, str]:
    found = connection.execute("SELECT study_name, study_id FROM studies").fetchall()
    studies = {str(name): number for name, number in found}
    hint = "Name it: --study NAME, or study= in Python."
    if study is None:
        if len(studies) != 1:
            names = tuple(clean(name, limit=60) for name in sorted(studies))
            raise AmbiguousNameError("study", "", names, hint)
        study = next(iter(studies))
    if study not in studies:
        raise UnknownNameError.among("study", study, studies, hint)
    return studies[study], study


def _direction(
    connection: sqlite3.Connection,
    path: Path,
    number: int,
    name: str,
    tables: set[str],
) -> bool:
    """Return whether the study maximizes its one objective."""
    source = "study_directions" if "study_directions" in tables else "studies"
    found = connection.execute(
        f"SELECT direction FROM {source} WHERE study_id = ?",  # noqa: S608 - ours
        (number,),
    ).fetchall()
    if len(found) != 1:
        got = f"{len(found)} objectives in the study {name!r}"
        raise _no_optuna(path, f"a study with {_SEVERAL}", got)
    return str(found[0][0]) == "MAXIMIZE"


def _table(
    connection: sqlite3.Connection,
    path: Path,
    number: int,
    *,
    maximize: bool,
    tables: set[str],
) -> Results:
    trials = connection.execute(
        "SELECT trial_id, state FROM trials WHERE study_id = ? ORDER BY trial_id",
        (number,),
    ).fetchmany(MOST_ROWS + 1)
    if len(trials) > MOST_ROWS:
        raise too_many_rows(path)
    at = {trial: row for row, (trial, _) in enumerate(trials)}
    columns: dict[str, list[Value]] = {
        "value": [None] * len(trials),
        "state": [state for _, state in trials],
    }

    def fill(name: str, trial: int, value: Value) -> None:
        if trial in at:
            columns.setdefault(name, [None] * len(trials))[at[trial]] = value

    for trial, value in _values(connection, tables):
        fill("value", trial, value)
    params = connection.execute(
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params"
    )
    for trial, name, value, distribution in params:
        fill(str(name), trial, _external(value, distribution))
    if "trial_user_attributes" in tables:
        attributes = connection.execute(
            "SELECT trial_id, key, value_json FROM trial_user_attributes"
        )
        for trial, key, text in attributes:
            fill(f"user_attrs_{key}", trial, _scalar(text))
    return Results(source=str(path), columns=columns, maximize=maximize)


def _values(
    connection: sqlite3.Connection, tables: set[str]
) -> Iterator[tuple[int, Value]]:
    if "trial_values" not in tables or "study_directions" not in tables:
        yield from connection.execute("SELECT trial_id, value FROM trials")
        return
    names = {row[1] for row in connection.execute("PRAGMA table_info(trial_values)")}
    kind = "value_type" if "value_type" in names else "'FINITE'"
    for trial, value, typed in connection.execute(
        f"SELECT trial_id, value, {kind} FROM trial_values"  # noqa: S608 - ours
    ):
        yield trial, _INFINITIES.get(str(typed), value)


def _external(value: Value, distribution: object) -> Value:
    """Return a parameter as the user saw it: a category is stored as its number."""
    try:
        found = json.loads(str(distribution))
        attributes: Any = found["attributes"]
        choices: Sequence[Value] = attributes.get("choices", ())
        if found["name"] != "CategoricalDistribution":
            return value
        return choices[int(value)]  # type: ignore[call-overload]  # TypeError is caught
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return value


def _scalar(text: object) -> Value:
    try:
        found: Value = json.loads(str(text))
    except ValueError:
        return str(text)
    return found if isinstance(found, str | int | float) else None


def _no_optuna(path: Path, must: str, got: str) -> DataFilesError:
    remedy = "optuna.create_study(storage='sqlite:///...') makes such a file."
    return unfit(path, must, got, remedy)
