"""kill -9 at any moment of a search: nothing that was committed is lost or changed.

The same line again ends as if nothing had happened, with the same answer to the bit.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from finding.formula import SCRIPT

from dwindle.errors import StoreError
from dwindle.finding.records import find_from_stored
from dwindle.store.store import read_store

OURS = "find --knob torch.optim.AdamW --low 1e-3 --high 1 --metric val_loss --json"
TRAINING = "train.py --weight-decay {weight_decay} --seed {seed} --seconds 0.02"
LIMIT = ["--trainings", "13", "--jobs", "2"]
LINE = [
    *(sys.executable, "-m", "dwindle", *OURS.split(), *LIMIT),
    *("--", sys.executable, "-S", *TRAINING.split()),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a search finds that nobody kills, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "train.py").write_text(SCRIPT.read_text())
    start = time.monotonic()
    found = subprocess.run(LINE, cwd=folder, check=True, capture_output=True)
    return json.loads(found.stdout), time.monotonic() - start


def rows(folder):
    """What a store holds now; nothing before it is one."""
    try:
        return dict(find_from_stored(read_store(folder / "train-find.db")).rows)
    except StoreError:
        return {}


def comparable(found):
    """What may not differ: all but where it ran, and in which order numbers came."""
    curve = sorted(found["curve"], key=lambda at: (at["seed"], at["weight_decay"]))
    conditions = {**found["conditions"], "folder": ""}
    return {**found, "curve": curve, "conditions": conditions}


def killed_and_resumed(folder, seconds):
    """Kill a search after some seconds; return what it had, and what it ends with."""
    (folder / "train.py").write_text(SCRIPT.read_text())
    process = subprocess.Popen(
        LINE, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(seconds)
    trainings = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(trainings, timeout=20)
    before = rows(folder)
    found = subprocess.run(LINE, cwd=folder, check=True, capture_output=True)
    left = [each for each in trainings if each.is_running()]
    return before, json.loads(found.stdout), left


def check(folder, seconds, whole):
    before, found, left = killed_and_resumed(folder, seconds)
    assert comparable(found) == comparable(whole)
    after = rows(folder)
    assert before.items() <= after.items()
    assert left == []
    assert not list(folder.glob("*.lock"))


def test_killed_at_a_few_moments(tmp_path, whole):
    """Early, in the first seed and late."""
    found, seconds = whole
    for number, share in enumerate((0.3, 0.7)):
        folder = tmp_path / str(number)
        folder.mkdir()
        check(folder, share * seconds, found)


@pytest.mark.full
def test_killed_at_thirty_random_moments(tmp_path, whole):
    """Wherever it is hit, also inside of a commit."""
    found, seconds = whole
    moments = random.Random(7)  # noqa: S311, moments and no secret
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        check(folder, moments.uniform(0.1, 1.0) * seconds, found)
