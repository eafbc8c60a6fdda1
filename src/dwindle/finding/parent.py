"""The small parent of a training: ends its whole process group when the driver is gone.

Run as a script, by a bare Python that imports nothing of this package: it must start in
milliseconds. Its stdin is a pipe from the driver: at its end, by ``close`` or because
the driver died, the group is ended. What it writes to the status pipe::

    P 1234      the process was started
    E 13        it could not be: an errno
    X 0         it ended with this code; negative: of a signal

Arguments: the status pipe, the driver's process id, the seconds between SIGTERM and
SIGKILL, the program's path, and its words.
"""

# pathlib and contextlib would cost milliseconds at every start.
# ruff: noqa: PTH112, PTH123, PTH208, SIM105

import os
import select
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36  # from Linux's <linux/prctl.h>
# A driver that forked has shared its pipe: then a changed parent id shows its death.
_CHECK_PARENT_S = 2.0
# What a process left in the background may still do after its training has ended.
_LINGER_S = 1.0
_ROUND_S = 0.05  # between two checks of what is left
# Ignored signals are inherited; Python ignores these two, a background shell the rest.
_DEFAULT = [
    *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD),
    *(signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT),
]


def main() -> None:
    """Start the program, wait for it or for the driver's end, and leave nothing."""
    status, driver, grace_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    woken = _wake_on_children()
    os.set_inheritable(status, False)  # noqa: FBT003 it takes no name
    try:
        child = os.posix_spawn(
            sys.argv[4],
            sys.argv[5:],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            setsigmask=(),
            setsigdef=_DEFAULT,
        )
    except OSError as error:
        os.write(status, b"E %d\n" % (error.errno or 0))
        return
    os.write(status, b"P %d\n" % child)
    # While the program starts: it has no orphans yet.
    _adopt_orphans()
    # The output ends when the last process of the group has gone, not with this one.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    code = _wait(child, driver, woken)
    if code is not None:
        try:
            os.write(status, b"X %d\n" % code)
        except OSError:  # the driver has gone
            pass
        if _goes_within(_LINGER_S, child, woken):
            return
    _signal_all(child, signal.SIGTERM)
    rounds = 0 if _goes_within(grace_s, child, woken) else 100
    for _ in range(rounds):
        _signal_all(child, signal.SIGKILL)
        # Each round may hand us the children of those that it ended.
        if _goes_within(_ROUND_S, child, woken):
            return


def _adopt_orphans() -> None:
    """Become the parent of all orphans of our descendants, where Linux lets us."""
    if sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):  # then the group alone is ended
        pass


def _wake_on_children() -> int:
    """Return a pipe that can be read as soon as a child has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # Ends come by the pipe alone; a Ctrl-C is the driver's.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return woken


def _wait(child: int, driver: int, woken: int) -> int | None:
    """Return the exit code of the child, None if the driver went before."""
    while True:
        code = _reaped(child)[0]
        if code is not None:
            return code
        if os.getppid() != driver:
            return None
        ready, _, _ = select.select([0, woken], [], [], _CHECK_PARENT_S)
        if 0 in ready and not os.read(0, 1):
            return None
        _drain(woken)


def _reaped(child: int) -> tuple[int | None, bool]:
    """Take the dead; return the child's code if it is one, and whether others live."""
    code = None
    while True:
        try:
            pid, state = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code, False
        if pid == 0:
            return code, True
        if pid == child:
            code = os.waitstatus_to_exitcode(state)


def _goes_within(seconds: float, child: int, woken: int) -> bool:
    """Wait until no process of the group, and none that we adopted, runs any more."""
    end = time.monotonic() + seconds
    while True:
        if not _reaped(child)[1]:
            try:
                os.killpg(child, 0)
            except (ProcessLookupError, PermissionError):
                return True
        if time.monotonic() >= end:
            return False
        select.select([woken], [], [], _ROUND_S)
        _drain(woken)


def _signal_all(child: int, number: int) -> None:
    """Send a signal to the group, and to those that have left it."""
    for send, pid in ((os.killpg, child), *((os.kill, pid) for pid in _children())):
        try:
            send(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def _children() -> list[int]:
    """Return our children, those that left the group among them (Linux)."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(name))
    return found


def _drain(pipe: int) -> None:
    try:
        os.read(pipe, 4096)
    except BlockingIOError:
        pass


if __name__ == "__main__":
    main()
    # Nothing is left to clean up, and leaving in order costs milliseconds.
    os._exit(0)
