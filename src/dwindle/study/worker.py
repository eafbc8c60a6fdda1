"""The life of a worker process: it never outlives the process that it works for."""

import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait

from dwindle.study.training import Engine

_PR_SET_PDEATHSIG = 1  # from Linux's <linux/prctl.h>


# Ctrl-C, and a terminal that is closed (Windows has no such signal), reach the whole
# group; what to do then is the driver's.
OF_TERMINALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
)


def become_worker() -> None:
    """Set this process up as a worker, before anything heavy is imported."""
    # One thread per worker: as many packs train as there are cores. Read by the
    # numerical libraries when they load.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
    _die_with_parent()
    threading.Thread(target=_watch_parent, name="watch-parent", daemon=True).start()


@dataclass(frozen=True)
class Ready:
    """A worker that can train: its process and the version of its engine."""

    pid: int
    engine_version: str


def warm_up(engine: Engine) -> Ready:
    """Load what training needs, so that the first pack need not."""
    return Ready(os.getpid(), engine.version())


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends, also by kill -9."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_parent() -> None:
    """End this process when its parent has; also before the request above was made."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
