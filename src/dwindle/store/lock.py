"""One writer per store: a lock that the system gives back however its holder ends."""

import os
import stat
import sys
from pathlib import Path

from dwindle.errors import StoreAccessError, StoreLockedError

_OWNER = b"process "


class WriterLock:
    """Holds the right to write to a store; owns a lock file beside it.

    The lock is the operating system's, on an open file, so it is free again also when
    its holder was killed. The text in the file only tells who it is.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._store = store
        self._file = self._take()

    def release(self) -> None:
        """Give the lock back and remove its file."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _take(self) -> int:
        while True:
            # A link would lead to somebody else's file, whose text we would replace.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            if self._path.is_symlink():
                raise StoreAccessError(str(self._store), f"{self._path}, a link")
            handle = os.open(self._path, flags, 0o644)
            if not _is_lock_file(handle):
                os.close(handle)
                reason = f"{self._path} beside it is no lock of dwindle's"
                raise StoreAccessError(str(self._store), reason)
            if not _try_lock(handle):
                owner = os.read(handle, 200).decode(errors="replace").strip()
                os.close(handle)
                raise StoreLockedError(str(self._store), owner or "another process")
            if self._is_current(handle):
                break
            # Whoever held it removed the file after we had opened it: what we locked
            # is nobody's any more.
            os.close(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, _OWNER + str(os.getpid()).encode(), 0)
        return handle

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self._path.stat())
        except FileNotFoundError:
            return False


def _is_lock_file(handle: int) -> bool:
    """Tell whether a file is a lock of ours, or new, and has no other name."""
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        return False
    text = os.read(handle, len(_OWNER))
    os.lseek(handle, 0, os.SEEK_SET)
    return text in (b"", _OWNER)


if sys.platform == "win32":  # pragma: no cover

    def _try_lock(handle: int) -> bool:
        import msvcrt

        try:
            # Far behind the text, which others must be able to read.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        except OSError:
            return False
        return True

else:

    def _try_lock(handle: int) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
