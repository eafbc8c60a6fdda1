"""A store's file: a connection whose every failure is one of our errors, one writer."""

import os
import shutil
import sqlite3
import stat
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
from dwindle.store.schema import MISSING, REMEDY, check_format, configure, create

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
    """Refuse what cannot be a store: a folder, a device, a pipe.

    Raises:
        StoreFormatError: If the path leads to one of these.

    """
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a device or a pipe"
        raise StoreFormatError(str(path), found, REMEDY)


def connect(path: Path, *, writes: bool) -> tuple[sqlite3.Connection, int]:
    """Open a store, and return the version of its schema with the connection.

    Args:
        path: The file. It is made if there is none and the connection ``writes``.
        writes: Whether anything but an interrupted commit's undoing will be written.

    Raises:
        StoreError: If the file is no store, or is damaged, or cannot be used.

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
                create(db)
            version = check_format(db, path)
            configure(db)
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


_OWNER = "process "


class WriterLock:
    """Holds the right to write to a store; owns a lock file beside it.

    The lock is the operating system's, on an open file, so it is free again also when
    its holder was killed. The text in the file only names the holder.
    """

    def __init__(self, store: Path) -> None:
        # Here: it takes 50 ms to import, and whoever reads a store takes no lock.
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
            facts = self._path.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISLNK(facts.st_mode):
            raise StoreAccessError(str(store), f"{self._path}, a link")
        is_ours = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
        if is_ours:
            with self._path.open("rb") as file:
                is_ours = file.read(len(_OWNER)) in (b"", _OWNER.encode())
        if not is_ours:
            reason = f"{self._path} beside it is no lock of dwindle's"
            raise StoreAccessError(str(store), reason)
