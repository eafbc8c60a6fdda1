"""A store's file: its schema, a connection to it, older schemas, and one writer.

History of the schema, ``schema.sql``:
    3: the hash of the study's row is over the sum of the packs' hashes, so that a
        commit costs the same however much there is; the tables are those of 2.
    2: the scale of a training is a separate column, with any names; one hash per pack
        and one over the file, instead of one per row and a chain.
    1: the first one: a hash in every row, a chain of links over the packs, and the
        scale of a training inside the JSON of its trial.
"""

import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

from dwindle.errors import (
    DwindleError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
)
from dwindle.store import irregular
from dwindle.store.rows import (
    Columns,
    by_pack,
    digest,
    hash_of_pack,
    hash_of_study,
    insert,
    raise_damage,
    read,
    sum_of_hashes,
    text_from_plain,
)

# "DWND" in ASCII: marks a store among other SQLite files.
APPLICATION_ID = 0x44574E44
VERSION = 3
MISSING = "Give the path of a store, such as my-study.db."
REMEDY = "Give the path of a store, such as my-study.db, or a new path."
# Digest of what sqlite_schema lists in a file of version 1.
_LISTED_1 = "cdb7b4c09ed9fc67a198d38e188254a304bf3fdb49bcaf1ae587afc8d2c3b4e4"

TABLES = files("dwindle.store").joinpath("schema.sql")
# Primary result codes of SQLite that are about the place, not about the content.
_ACCESS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}


def refuse_irregular(path: Path) -> None:
    """Refuse what cannot be a store: a folder, a device, a pipe."""
    if found := irregular(path):
        raise StoreFormatError(str(path), found, REMEDY)


def connect(path: Path, *, writes: bool) -> tuple[sqlite3.Connection, int]:
    """Open a store, and return the version of its schema with the connection.

    The file is made if there is none and the connection ``writes``. Without it nothing
    but the undoing of an interrupted commit is written.
    """
    # Also a reader opens for writing where it may: SQLite undoes the rest of a commit
    # that a kill cut off when it next opens the file.
    place = f"{path.absolute().as_uri()}?mode={'rwc' if writes else 'rw'}"
    with sqlite_errors_translated(path):
        if not writes and not path.exists():
            raise StoreFormatError(str(path), "no such file", MISSING)
        refuse_irregular(path)
        db = sqlite3.connect(place, uri=True, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            # Nothing was ever written: a new file, or one that a kill left empty.
            if writes and tables == 0:
                _create(db)
            version = _check_format(db, path)
            # Rollback journal with FULL: what is acknowledged survives a loss of power.
            # Packs make commits rare, so its price (one fsync or two) does not show.
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            # A reader holds the file only while it reads: a minute is long.
            db.execute("PRAGMA busy_timeout = 60000")
            if not writes:
                db.execute("PRAGMA query_only = ON")
        except BaseException:
            db.close()
            raise
    return db, version


@contextmanager
def sqlite_errors_translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the system into ours, with the way out."""
    try:
        yield
    except DwindleError:
        raise
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite's own messages and names quote the damaged bytes.
        raise StoreDamagedError(str(path), "text that is not UTF-8") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreAccessError(str(path), reason, _free_bytes(path)) from error


def _from_sqlite(error: sqlite3.Error, path: Path) -> DwindleError:
    # The low byte is the primary code; errors of the Python layer have none.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _ACCESS:
        return StoreAccessError(str(path), str(error), _free_bytes(path))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLockedError(str(path), "a lock that another program holds")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreFormatError(str(path), "a file that is no database", REMEDY)
    return StoreDamagedError(str(path), str(error))


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


def _create(db: sqlite3.Connection) -> None:
    """Write the schema into an empty database, in one transaction."""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"
    tables = TABLES.read_text("utf-8")
    db.executescript(f"BEGIN EXCLUSIVE; {tables} {marks}; COMMIT")


def _check_format(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of a store, which may be an older one; refuse other files."""
    marks = ("application_id", "user_version")
    program, version = (
        int(db.execute(f"PRAGMA {mark}").fetchone()[0]) for mark in marks
    )
    if program != APPLICATION_ID:
        found = "an SQLite file of another program"
        if not path.stat().st_size:  # SQLite opens it as a database without tables
            found = "an empty file"
        raise StoreFormatError(str(path), found, REMEDY)
    if not 1 <= version <= VERSION:
        found = f"schema version {version}; this dwindle reads up to version {VERSION}"
        remedy = "Read it with the dwindle that wrote it, or a newer one."
        raise StoreFormatError(str(path), found, remedy)
    expected = _LISTED_1 if version == 1 else _expected()
    if _listed(db) != expected:
        raise StoreDamagedError(str(path), "the schema")
    return version


def _listed(db: sqlite3.Connection) -> str:
    """Return a digest of everything that a database declares: tables, triggers, ..."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    return digest(value for row in db.execute(query) for value in row)


@cache
def _expected() -> str:
    with closing(_memory()) as db:
        _create(db)
        return _listed(db)


@contextmanager
def in_present_schema(
    db: sqlite3.Connection, path: Path, version: int
) -> Iterator[sqlite3.Connection]:
    """Give a store of any version as one of the present: itself, or a copy in memory.

    So a report of an old store writes nothing, and a study writes the copy back once it
    has found it fit to carry on.
    """
    if version == VERSION:
        yield db
        return
    with closing(_memory()) as old, closing(_memory()) as new:
        db.backup(old)  # one moment of the file, also beside a writer
        if version == 1:
            _fill_from_1(new, old, path)
        else:
            old.backup(new)
            # In 2 the study's hash was over each pack's, in order. One that does not
            # hold stays: who verifies the copy finds it.
            packs = [pack["hash"] for pack in read(old, "pack", "number")]
            for study in read(old, "study", "id"):
                if hash_of_study(study, *packs) == study["hash"]:
                    now = hash_of_study(study, sum_of_hashes(packs))
                    new.execute("UPDATE study SET hash = ?", (now,))
            new.execute(f"PRAGMA user_version = {VERSION}")
        yield new


def _memory() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def _fill_from_1(new: sqlite3.Connection, old: sqlite3.Connection, path: Path) -> None:
    studies, packs, rows = _verified(old, path)
    for row in rows:
        plain = json.loads(row["trial"])
        row["scale"] = text_from_plain(plain.pop("scale"))
        row["trial"] = text_from_plain(plain)
        del row["hash"]
    of_pack = by_pack(rows)
    for pack in packs:
        del pack["link"]
        pack["hash"] = hash_of_pack(pack, of_pack.get(pack["number"], []))
    for study in studies:
        del study["packs"], study["chain"]
        of_packs = sum_of_hashes(pack["hash"] for pack in packs)
        study["hash"] = hash_of_study(study, of_packs)
    _create(new)
    planned = list(read(old, "planned", "key"))
    tables = {"study": studies, "planned": planned, "pack": packs, "trial": rows}
    for table, found in tables.items():
        insert(new, table, found)


def _verified(
    db: sqlite3.Connection, path: Path
) -> tuple[list[Columns], list[Columns], list[Columns]]:
    """Return the study's row, packs and rows, checked against all its hashes."""
    # A file whose first writer was killed before it wrote the study is empty.
    fault = db.execute("PRAGMA integrity_check").fetchone()[0]
    studies, packs = list(read(db, "study", "id")), list(read(db, "pack", "number"))
    rows, planned = list(read(db, "trial", "key")), list(read(db, "planned", "key"))
    if not (studies or packs or rows or planned):
        return [], [], []
    raise_damage(
        path,
        {
            fault: lambda: fault == "ok",
            "the row of the study": lambda: len(studies) == 1 and _intact(studies[0]),
            "the rows of trainings": lambda: all(map(_intact, rows)),
            "the list of planned trainings": lambda: (
                digest(row["key"] for row in planned) == studies[0]["planned"]
            ),
            "the chain of packs": lambda: _chain_holds(studies[0], packs, rows),
        },
    )
    return studies, packs, rows


def _intact(row: Columns) -> bool:
    bare = sorted(item for item in row.items() if item[0] != "hash")
    return bool(digest(value for item in bare for value in item) == row["hash"])


def _chain_holds(study: Columns, packs: list[Columns], rows: list[Columns]) -> bool:
    of_pack, chain, links = by_pack(rows), "", []
    for number, pack in enumerate(packs, start=1):
        hashes = sorted(row["hash"] for row in of_pack.pop(number, []))
        chain = digest([chain, pack["seconds"], pack["elapsed"], *hashes])
        links.append(chain)
    return (
        not of_pack  # a row of a pack that is not there is no result
        and links == [pack["link"] for pack in packs]
        and (chain, len(packs)) == (study["chain"], study["packs"])
    )


_OWNER = "process "


class WriterLock:
    """Holds the right to write to a store; owns a lock file beside it.

    The lock is the operating system's, on an open file, so it is free again also when
    its holder was killed. The text in the file only names the holder.
    """

    def __init__(self, store: Path) -> None:
        # Here: it takes 50 ms to import, and reading a store takes no lock.
        from filelock import FileLock, Timeout

        self._path = store.with_name(store.name + ".lock")
        self._refuse_other_files(store)
        self._lock = FileLock(self._path, mode=0o644, thread_local=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            owner = self._path.read_text(errors="replace").strip()
            name = owner or "another process"
            raise StoreLockedError(str(store), name) from None
        self._path.write_text(f"{_OWNER}{os.getpid()}")

    def release(self) -> None:
        """Remove the file and give the lock back."""
        # In this order: once the lock is free the file may be another writer's.
        self._path.unlink(missing_ok=True)
        self._lock.release()

    def _refuse_other_files(self, store: Path) -> None:
        """Refuse a link and a file that is not ours: its text would be replaced."""
        try:
            facts = self._path.lstat()  # of a link itself, which is no regular file
        except FileNotFoundError:
            return
        is_ours = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
        if is_ours:
            with self._path.open("rb") as file:
                is_ours = file.read(len(_OWNER)) in (b"", _OWNER.encode())
        if not is_ours:
            reason = f"{self._path} beside it is not a lock of dwindle"
            raise StoreAccessError(str(store), reason)
