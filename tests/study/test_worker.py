"""Workers: one thread, deaf to Ctrl-C, and gone when nobody needs them any more."""

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from study.pretended import PRETENDED, VERSION
from study.processes import wait_until

from dwindle.errors import MissingLibraryError
from dwindle.study import worker
from dwindle.study.worker import stacked_version

# A parent that starts a child which only watches it, in the one way or the other.
PARENT = """
import sys, time
from multiprocessing import get_context
from study.test_worker import watch
if __name__ == "__main__":
    get_context("spawn").Process(target=watch, args=sys.argv[1:]).start()
    time.sleep(600)
"""


def watch(way, mark):
    """Live on with one of the two ties to the parent, and leave a mark with the pid."""
    tie = getattr(worker, way)
    if way == "_watch_parent":  # it blocks
        threading.Thread(target=tie, daemon=True).start()
    else:
        tie()
    Path(mark).write_text(str(os.getpid()))
    time.sleep(600)


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("way", ["_die_with_parent", "_watch_parent"])
def test_each_tie_to_the_parent_is_enough(tmp_path, way):
    """Either the system or the watching thread alone ends an orphan."""
    mark = tmp_path / "pid"
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    folders = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    parent = subprocess.Popen(
        [sys.executable, str(script), way, str(mark)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        stderr=subprocess.DEVNULL,
    )
    assert wait_until(lambda: mark.exists() and mark.read_text())
    child = int(mark.read_text())
    assert is_alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_until(lambda: not is_alive(child))


def report(pipe):
    worker.become_worker()
    pipe.send((os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT)))


def test_a_worker_has_one_thread_and_leaves_ctrl_c_to_the_driver():
    """Numerical libraries find one thread, and Ctrl-C in a terminal is not for it."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=report, args=(theirs,))
    process.start()
    assert ours.recv() == ("1", signal.SIG_IGN)
    process.join()
    assert process.exitcode == 0


def test_a_worker_loads_its_engine_at_once():
    """The engine's version comes before any pack; without a driver it ends."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, PRETENDED, "digits-mlp")
    process = context.Process(target=worker.serve, args=arguments)
    process.start()
    theirs.close()
    assert ours.recv() == VERSION
    ours.close()  # as a driver does that has gone
    process.join()
    assert process.exitcode == 0


def test_a_worker_needs_no_numpy_before_its_threads_are_set():
    """What a process imports to become a worker is light: no numpy, no pydantic."""
    code = "import sys, dwindle.study.worker; print(*{*sys.modules} & {*sys.argv})"
    command = [sys.executable, "-c", code, "numpy", "pydantic", "torch"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.split() == []


def test_a_missing_torch_says_what_to_install(monkeypatch):
    """Without torch the error is the line to type; a fault of ours stays a fault."""
    monkeypatch.delitem(sys.modules, "dwindle.study.engine", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingLibraryError) as refused:
        stacked_version()
    assert refused.value.extra == "study"
