"""A connection to a store's file, whose every failure is one of our errors."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dwindle.errors import (
    DwindleError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
)
from dwindle.store.schema import check_format, configure, create, is_empty

# Primary result codes of SQLite that speak of the place, not of the content.
_ACCESS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}


def refuse_irregular(path: Path) -> None:
    """Refuse what cannot be a store: a folder, a device, a pipe.

    Raises:
        StoreFormatError: If the path leads to one of these.

    """
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a device or a pipe"
        remedy = "Give the path of a store, such as my-study.db, or a new path."
        raise StoreFormatError(str(path), found, remedy)


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open a store, creating it where there is none.

    Raises:
        StoreError: If the file is no store, or is damaged, or cannot be written.

    """
    with told(path), _closed_on_error(_opened(path, "rwc")) as db:
        if is_empty(db):
            create(db)
        check_format(db, path)
        configure(db)
        return db


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a store that exists; nothing but an interrupted commit's undoing is written.

    Raises:
        StoreError: If there is no store, or it cannot be read.

    """
    if not path.exists():
        remedy = "Give the path of a store, such as my-study.db."
        raise StoreFormatError(str(path), "no such file", remedy)
    refuse_irregular(path)
    # SQLite undoes the rest of a commit that a kill cut off when it next opens the
    # file, for which it has to write.
    with told(path), _closed_on_error(_opened(path, "rw")) as db:
        check_format(db, path)
        configure(db)
        db.execute("PRAGMA query_only = ON")
        return db


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    place = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(place, uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


@contextmanager
def told(path: Path) -> Iterator[None]:
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
        remedy = "Give the path of a store, such as my-study.db, or a new path."
        return StoreFormatError(str(path), "a file that is no database", remedy)
    return StoreDamagedError(str(path), str(error))


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None
