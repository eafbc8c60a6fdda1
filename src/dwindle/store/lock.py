"""One writer per store: a lock that the system gives back however its holder ends."""

import os
import stat
from pathlib import Path

from dwindle.errors import StoreAccessError, StoreLockedError

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
