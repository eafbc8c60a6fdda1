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
from finding.programs import MAIN, faces_of

from dwindle.errors import StoreError
from dwindle.finding.records import find_from_stored
from dwindle.store.store import read_store

FACES = faces_of("--trainings 13 --jobs 2 --json")
MINE = """
import math, random, time

def train(weight_decay, seed):
    time.sleep(0.02)
    x = math.log(weight_decay / 0.05) if weight_decay else 3.0
    luck = random.Random(seed)
    return 0.5 * math.exp(0.02 * x * x + luck.gauss(0, 0.1) + x * luck.gauss(0, 0.01))
"""
MOMENTS = int(os.environ.get("SOAK", "30"))  # of `make soak`: many more
ROOM = 26_000  # bytes that a file may have: a store with some trainings


def line_of(kind):
    return [sys.executable, "-m", "dwindle", *FACES[kind]]


def output_of(line, folder):
    """The JSON that a successful command line prints in a folder."""
    found = subprocess.run(line, cwd=folder, check=True, capture_output=True)
    return json.loads(found.stdout)


def rows(folder):
    """What a store holds now; nothing before it is one."""
    try:
        return dict(find_from_stored(read_store(folder / "kept.db")).rows)
    except StoreError:
        return {}


def comparable(found):
    """What may not differ: all but where it ran, and in which order numbers came."""
    curve = sorted(found["curve"], key=lambda at: (at["seed"], at["weight_decay"]))
    conditions = {**found["conditions"], "folder": ""}
    return {**found, "curve": curve, "conditions": conditions}


def kill(folder, line, seconds, victim):
    """Kill the driver or a training after some seconds; return what it had started."""
    choice = random.Random(seconds)  # noqa: S311 no secret
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(line, cwd=folder, stdout=nowhere, stderr=nowhere)
    time.sleep(seconds)
    started = psutil.Process(process.pid).children(recursive=True)
    hit = choice.choice(started) if victim == "training" and started else None
    with suppress(psutil.NoSuchProcess):
        hit.kill() if hit else process.kill()
    process.wait()
    psutil.wait_procs(started, timeout=20)
    return started


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("function", 1),
        pytest.param("function", MOMENTS, marks=pytest.mark.full),
        pytest.param("command", MOMENTS, marks=pytest.mark.full),
    ],
)
def test_killed_and_run_again_the_end_is_the_same(tmp_path, kind, moments):
    """The driver, or anything that it started, at random, also inside of a commit."""
    draw, line = random.Random(7), line_of(kind)  # noqa: S311 no secret
    folders = [tmp_path / str(number) for number in range(moments + 1)]
    for folder in folders:
        folder.mkdir()
        (folder / "mine.py").write_text(MINE + MAIN)
    start = time.monotonic()
    whole = output_of(line, folders.pop())
    lasts = time.monotonic() - start
    for number, folder in enumerate(folders):
        share = 0.6 if moments == 1 else draw.uniform(0.1, 1.0)
        victim = ("driver", "training")[number % 2]
        started = kill(folder, line, share * lasts, victim)
        before = rows(folder)
        assert comparable(output_of(line, folder)) == comparable(whole)
        done = {row for row in before.items() if row[1].status == "ok"}
        assert done <= set(rows(folder).items())
        assert [each for each in started if each.is_running()] == []
        assert not list(folder.glob("*.lock"))


def test_a_disk_without_room_stops_the_search_and_loses_nothing(tmp_path):
    """Exit 3 without a traceback; what was committed stays, and the line goes on."""
    (tmp_path / "mine.py").write_text(MINE)
    line = line_of("function")
    line[line.index("13")] = "45"  # more rows than a page of the store has room for
    limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, "
    limit += f"({ROOM}, {ROOM})); runpy.run_module('dwindle', run_name='__main__')"
    exact = [*line[3:], "--within", "1.15"]
    stopped = subprocess.run(
        [line[0], "-c", limit, *exact], cwd=tmp_path, check=False, capture_output=True
    )
    assert stopped.returncode == 3, stopped.stderr
    assert json.loads(stopped.stdout)["error"]["kind"] == "StoreAccessError"
    assert b"Traceback" not in stopped.stderr
    before = rows(tmp_path)
    assert len(before) > 13
    assert output_of([*line[:3], *exact], tmp_path)["trainings"] == 45
    assert before.items() <= rows(tmp_path).items()
