"""Records as rows and back, and the hashes without which no row is believed.

SQLite's own check sees broken pages and no changed number. So each pack has a hash over
all its rows, and the study's row one over itself and the sum of the packs' hashes: a
number that is changed, and a row or a pack that is lost, break one of them.
"""

import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from dwindle.errors import RangeError, StoreDamagedError
from dwindle.store.records import Outcome

# NaN and infinity have no place in SQLite: there these columns are empty.
REALS = (
    "seconds",
    "loss",
    "accuracy",
    "train_loss",
    "sum_of_squares",
    "penalty",
    "last_finite_loss",
)
_HASH = re.compile("[0-9a-f]{64}")
Columns = dict[str, Any]  # values as SQLite holds them: text, int, float or None


def text_from_plain(plain: Any) -> str:  # JSON-like
    """Return the one text of a JSON-like value: sorted keys, no NaN."""
    return json.dumps(plain, sort_keys=True, allow_nan=False, separators=(",", ":"))


def digest(parts: Iterable[object]) -> str:
    """Return a hash over values, unambiguous about where each begins and ends.

    Floats enter by their shortest exact text, so that what is read back from SQLite
    hashes as what was written.

    Example:
        >>> digest(["ab", "c"]) == digest(["a", "bc"])
        False
    """
    text = json.dumps([repr(part) for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_pack(pack: Columns, rows: Iterable[Columns]) -> str:
    """Return the hash over a pack's other columns and all its rows."""
    of_pack = sorted(item for item in pack.items() if item[0] != "hash")
    # Sorted: neither the order of columns nor that of rows is part of what was written.
    of_rows = [sorted(row.items()) for row in sorted(rows, key=lambda row: row["key"])]
    return digest([of_pack, *of_rows])


def sum_of_hashes(packs: Iterable[str]) -> int:
    """Return what stands for all packs: a commit changes it without reading them.

    Each hash has the number of its pack in it, so that the order is part of the sum.
    """
    return sum(int(each, 16) for each in packs)


def hash_of_study(study: Columns, *packs: object) -> str:
    """Return the hash over the study's other columns and the sum of its packs."""
    of_study = sorted(item for item in study.items() if item[0] != "hash")
    return digest([of_study, *packs])


def row_from_training(key: str, pack: int, trial: Any, outcome: Outcome) -> Columns:
    """Return the row of a training; its trial is a dataclass that has a ``scale``.

    A loss that is not finite though the status is ``ok``, or the other way round, must
    never get into a store: that is a RangeError.
    """
    finite = outcome.loss is not None and math.isfinite(outcome.loss)
    if (outcome.status == "ok") != finite:
        must = 'finite with status "ok", and None with any other status'
        raise RangeError("loss", f"{outcome.loss} with {outcome.status!r}", must)
    facts = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    reals = {name: facts[name] for name in REALS}
    plain = asdict(trial)
    scale: Mapping[str, float] = plain.pop("scale")
    return {
        **facts,
        # NaN has no place in SQLite: what a training without a loss has, is missing.
        **{
            name: None if x is None or not math.isfinite(x) else float(x)
            for name, x in reals.items()
        },
        "key": key,
        "pack": pack,
        "trial": text_from_plain(plain),
        "scale": text_from_plain(scale),
        # float: NumPy's numbers are none to JSON.
        "layer_rms": text_from_plain([float(rms) for rms in outcome.layer_rms]),
    }


def trial_from_row(row: Columns) -> dict[str, Any]:  # JSON-like
    """Return what was trained, as the dict that the trial of its kind is made from."""
    return {**json.loads(row["trial"]), "scale": json.loads(row["scale"])}


def outcome_from_row(row: Columns) -> Outcome:
    """Return what a training ended with."""
    names = {field.name for field in fields(Outcome)} - {"layer_rms"}
    layer_rms = tuple(json.loads(row["layer_rms"]))
    return Outcome(**{name: row[name] for name in names}, layer_rms=layer_rms)


def insert(db: sqlite3.Connection, table: str, rows: Sequence[Columns]) -> None:
    """Insert rows that have the same columns."""
    if rows:
        # Table and column names are our own; only the values come from outside.
        names, marks = ", ".join(rows[0]), ", ".join("?" for _ in rows[0])
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        db.executemany(statement, [tuple(row.values()) for row in rows])


def read(db: sqlite3.Connection, table: str, order: str) -> Iterator[Columns]:
    """Yield all rows of a table."""
    query = f"SELECT * FROM {table} ORDER BY {order}"  # noqa: S608 # our own names
    yield from map(dict, db.execute(query))


def by_pack(rows: Iterable[Columns]) -> dict[int, list[Columns]]:
    """Return rows of trainings by the number of their pack."""
    found: dict[int, list[Columns]] = {}
    for row in rows:
        found.setdefault(row["pack"], []).append(row)
    return found


def verified(db: sqlite3.Connection, path: Path) -> tuple[Columns, int]:
    """Return the study's row and the sum of the packs' hashes; nothing else is kept."""
    fault = db.execute("PRAGMA integrity_check").fetchone()[0]
    studies = list(read(db, "study", "id"))
    packs = [pack["hash"] for pack in read(db, "pack", "number")]

    def study_holds() -> bool:
        found = hash_of_study(studies[0], sum_of_hashes(packs))
        return bool(found == studies[0]["hash"])

    def planned_holds() -> bool:
        planned = digest(row["key"] for row in read(db, "planned", "key"))
        return bool(planned == studies[0]["planned"])

    raise_damage(
        path,
        {
            fault: lambda: fault == "ok",
            "the row of the study": lambda: (
                len(studies) == 1 and all(map(_HASH.fullmatch, packs)) and study_holds()
            ),
            "the rows of trainings": lambda: _packs_hold(db),
            "the list of planned trainings": planned_holds,
        },
    )
    return studies[0], sum_of_hashes(packs)


def _packs_hold(db: sqlite3.Connection) -> bool:
    """Whether each pack has its hash; its rows are read with it, one pack at a time."""
    of_pack = groupby(read(db, "trial", "pack, key"), key=lambda row: row["pack"])
    at, rows = next(of_pack, (None, iter(())))
    for pack in read(db, "pack", "number"):
        has_rows = at == pack["number"]
        if hash_of_pack(pack, rows if has_rows else ()) != pack["hash"]:
            return False
        if has_rows:
            at, rows = next(of_pack, (None, iter(())))
    # Nothing may be left: a row of a pack that is not there is no result.
    return at is None


def raise_damage(path: Path, checks: Mapping[str, Callable[[], bool]]) -> None:
    """Raise for the first check that fails; each may rely on those before it."""
    for name, holds in checks.items():
        if not holds():
            raise StoreDamagedError(str(path), name)
