"""The schema of a store as commented text, and how a file of it is opened.

History:
    1: the first one.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from dwindle.errors import StoreDamagedError, StoreFormatError

# "DWND" in ASCII: tells a store from any other SQLite file.
APPLICATION_ID = 0x44574E44
VERSION = 1

SCHEMA = """
-- What the file is about; one row.
CREATE TABLE study (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    spec       TEXT NOT NULL,     -- StudySpec as JSON
    conditions TEXT NOT NULL,     -- Conditions as JSON
    problem    TEXT NOT NULL,     -- ProblemFacts as JSON
    planned    TEXT NOT NULL,     -- digest of the keys in table planned
    complete   INTEGER NOT NULL CHECK (complete IN (0, 1)),
    packs      INTEGER NOT NULL,  -- how many rows table pack has
    chain      TEXT NOT NULL,     -- link of the last pack
    hash       TEXT NOT NULL      -- over all other columns
) STRICT;

-- The trainings that the study consists of now; results of an earlier, other plan
-- stay in the file but are not read.
CREATE TABLE planned (
    key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- One transaction: trainings that ran together and were committed together.
CREATE TABLE pack (
    number  INTEGER PRIMARY KEY,  -- 1, 2, 3, ... in order of commit
    seconds REAL NOT NULL,        -- time of one worker
    elapsed REAL NOT NULL,        -- wall time since the commit before, or the start
    link    TEXT NOT NULL         -- hash over the link before and all rows of the pack
) STRICT;

-- One training. A number that does not exist is NULL and the status says why: NaN
-- cannot be stored, so a loss is missing exactly when the status is not ok.
CREATE TABLE trial (
    key              TEXT PRIMARY KEY,  -- trial_key(): what was trained, and with what
    pack             INTEGER NOT NULL REFERENCES pack (number),
    trial            TEXT NOT NULL,     -- Trial as JSON
    status           TEXT NOT NULL CHECK (status IN ('ok', 'diverged', 'error')),
    steps            INTEGER NOT NULL,
    seconds          REAL NOT NULL,
    loss             REAL CHECK ((loss IS NULL) = (status <> 'ok')),
    accuracy         REAL,
    train_loss       REAL,
    sum_of_squares   REAL,
    penalty          REAL,
    layer_rms        TEXT NOT NULL,     -- JSON list
    diverged_at_step INTEGER,
    last_finite_loss REAL,
    error            TEXT,
    hash             TEXT NOT NULL      -- over all other columns
) STRICT;
"""


def configure(db: sqlite3.Connection) -> None:
    """Set what every connection needs: safety before speed."""
    # Rollback journal with FULL: what is acknowledged survives a loss of power. Packs
    # make commits rare, so its price (one fsync or two per pack) does not show.
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA busy_timeout = 60000")


def create(db: sqlite3.Connection) -> None:
    """Write the schema into an empty database, in one transaction."""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"
    db.executescript(f"BEGIN EXCLUSIVE; {SCHEMA}; {marks}; COMMIT")


def is_empty(db: sqlite3.Connection) -> bool:
    """Tell whether nothing was ever written into the database."""
    return _number(db, "SELECT count(*) FROM sqlite_schema") == 0


def check_format(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no store, what a newer dwindle wrote, and a damaged schema.

    Raises:
        StoreFormatError: If the marks of the file are not ours or not of our time.
        StoreDamagedError: If its tables are not exactly those of the schema.

    """
    if _number(db, "PRAGMA application_id") != APPLICATION_ID:
        remedy = "Give the path of a store, such as my-study.db, or a new path."
        raise StoreFormatError(str(path), "an SQLite file of another program", remedy)
    version = _number(db, "PRAGMA user_version")
    if version != VERSION:
        found = f"schema version {version}; this dwindle reads version {VERSION}"
        newer = "Read it with the dwindle that wrote it: pip install -U dwindle."
        older = "Move it away and run the study again."
        remedy = newer if version > VERSION else older
        raise StoreFormatError(str(path), found, remedy)
    if _tables(db) != _expected_tables():
        raise StoreDamagedError(str(path), "the schema")


def _tables(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    return [tuple(row) for row in db.execute(query)]


@cache
def _expected_tables() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create(db)
        return _tables(db)


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
