"""Failures of SQLite and of the system, as errors that say what to do."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from dwindle.errors import (
    RangeError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
)
from dwindle.store import lock
from dwindle.store.connect import told
from dwindle.store.lock import WriterLock


def sqlite_error(code):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (sqlite3.SQLITE_FULL, StoreAccessError, "as SQLite says it.*bytes free"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreAccessError, "Make room or access"),
        (sqlite3.SQLITE_READONLY, StoreAccessError, "readable and writable"),
        (sqlite3.SQLITE_BUSY, StoreLockedError, "a lock that another program holds"),
        (sqlite3.SQLITE_NOTADB, StoreFormatError, "a file that is no database"),
        (sqlite3.SQLITE_CORRUPT, StoreDamagedError, "damage: as SQLite says it"),
        (sqlite3.SQLITE_ERROR, StoreDamagedError, "No number of it is used"),
    ],
)
def test_each_failure_of_sqlite_has_its_error(tmp_path, code, kind, text):
    """A code that speaks of the place is not told as damage, nor the other way."""
    with pytest.raises(kind, match=text), told(tmp_path / "s.db"):
        raise sqlite_error(code)


def test_a_failure_of_the_system_is_told():
    """A full disk outside of SQLite reads like one inside; no folder, no free bytes."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(StoreAccessError, match=r"No space left on device\. "),
        told(Path("/nowhere/at/all/s.db")),
    ):
        raise full


def test_our_own_errors_pass():
    """An error that already teaches is not wrapped into another."""
    ours = RangeError("loss", 1, "0")
    with pytest.raises(RangeError, match=r"loss must be 0\. Got 1\."), told(Path("s")):
        raise ours


def test_a_lock_that_was_given_back_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """A lock on a file that its holder has just removed holds nobody out: try again."""
    store, tries = tmp_path / "s.db", []
    really = lock._try_lock

    def removed_once(handle):
        if not tries:
            (tmp_path / "s.db.lock").unlink()
        tries.append(handle)
        return really(handle)

    monkeypatch.setattr(lock, "_try_lock", removed_once)
    held = WriterLock(store)
    assert len(tries) == 2
    with pytest.raises(StoreLockedError, match=rf"Got process {os.getpid()}\."):
        WriterLock(store)
    held.release()
    assert list(tmp_path.iterdir()) == []
