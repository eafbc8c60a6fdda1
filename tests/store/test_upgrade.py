"""Stores of older schemas are read as they are and upgraded when carried on."""

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from denied import modes_count
from store.test_store import opened, trained, trials
from study.pretended import pretended_outcome
from study.tiny import CONDITIONS, FACTS, SPEC

from dwindle.errors import StoreAccessError, StoreDamagedError, StoreUnlikeError
from dwindle.store.records import Outcome
from dwindle.store.store import read_study
from dwindle.study.plan import round_trials
from dwindle.study.problems import problem

DATA = Path(__file__).parents[1] / "data"
OLD = DATA / "store_schema_1.db"
OLD_CONDITIONS = replace(CONDITIONS, engine_version="3+compiled", machine="a machine")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "tiny.db"


def whole_of_old():
    """What the old stores hold, by their own recipe: 40 trainings, 2 of them bad.

    Each was written by dwindle at its schema: one diverged, one failed for good, and
    one failed that was trained again.
    """
    some = round_trials(SPEC, problem(SPEC.problem), lambda _: None, number=0)
    found = {trial: pretended_outcome(trial) for trial in some}
    found[some[3]] = Outcome(
        status="diverged",
        steps=some[3].scale.steps,
        seconds=0.1,
        diverged_at_step=3,
        last_finite_loss=1e30,
    )
    steps = some[11].scale.steps
    found[some[11]] = Outcome(status="error", steps=steps, seconds=0.0, error="killed")
    return found


@pytest.mark.parametrize("schema", [1, 2])
def test_a_store_of_an_older_schema_is_carried_on(path, schema):
    """Read as it is, then upgraded by the first study that goes on with it."""
    expected, before = whole_of_old(), DATA / f"store_schema_{schema}.db"
    path.parent.mkdir()
    shutil.copy(before, path)
    study = read_study(path)
    assert dict(study.rows) == expected
    assert (study.spec, study.conditions, study.problem) == (
        SPEC,
        OLD_CONDITIONS,
        FACTS,
    )
    assert (study.planned, study.complete) == (40, False)
    assert path.read_bytes() == before.read_bytes()
    with pytest.raises(StoreUnlikeError) as refused:
        opened(path)
    assert ("engine version", "3+compiled", "pretended") in refused.value.differences
    assert path.read_bytes() == before.read_bytes()
    failed = next(trial for trial, out in expected.items() if out.status == "error")
    with opened(path, conditions=OLD_CONDITIONS) as store:
        assert replace(read_study(path), seconds=0.0) == replace(study, seconds=0.0)
        store.commit(trained([failed]), seconds=0.25)
        store.finish()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
    study = read_study(path)
    assert dict(study.rows) == expected | dict(trained([failed]))
    assert study.complete


def test_an_empty_store_of_the_first_schema_is_begun(path):
    """A study that was killed right after it made its file begins anew."""
    path.parent.mkdir()
    shutil.copy(OLD, path)
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("trial", "pack", "planned", "study"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608
    with pytest.raises(StoreDamagedError) as refused:
        read_study(path)
    assert "study" in refused.value.found
    with opened(path) as store:
        store.commit(trained(trials()[:1]), seconds=0.1)
    assert read_study(path).spec == SPEC


def test_a_store_in_a_read_only_place_is_read_and_not_written(tmp_path):
    """Of either schema: a report needs no room, and a study is told what it needs.

    In a folder that nobody may enter both are denied, as the system says it.
    """
    shutil.copy(OLD, tmp_path / "old.db")
    with opened(tmp_path / "new.db") as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
    for file in tmp_path.iterdir():
        file.chmod(0o444)
    tmp_path.chmod(0o555)
    with modes_count():
        assert len(read_study(tmp_path / "old.db").rows) == 40
        assert len(read_study(tmp_path / "new.db").rows) == len(trials())
        for name in ("old.db", "new.db"):
            with pytest.raises(StoreAccessError) as refused:
                opened(tmp_path / name)
            assert refused.value.reason == os.strerror(errno.EACCES)
    tmp_path.chmod(0o755)
    (tmp_path / "shut").mkdir(mode=0)
    for use in (read_study, opened):
        with modes_count(), pytest.raises(StoreAccessError) as refused:
            use(tmp_path / "shut" / "s.db")
        assert refused.value.reason == os.strerror(errno.EACCES)
