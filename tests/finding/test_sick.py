"""Trainings that fail in a part of the range: each is recorded, and the rest is found.

A loss of -inf that were believed would be the best of all.
"""

import math
import select
import shlex
import time
from types import SimpleNamespace

import pytest
from cli.lines import as_json, run
from finding.programs import MAIN, alive, faces_of

from dwindle.finding import command, function, group

LEAVING = "os.fork() and os.fork() or (os.setsid(), time.sleep(600)); os._exit(1)"
# How one fails -> what it comes to, and how often it is tried in a run.
SICK = {
    "raise ValueError('no')": ("error", 2),
    "os.kill(os.getpid(), 11)": ("error", 2),
    "time.sleep(600)": ("error", 2),
    LEAVING: ("error", 2),
    "return None": ("error", 1),
    "return math.nan": ("diverged", 1),
    "return math.inf": ("diverged", 1),
    "return -math.inf": ("diverged", 1),
}
MINE = """
import math, os, time
from pathlib import Path

def train(weight_decay, seed, width=1):
    if 0.05 < weight_decay < 0.2:
        Path("tried").open("a").write(f"{{weight_decay}} {{seed}} {{width}}\\n")
        {sick}
    return math.exp(0.02 * (math.log(weight_decay or 1e-9) + 4) ** 2 + 0.1 * seed)
"""
FACES = faces_of("--trainings 9 --timeout 300 --json")
CRASH, SLEEP = "os.kill(os.getpid(), 11)", "time.sleep(600)"
CASES = [*((face, sick) for face in ("function", "command") for sick in SICK)]
CASES += [("tune", CRASH)]
HOUR = 3600.0
QUICK = {
    *(("function", LEAVING), ("function", "return None"), ("function", CRASH)),
    *(("command", SLEEP), ("command", "return -math.inf"), ("tune", CRASH)),
}


def watch_the_tried(path, monkeypatch):
    """Let an hour pass for dwindle whenever a sick training has begun.

    So what sleeps is over its time at once, and what is well never is, however long a
    loaded machine takes for it.
    """
    poll = select.poll

    def now():
        begun = path.read_text().count("\n") if path.exists() else 0
        return time.monotonic() + HOUR * begun

    class Poll:
        """A poll that reads the clock each tenth of a second."""

        def __init__(self):
            self.register, self._poll = (it := poll()).register, it.poll

        def poll(self, limit=None):
            return self._poll(100 if limit is None else min(limit, 100))

    for module in (command, function, group):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now))
    monkeypatch.setattr(
        group, "select", SimpleNamespace(poll=Poll, POLLIN=select.POLLIN)
    )


@pytest.mark.parametrize(
    ("face", "sick"),
    [
        pytest.param(*each, marks=[] if each in QUICK else [pytest.mark.full])
        for each in CASES
    ],
)
def test_what_fails_is_recorded_and_the_rest_is_found(
    face, sick, tmp_path, monkeypatch, capsys
):
    """Status, tries, exit code, report, no process: as planned for each failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DWINDLE_TEST_SICK", str(tmp_path))
    (tmp_path / "mine.py").write_text(MINE.format(sick=sick) + MAIN)
    status, tries = SICK[sick]
    if "sleep(600)" in sick:
        watch_the_tried(tmp_path / "tried", monkeypatch)
    code, _, err = run(shlex.join(FACES[face]), capsys)
    assert code == (3 if status == "error" else 0), err
    assert "Traceback" not in err
    assert alive(f"DWINDLE_TEST_SICK={tmp_path}") == []
    tried = (tmp_path / "tried").read_text().splitlines()
    assert {tried.count(each) for each in tried} == {tries}
    found = as_json("report kept.db", capsys)
    shown = run("report kept.db", capsys)[1]
    if face == "tune":
        assert (found["value"], found["target"]["width"]) != (None, 1)
        return
    assert found["value"] < 0.05
    fell = [each for each in found["curve"] if each["status"] != "ok"]
    assert {(each["status"], each["loss"]) for each in fell} == {(status, None)}
    assert len(fell) == len(set(tried))
    assert shown.count(status) >= len(fell)
    well = [each["loss"] for each in found["curve"] if each not in fell]
    assert all(map(math.isfinite, well))
