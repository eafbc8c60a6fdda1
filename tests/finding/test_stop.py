"""Stopped by a signal: at once, all kept, nothing left, by any face."""

import os
import signal
import subprocess
import sys
import time
from itertools import product

import pytest
from finding.programs import MAIN, alive, faces_of
from study.processes import wait_until

from dwindle.finding.records import find_from_stored
from dwindle.store.store import read_store

# The third training hangs: it has a child, and ignores SIGTERM.
HANGING = """
import math, os, signal, time
from pathlib import Path

def train(weight_decay, seed, width=1):
    Path("begun").open("a").write(".")
    if len(Path("begun").read_text()) == 3:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.fork()
        Path(f"hangs-{os.getpid()}").touch()
        time.sleep(600)
    return 0.5 + (math.log(weight_decay or 1e-9) + 3) ** 2 + seed
"""
DWINDLE = (sys.executable, "-m", "dwindle")
PYTHON = """
import dwindle, mine
if __name__ == "__main__":
    train = lambda weight_decay, seed: mine.train(weight_decay, seed)
    knob = "torch.optim.AdamW"
    dwindle.find(train, knob=knob, low=1e-3, high=1, store="kept.db")
"""
FACES = {name: (*DWINDLE, *words) for name, words in faces_of().items()}
FACES["Python"] = (sys.executable, "-c", PYTHON)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A command and a worker, one signal each; the rest in the whole run.
QUICK = {("command", signal.SIGTERM), ("Python", signal.SIGINT)}
# After SIGTERM it has two seconds, see GRACE_S.
MOST_SECONDS, AT_ONCE_SECONDS = 5.0, 1.5


@pytest.fixture
def hangs(tmp_path):
    """Start a face in its own folder, and wait until its third training hangs."""
    (tmp_path / "mine.py").write_text(HANGING + MAIN)
    (tmp_path / "temporary").mkdir()
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": path,
        "DWINDLE_TEST_STOP": str(tmp_path),
    }

    def start(face):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            found = subprocess.Popen(
                FACES[face],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        assert wait_until(lambda: len(list(tmp_path.glob("hangs-*"))) == 2)
        return found

    return start


def left(folder):
    """Processes and temporary files that are still there."""
    files = list((folder / "temporary").iterdir())
    return alive(f"DWINDLE_TEST_STOP={folder}"), files


@pytest.mark.parametrize(
    ("face", "number"),
    [
        pytest.param(*each, marks=[] if each in QUICK else [pytest.mark.full])
        for each in product(FACES, SIGNALS)
    ],
)
def test_a_signal_stops_in_order(hangs, tmp_path, face, number):
    """Within seconds; what has ended is kept, and the error has how to go on."""
    process = hangs(face)
    before = find_from_stored(read_store(tmp_path / "kept.db")).rows
    start = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - start < MOST_SECONDS
    # Python itself ends a script with 1 where nothing takes the error.
    assert process.returncode == (1 if face == "Python" else 130), err
    assert ("Traceback" in err) == (face == "Python")
    assert "Run the same" in err
    assert "kept.db" in err
    assert out == ""
    assert left(tmp_path) == ([], [])
    assert not (tmp_path / "kept.db.lock").exists()
    assert find_from_stored(read_store(tmp_path / "kept.db")).rows == before
    assert len(before) == 2


def test_a_second_ctrl_c_ends_at_once(hangs, tmp_path):
    """A training that ignores SIGTERM is not waited for; it is killed."""
    process = hangs("command")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert time.monotonic() - start < AT_ONCE_SECONDS
    assert process.returncode == 130
    assert wait_until(lambda: left(tmp_path)[0] == [])
    assert len(find_from_stored(read_store(tmp_path / "kept.db")).rows) == 2


@pytest.mark.parametrize(
    "face",
    [
        pytest.param(face, marks=[] if face == "Python" else [pytest.mark.full])
        for face in FACES
    ],
)
def test_kill_9_of_the_driver_leaves_no_process(hangs, tmp_path, face):
    """The training that hangs goes with it, and its child; no file is left."""
    process = hangs(face)
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: left(tmp_path)[0] == [])
    assert left(tmp_path) == ([], [])
    assert len(find_from_stored(read_store(tmp_path / "kept.db")).rows) == 2
