"""kill -9 of driver, worker or both: what was committed stays, the rest is made up."""

import os
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from study import tiny
from study.pretended import PRETENDED
from study.processes import Running, committed, wait_until

from dwindle.cli.main import main
from dwindle.findings.build import findings_of
from dwindle.store.store import read_study
from dwindle.study.backends import Inline
from dwindle.study.driver import run_study

STUDY = """\
[study]
problem = "digits-mlp"
seeds = 6
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[base]
width = 32
depth = 2
batch_size = 8
dataset_size = 300
epochs = 60
[weight_decay]
low = 1e-4
high = 1e-1
points = 4
[axes]
width = [16, 32]
"""
# Of engines that only sleep: without PyTorch all processes start in half a second.
SLEEPY = f"""
import sys
from pathlib import Path
sys.path.append({str(Path(__file__).parents[1])!r})
from study.pretended import engine_of, pretend
from study.tiny import ROOM, SPEC
from dwindle.errors import StudyStoppedError
from dwindle.study.backends import Processes
from dwindle.study.driver import run_study
try:
    with Processes(2, engine=engine_of(pretend, seconds=0.1)) as workers:
        run_study(SPEC, Path(sys.argv[1]), workers, memory_bytes=2 * ROOM)
except StudyStoppedError as stopped:
    sys.exit(stopped.exit_code)
"""


def words(folder):
    """The command of a real study; its ceiling makes many short packs."""
    file = folder / "study.toml"
    file.write_text(STUDY)
    return [*("study", str(file)), *("--memory", "8M", "--json")]


class Sleepy:
    """A study in separate processes; its outcomes are those of any other engine."""

    def started(self, folder):
        return Running.started(folder / "study.db", code=SLEEPY)

    def whole(self, folder):
        """Carry on with the study in this process, until it is complete."""
        run_study(tiny.SPEC, folder / "study.db", Inline(PRETENDED))


class Real:
    """A study as a user runs it."""

    def started(self, folder):
        return Running.started(*words(folder), "--workers", "2")

    def whole(self, folder):
        assert main([*words(folder), "--backend", "inline"]) == 0


@pytest.fixture(
    scope="module", params=[Sleepy, pytest.param(Real, marks=pytest.mark.full)]
)
def kind(request):
    return request.param()


@pytest.fixture(scope="module")
def undisturbed(kind, tmp_path_factory):
    """The store of the study as it comes out when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    kind.whole(folder)
    return folder / "study.db"


def rows(store):
    """The rows of trainings as they lie in the file, by key."""
    with closing(sqlite3.connect(store)) as db:
        return {row[0]: row for row in db.execute("SELECT * FROM trial")}


def found(store):
    """All that a study reports but how long it took."""
    study = read_study(store)
    untimed = [(trial, replace(outcome, seconds=0.0)) for trial, outcome in study.rows]
    return replace(findings_of(study), seconds=0.0), untimed


def started_and_seen(kind, folder):
    """The study in its processes, when something is committed."""
    study = kind.started(folder)
    assert wait_until(lambda: committed(folder / "study.db"))
    assert len(study.workers()) == 2
    return study


@pytest.mark.parametrize(
    "victims",
    ["driver", "worker", pytest.param("driver and worker", marks=pytest.mark.full)],
)
def test_a_kill_is_made_up_for(tmp_path, kind, undisturbed, victims):
    """Without its driver no worker stays; a lost worker is replaced.

    What was committed is unchanged, and all ends as if nothing had happened.
    """
    store, copy = tmp_path / "study.db", tmp_path / "copy"
    study = started_and_seen(kind, tmp_path)
    pids = {"driver": study.process.pid, "worker": study.workers()[0]}
    study.kill(*(pid for name, pid in pids.items() if name in victims))
    if victims == "worker":
        before = rows(store)
        code, _, err = study.ended()
        assert code == 0, err
    else:
        assert study.ended()[0] == -signal.SIGKILL
        # As the next process finds them: with the journal, if there is one.
        copy.mkdir()
        for file in tmp_path.glob("study.db*"):
            shutil.copy(file, copy / file.name)
        before = rows(copy / "study.db")
    assert study.left() == []
    if victims != "worker":
        kind.whole(tmp_path)
    after, everything = rows(store), rows(undisturbed)
    assert 0 < len(before) < len(everything)
    assert {key: after[key] for key in before} == before
    assert after.keys() == everything.keys()
    assert found(store) == found(undisturbed)


def test_ctrl_c_in_a_terminal_saves(tmp_path, kind):
    """Ctrl-C, which all processes get: code 130, how to go on, no process, no lock."""
    study = started_and_seen(kind, tmp_path)
    os.killpg(study.process.pid, signal.SIGINT)
    code, out, err = study.ended()
    assert code == 130
    assert "Traceback" not in err
    if isinstance(kind, Real):
        assert "study.db" in err
        assert "StudyStoppedError" in out  # with --json a program gets it, too
    assert study.left() == []
    assert not (tmp_path / "study.db.lock").exists()
    read = read_study(tmp_path / "study.db")
    assert 0 < len(read.rows) < read.planned


def processor_seconds():
    """What processes of this one that have ended took, with their own."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


LOADED = 1.0  # s: about the middle of loading torch, on a quiet machine
STOPS = list(product((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), (0.0, LOADED)))


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        pytest.param(*each, marks=[] if each == STOPS[1] else [pytest.mark.full])
        for each in STOPS
    ],
)
def test_a_stop_at_the_start_is_at_once(tmp_path, number, seconds):
    """Whoever stops a study that still loads waits for nothing, and reads one line."""
    before = processor_seconds()
    study = Real().started(tmp_path)
    assert wait_until(study.workers)
    time.sleep(seconds)
    os.killpg(study.process.pid, number)
    code, _, err = study.ended()
    # Of processor time, since a machine may be busy: 0.3 to 0.6 s were seen, and 5.6 s
    # where the workers' loading was waited for.
    assert processor_seconds() - before < 3
    assert code == 130, err
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert "leaked" not in err
    assert study.left() == []
