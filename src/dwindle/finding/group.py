"""The process group of a training, under a small parent that ends it with us."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dwindle.errors import RefusedError

# Run as a script, never imported here: some of its signals are not there on Windows.
_PARENT = Path(__file__).with_name("parent.py")
# Between SIGTERM and SIGKILL: time to write the last bytes of a checkpoint.
GRACE_S = 2.0
# Time for what is left in the background after the training has ended: the parent's
# linger and grace, and the delay of a busy machine.
_AFTER_THE_END_S = GRACE_S + 8.0
_ORPHANED_S = 1.0  # the small parent is gone: what it left is not waited for
_PIECE = 1 << 18  # read at once: a quarter of what the pipe can hold
_F_SETPIPE_SZ = 1031  # from Linux's <linux/fcntl.h>; a large pipe saves switches


class Group:
    """A running program and all that it starts; owns its pipes and its parent.

    The first of the ``words`` is its ``argv[0]``; ``inherited`` are file descriptors of
    ours that it gets, too. It starts or raises an OSError.
    """

    def __init__(
        self,
        program: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
    ) -> None:
        if os.name != "posix":
            feature = "A training in its own process"
            why = "It runs in a process group, which Windows does not have."
            raise RefusedError(feature, why, "Train inline, by a Python function.")
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.errno: int | None = None
        self._lock = threading.Lock()
        self._status_bytes = b""
        # Output that has not ended: 0 is stdout, 1 stderr.
        self._open: dict[int, int] = {}
        theirs: list[int] = []
        ours: list[int] = []
        try:
            tie, self._tie = os.pipe()
            theirs.append(tie)
            ours.append(self._tie)
            for _ in range(3):
                read, write = os.pipe()
                ours.append(read)
                theirs.append(write)
            _, *self._outputs, self._status = ours
            self._open = {pipe: number for number, pipe in enumerate(self._outputs)}
            if sys.platform == "linux":
                import fcntl

                for pipe in theirs[1:3]:
                    with suppress(OSError):
                        fcntl.fcntl(pipe, _F_SETPIPE_SZ, 1 << 20)
            # No shell: what runs is the user's own command, word by word.
            self._parent = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-I", "-S", str(_PARENT)),
                    *(str(theirs[3]), str(os.getpid()), str(GRACE_S)),
                    *(program, *words),
                ],
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
                pass_fds=(theirs[3], *inherited),
                env=dict(environment),
                start_new_session=True,
            )
        except BaseException:
            for pipe in ours:
                os.close(pipe)
            raise
        finally:
            for pipe in theirs:
                os.close(pipe)

    def end(self) -> None:
        """Have the group ended, by SIGTERM and after a grace SIGKILL; any thread."""
        with self._lock:
            if self._tie >= 0:
                os.close(self._tie)
                self._tie = -1

    def has_ended(self) -> bool:
        """Return whether the program has ended, without waiting for it."""
        while self._status >= 0 and _ready([self._status], 0):
            self._read_status()
        return self._status < 0 or self.exit_code is not None

    def pump(
        self,
        take: Callable[[int, bytes], None],
        seconds: float | None,
        also: int | None = None,
    ) -> bool:
        """Pass on output until the program has ended; return False after ``seconds``.

        ``take`` gets 0 (stdout) or 1 (stderr), and a piece. It is also over as soon as
        the file descriptor ``also`` can be read.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while self._status >= 0 and self.exit_code is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return False
            if also in self._pass_on(take, left, [] if also is None else [also]):
                # What has been written so far; bounded, a thread may go on printing.
                for _ in range(64):
                    if not self._pass_on(take, 0):
                        break
                return True
        return True

    def finish(self, take: Callable[[int, bytes], None]) -> None:
        """End what is left, pass on the rest of the output, and free everything.

        A process in the background that keeps the pipes open is not waited for beyond
        the parent's patience.
        """
        if self.exit_code is None:
            self.end()
        # Without a parent, what left the group may keep the pipes open for ever.
        is_orphan = self._status < 0 and self.exit_code is None
        end = time.monotonic() + (_ORPHANED_S if is_orphan else _AFTER_THE_END_S)
        while (self._open or self._status >= 0) and time.monotonic() < end:
            self._pass_on(take, end - time.monotonic())
        self.end()
        try:
            self._parent.wait(_AFTER_THE_END_S)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()
        if self._parent.returncode:
            self._kill()
        for pipe in (*self._outputs, self._status):
            if pipe >= 0:
                os.close(pipe)
        self._open, self._outputs, self._status = {}, [], -1

    def _kill(self) -> None:
        """End the group by ourselves: its parent was killed and cannot."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _pass_on(
        self,
        take: Callable[[int, bytes], None],
        seconds: float | None,
        others: Sequence[int] = (),
    ) -> set[int]:
        """Wait for output or a status, take it in; return what else can be read."""
        status = [self._status] if self._status >= 0 else []
        readable = _ready([*self._open, *status, *others], seconds)
        for pipe in readable & self._open.keys():
            piece = os.read(pipe, _PIECE)
            if piece:
                take(self._open[pipe], piece)
            else:
                self._open.pop(pipe)
        if self._status in readable:
            self._read_status()
        return readable

    def _read_status(self) -> None:
        """Read status lines; if they end without an exit code, the parent has died."""
        piece = os.read(self._status, 1024)
        self._status_bytes += piece
        *lines, self._status_bytes = self._status_bytes.split(b"\n")
        for line in lines:
            kind, number = line[:1], int(line[2:])
            if kind == b"P":
                self.pid = number
            elif kind == b"E":
                self.errno = number
            else:
                self.exit_code = number
        if not piece:
            os.close(self._status)
            self._status = -1
            if self.exit_code is None:
                self._kill()


def how_it_ended(group: Group) -> str:
    """Return in words how a program failed."""
    code = group.exit_code
    if group.errno is not None:
        return f"it could not be started: {os.strerror(group.errno)}"
    if code is None:
        return "it was ended from outside"
    if code >= 0:
        return f"it ended with exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"it was ended by {name} ({signal.strsignal(-code)})"
    return f"it was ended by signal {-code}"


def _ready(pipes: Sequence[int], seconds: float | None) -> set[int]:
    # poll, not select: a program with a thousand open files has higher numbers.
    poll = select.poll()
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    limit = None if seconds is None else max(0, int(seconds * 1e3) + 1)
    return {pipe for pipe, _ in poll.poll(limit)}
