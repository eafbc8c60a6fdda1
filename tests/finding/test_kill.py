"""kill -9 at any moment of a search: nothing that was committed is lost or changed.

The same line again ends as if nothing had happened, with the same answer to the bit.
"""

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from finding.formula import SCRIPT

from dwindle.errors import StoreError
from dwindle.finding.records import find_from_stored
from dwindle.store.store import read_store

OURS = "-m dwindle find --knob torch.optim.AdamW --low 1e-3 --high 1 --json"
LIMIT = "--trainings 13 --jobs 2"
TRAINING = "train.py --weight-decay {weight_decay} --seed {seed} --seconds 0.02"
FUNCTION = """
import math, random, time

def train(weight_decay, seed):
    time.sleep(0.02)
    x = math.log(weight_decay / 0.05) if weight_decay else 3.0
    luck = random.Random(seed)
    return 0.5 * math.exp(0.02 * x * x + luck.gauss(0, 0.1) + x * luck.gauss(0, 0.01))
"""
LINES = {
    "command": f"{OURS} --metric val_loss {LIMIT} -- {sys.executable} -S {TRAINING}",
    "function": f"{OURS} {LIMIT} --store train-find.db mine:train",
}
MOMENTS = int(os.environ.get("SOAK", "30"))  # of `make soak`: many more
ROOM = 26_000  # bytes that a file may have: a store with some trainings


def line_of(kind):
    return [sys.executable, *LINES[kind].split()]


def prepared(folder):
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(SCRIPT.read_text())
    (folder / "mine.py").write_text(FUNCTION)
    return folder


@pytest.fixture(scope="module", params=LINES)
def whole(tmp_path_factory, request):
    """A kind of training, what nobody kills finds of it, and the seconds it takes."""
    folder = prepared(tmp_path_factory.mktemp("whole"))
    start = time.monotonic()
    line = line_of(request.param)
    found = subprocess.run(line, cwd=folder, check=True, capture_output=True)
    return request.param, json.loads(found.stdout), time.monotonic() - start


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


def killed_and_resumed(folder, kind, seconds, victim):
    """Kill the driver or a training after some seconds, and run the line again.

    Return what the store had, what the end finds, and what is left of processes.
    """
    line, choice = line_of(kind), random.Random(seconds)  # noqa: S311 no secret
    process = subprocess.Popen(
        line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    started = psutil.Process(process.pid).children(recursive=True)
    hit = choice.choice(started) if victim == "training" and started else None
    with suppress(psutil.NoSuchProcess):
        hit.kill() if hit else process.kill()
    process.wait()
    psutil.wait_procs(started, timeout=20)
    before = rows(folder)
    found = subprocess.run(line, cwd=folder, check=True, capture_output=True)
    left = [each for each in started if each.is_running()]
    return before, json.loads(found.stdout), left


def check(folder, seconds, whole, victim):
    kind, expected, _ = whole
    prepared(folder)
    before, found, left = killed_and_resumed(folder, kind, seconds, victim)
    assert comparable(found) == comparable(expected)
    after = rows(folder)
    done = {row for row in before.items() if row[1].status == "ok"}
    assert done <= set(after.items())
    assert left == []
    assert not list(folder.glob("*.lock"))


@pytest.mark.parametrize(
    ("whole", "share", "victim"),
    [
        ("command", 0.8, "training"),
        ("function", 0.6, "driver"),
        pytest.param("command", 0.6, "driver", marks=pytest.mark.full),
        pytest.param("function", 0.8, "training", marks=pytest.mark.full),
    ],
    indirect=["whole"],
)
def test_killed_at_a_few_moments(tmp_path, whole, share, victim):
    """A driver, and a worker or command: the end is the same, and nothing is left."""
    check(tmp_path, share * whole[-1], whole, victim)


@pytest.mark.full
def test_killed_at_random_moments(tmp_path, whole):
    """Whatever is hit wherever, also inside of a commit."""
    moments = random.Random(7)  # noqa: S311, moments and no secret
    for number in range(MOMENTS):
        seconds = moments.uniform(0.1, 1.0) * whole[-1]
        victim = ("driver", "training")[number % 2]
        check(tmp_path / str(number), seconds, whole, victim)


def test_a_disk_without_room_stops_the_search_and_loses_nothing(tmp_path):
    """Exit 3 without a traceback; what was committed stays, and the line goes on."""
    folder, line = prepared(tmp_path), line_of("function")
    line[line.index("13")] = "45"  # more rows than a page of the store has room for
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, "
    limit += f"({ROOM}, {ROOM})); runpy.run_module('dwindle', run_name='__main__')"
    exact = [*line[3:], "--within", "1.15"]
    stopped = subprocess.run(
        [line[0], "-c", limit, *exact], cwd=folder, check=False, capture_output=True
    )
    assert stopped.returncode == 3, stopped.stderr
    assert json.loads(stopped.stdout)["error"]["kind"] == "StoreAccessError"
    assert b"Traceback" not in stopped.stderr
    before = rows(folder)
    assert len(before) > 13
    found = subprocess.run(
        [*line[:3], *exact], cwd=folder, check=True, capture_output=True
    )
    assert json.loads(found.stdout)["trainings"] == 45
    assert before.items() <= rows(folder).items()
