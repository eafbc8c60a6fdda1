"""The schema of a store, ``schema.sql``, and whether a file is of it.

History:
    3: the hash of the study's row is over the sum of the packs' hashes, so that a
        commit costs the same however much there is; the tables are those of 2.
    2: the scale of a training is a column of its own, with any names; one hash per pack
        and one over the file, instead of one per row and a chain.
    1: the first one (see :mod:`dwindle.store.upgrade`).
"""

import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path

from dwindle.errors import StoreDamagedError, StoreFormatError
from dwindle.store.rows import digest

# "DWND" in ASCII: marks a store among other SQLite files.
APPLICATION_ID = 0x44574E44
VERSION = 3  # 2: scale as a mapping; 3: packs are summed, not chained
MISSING = "Give the path of a store, such as my-study.db."
REMEDY = "Give the path of a store, such as my-study.db, or a new path."
# Digest of what sqlite_schema lists in a file of version 1.
_LISTED_1 = "cdb7b4c09ed9fc67a198d38e188254a304bf3fdb49bcaf1ae587afc8d2c3b4e4"

TABLES = files("dwindle.store").joinpath("schema.sql")


def configure(db: sqlite3.Connection) -> None:
    """Set what every connection needs: safety before speed."""
    # Rollback journal with FULL: what is acknowledged survives a loss of power. Packs
    # make commits rare, so its price (one fsync or two per pack) does not show.
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    # A reader holds the file only while it reads: a minute is long.
    db.execute("PRAGMA busy_timeout = 60000")


def create(db: sqlite3.Connection) -> None:
    """Write the schema into an empty database, in one transaction."""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"
    tables = TABLES.read_text("utf-8")
    db.executescript(f"BEGIN EXCLUSIVE; {tables} {marks}; COMMIT")


def check_format(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of a store, which may be an older one.

    Raises:
        StoreFormatError: If the marks of the file are not ours, or of a newer dwindle.
        StoreDamagedError: If its tables are not exactly those of the schema.

    """
    if _number(db, "PRAGMA application_id") != APPLICATION_ID:
        raise StoreFormatError(str(path), "an SQLite file of another program", REMEDY)
    version = _number(db, "PRAGMA user_version")
    if not 1 <= version <= VERSION:
        found = f"schema version {version}; this dwindle reads up to version {VERSION}"
        remedy = "Read it with the dwindle that wrote it, or a newer one."
        raise StoreFormatError(str(path), found, remedy)
    expected = _LISTED_1 if version == 1 else _expected()
    if listed(db) != expected:
        raise StoreDamagedError(str(path), "the schema")
    return version


def listed(db: sqlite3.Connection) -> str:
    """Return a digest of everything that a database declares: tables, triggers, ..."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    return digest(value for row in db.execute(query) for value in row)


@cache
def _expected() -> str:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create(db)
        return listed(db)


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
