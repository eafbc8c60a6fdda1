"""A study as a user runs it, in separate processes that can be watched and killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from dwindle.errors import StoreError
from dwindle.store.store import read_study

DWINDLE = "import sys; from dwindle.cli.main import main; sys.exit(main())"
PATIENCE_SECONDS = 60  # a machine may be busy; nothing here is timed


@dataclass
class Running:
    """A command, its process group, and everything that it started."""

    process: subprocess.Popen

    @classmethod
    def started(cls, *words, code=DWINDLE):
        command = [sys.executable, "-c", code, *map(str, words)]
        pipe = subprocess.PIPE
        # As in a terminal: tests that run in the background ignore Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return cls(
                subprocess.Popen(
                    command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
                )
            )
        finally:
            signal.signal(signal.SIGINT, before)

    def ended(self):
        """Wait for the end; return exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err

    def pids(self):
        """Every process of the session that is not dead."""
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError, psutil.Error):
                is_dead = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
                if os.getsid(pid) == self.process.pid and not is_dead:
                    found.append(pid)
        return found

    def workers(self):
        """The processes that train."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(psutil.Process(pid).cmdline()):
                    found.append(pid)
        return found

    def kill(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def left(self):
        """What is still alive once the system has had time to end it."""
        wait_until(lambda: not self.pids())
        return self.pids()


def wait_until(holds):
    """Check until something holds or patience ends; return whether it does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def committed(store):
    """How many trainings a store has now; none while it cannot be read yet."""
    if not Path(store).exists():
        return 0
    with contextlib.suppress(StoreError):
        return len(read_study(store).rows)
    return 0
