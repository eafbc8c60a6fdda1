"""kill -9 of driver, worker or both: what was committed stays, the rest is made up."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import product

import pytest
from study.processes import Running, committed, wait_until

from dwindle.cli.main import main
from dwindle.findings.build import findings_of
from dwindle.store.store import read_study

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
# A ceiling that makes packs of some models: many short packs.
CEILING = "8M"


def words(folder):
    file = folder / "study.toml"
    file.write_text(STUDY)
    return "study", file, "--memory", CEILING, "--json"


def rows(store):
    """The rows of trainings as they lie in the file, by key."""
    with closing(sqlite3.connect(store)) as db:
        return {row[0]: row for row in db.execute("SELECT * FROM trial")}


def found(store):
    """All that a study says but how long it took."""
    study = read_study(store)
    untimed = [(trial, replace(outcome, seconds=0.0)) for trial, outcome in study.rows]
    return replace(findings_of(study), seconds=0.0), untimed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The store of the study as it comes out when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert same_command(folder) == 0
    return folder / "study.db"


def same_command(folder):
    """Run the command again, all of it in this process: torch loads but once.

    So it is shown as well that results do not depend on where a pack trains.
    """
    return main([str(word) for word in (*words(folder), "--backend", "inline")])


def copied(store, folder):
    """A copy of a store that nobody writes to, with its journal if there is one."""
    folder.mkdir()
    for file in store.parent.glob("study.db*"):
        shutil.copy(file, folder / file.name)
    return folder / "study.db"


def started_and_seen(folder, least):
    """The study in its processes, when at least so many trainings are committed."""
    study = Running.started(*words(folder), "--workers", "2")
    assert wait_until(lambda: committed(folder / "study.db") >= least)
    return study


def assert_made_up(store, before, undisturbed):
    """What was committed is unchanged, and all is as if nothing had happened."""
    everything = rows(undisturbed)
    assert 0 < len(before) < len(everything)
    after = rows(store)
    assert {key: after[key] for key in before} == before
    assert after.keys() == everything.keys()
    assert found(store) == found(undisturbed)


def test_a_killed_driver_is_made_up_for(tmp_path, undisturbed):
    """Without its driver no worker stays; the same command carries on."""
    store = tmp_path / "study.db"
    study = started_and_seen(tmp_path, 1)
    assert len(study.workers()) == 2
    study.kill(study.process.pid)
    assert study.ended()[0] == -signal.SIGKILL
    assert study.left() == []
    before = rows(copied(store, tmp_path / "copy"))
    assert same_command(tmp_path) == 0
    assert_made_up(store, before, undisturbed)


def test_a_killed_worker_is_made_up_for(tmp_path, undisturbed):
    """The driver replaces a lost worker, trains its pack again, and ends as ever."""
    store = tmp_path / "study.db"
    study = started_and_seen(tmp_path, 1)
    study.kill(random.choice(study.workers()))  # noqa: S311, no secret
    before = rows(store)
    code, _, err = study.ended()
    assert code == 0, err
    assert study.left() == []
    assert_made_up(store, before, undisturbed)


@pytest.mark.full
def test_a_killed_driver_and_worker_are_made_up_for(tmp_path, undisturbed):
    """Both at once: nothing is left running, nothing committed is lost."""
    store = tmp_path / "study.db"
    study = started_and_seen(tmp_path, 1)
    study.kill(study.workers()[0], study.process.pid)
    assert study.ended()[0] == -signal.SIGKILL
    assert study.left() == []
    before = rows(copied(store, tmp_path / "copy"))
    # Resumed in processes as well, as a person does it.
    assert main([str(word) for word in (*words(tmp_path), "--workers", "2")]) == 0
    assert_made_up(store, before, undisturbed)


def test_ctrl_c_in_a_terminal_saves(tmp_path):
    """Ctrl-C, which all processes get: code 130, how to go on, no process, no lock."""
    study = started_and_seen(tmp_path, 1)
    os.killpg(study.process.pid, signal.SIGINT)
    code, out, err = study.ended()
    assert code == 130
    assert "study.db" in err
    assert "StudyStoppedError" in out  # with --json a program is told, too
    assert "Traceback" not in err
    assert study.left() == []
    assert not (tmp_path / "study.db.lock").exists()
    assert 0 < committed(tmp_path / "study.db") < 60


def processor_seconds():
    """What processes of this one that have ended took, with their own."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


QUICK = {
    (signal.SIGINT, "libraries are loaded"),
    (signal.SIGTERM, "workers are started"),
    (signal.SIGHUP, "workers are started"),
}


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(*each, marks=[] if each in QUICK else [pytest.mark.full])
        for each in product(
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
            ("workers are started", "libraries are loaded"),
        )
    ],
)
def test_a_stop_at_the_start_is_at_once(tmp_path, number, moment):
    """Whoever stops a study that still loads waits for nothing, and reads one line."""
    before = processor_seconds()
    study = Running.started(*words(tmp_path), "--workers", "2")
    assert wait_until(study.workers)
    if moment == "libraries are loaded":
        time.sleep(1.0)  # about the middle of loading torch, on a quiet machine
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
