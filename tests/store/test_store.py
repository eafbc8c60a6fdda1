"""The store: what is committed is there, all of a pack or nothing; one writer."""

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from study.tiny import CONDITIONS, FACTS, SPEC, changed, pretended_outcome

from dwindle.errors import (
    RangeError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
    StoreUnlikeError,
)
from dwindle.store.records import Outcome, Trial
from dwindle.store.rows import sealed, text_from_plain
from dwindle.store.store import Store, _insert, read_study


def opened(path, spec=SPEC, conditions=CONDITIONS):
    return Store(path, spec=spec, conditions=conditions, problem=FACTS)


def trials(spec=SPEC, decays=(0.0, 1e-3, 1e-2)):
    return [
        Trial(
            problem=spec.problem,
            optimizer=spec.optimizer,
            scale=scale,
            normalization=spec.normalization,
            weight_decay=decay,
            seed=seed,
        )
        for scale in spec.scales
        for seed in range(spec.seeds)
        for decay in decays
    ]


def trained(some):
    return [(trial, pretended_outcome(trial)) for trial in some]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "tiny.db"


def test_what_is_committed_is_read_back(path):
    """Every number of every training comes back exactly, in one order."""
    all_of_it = trained(trials())
    with opened(path) as store:
        store.plan(trials())
        store.commit(all_of_it[5:], seconds=0.5)
        store.commit(all_of_it[:5], seconds=0.25)
        store.finish()
    study = read_study(path)
    assert dict(study.rows) == dict(all_of_it)
    order = [(trial.weight_decay, trial.seed) for trial, _ in study.rows]
    cell = len(order) // len(SPEC.scales)
    assert order[:cell] == sorted(order[:cell])
    assert study.spec == SPEC
    assert study.conditions == CONDITIONS
    assert study.problem == FACTS
    assert study.complete
    assert study.planned == len(all_of_it)
    assert study.seconds > 0


def test_a_diverged_training_is_a_status_not_a_number(path):
    """A training without a loss is stored with its status, step and last loss."""
    outcome = Outcome(
        status="diverged",
        steps=4,
        seconds=0.1,
        diverged_at_step=3,
        last_finite_loss=1e30,
    )
    with opened(path) as store:
        store.plan(trials()[:1])
        store.commit([(trials()[0], outcome)], seconds=0.1)
        assert store.outcome(trials()[0]) == outcome
    assert read_study(path).rows == ((trials()[0], outcome),)


@pytest.mark.parametrize(
    ("status", "loss"), [("ok", float("nan")), ("ok", None), ("diverged", 0.3)]
)
def test_a_loss_without_its_status_is_refused(path, status, loss):
    """Neither NaN as a result nor a result with a failure gets into a store."""
    outcome = Outcome(status=status, steps=4, seconds=0.1, loss=loss)
    with opened(path) as store, pytest.raises(RangeError, match="loss must be finite"):
        store.commit([(trials()[0], outcome)], seconds=0.1)


def test_a_training_is_committed_once(path):
    """The same training twice is refused, and nothing of that pack is written."""
    first, second = trained(trials()[:2])
    with opened(path) as store:
        store.plan(trials())
        store.commit([first], seconds=0.1)
        with pytest.raises(RangeError, match=r"not committed yet\. Got 1 that are"):
            store.commit([second, first], seconds=0.1)
    assert dict(read_study(path).rows) == dict([first])


def test_what_is_not_planned_is_not_read(path):
    """Results of an earlier, larger plan stay out of the study as it is now."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
        store.plan(trials()[:3])
    study = read_study(path)
    assert [trial for trial, _ in study.rows] == trials()[:3]
    assert not study.complete


def test_a_grown_study_keeps_its_results(path):
    """With more seeds the store is carried on: what is there is not trained again."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
        store.finish()
    grown = changed(seeds=3)
    with opened(path, grown) as store:
        store.plan(trials(grown))
        known = [store.outcome(trial) is not None for trial in trials(grown)]
    assert sum(known) == len(trials()) < len(known)
    study = read_study(path)
    assert (study.spec, study.complete) == (grown, False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"engine_version": "2"}, "engine version pretended there, 2 now"),
        ({"torch_version": "3.0"}, r"torch version 2\.13\.0 there, 3\.0 now"),
        ({"dtype": "float64"}, "dtype float32 there, float64 now"),
        ({"normalization": "fan-in"}, "normalization none there, fan-in now"),
        (
            {"optimizer": replace(CONDITIONS.optimizer, momentum=0.5)},
            r"Got momentum 0\.\d there, 0\.5 now\. ",
        ),
    ],
)
def test_unlike_conditions_are_refused(path, change, told):
    """A store of other conditions is left as it is, and the text says what to do."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
    before = path.read_bytes()
    with pytest.raises(StoreUnlikeError, match=f"{told}.*--store.*dwindle report"):
        opened(path, conditions=replace(CONDITIONS, **change))
    assert path.read_bytes() == before


def test_another_machine_is_no_other_condition(path):
    """The processor is told, but does not keep results apart."""
    opened(path, conditions=replace(CONDITIONS, machine="a")).close()
    opened(path, conditions=replace(CONDITIONS, machine="b")).close()


def test_a_second_writer_is_refused(path):
    """While one writes nobody else does, and the text says who it is."""
    first = opened(path)
    with pytest.raises(StoreLockedError, match=r"Got process \d+\. .*--store"):
        opened(path)
    first.close()
    opened(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["tiny.db"]


def test_a_lock_of_the_dead_is_no_lock(path):
    """A lock file that its process left behind when it was killed keeps nobody out."""
    path.parent.mkdir()
    path.with_name("tiny.db.lock").write_text("process 1")
    opened(path).close()


def test_readers_need_not_wait(path):
    """A study can be looked at while it is written."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()[:2]), seconds=0.1)
        assert len(read_study(path).rows) == 2


def test_a_newer_store_is_refused(path):
    """A schema from the future is not guessed at."""
    opened(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for attempt in (opened, read_study):
        with pytest.raises(StoreFormatError, match=r"version 99.*pip install"):
            attempt(path)


def test_other_files_are_refused(tmp_path):
    """A text or another program's database is not taken for a store, nor changed."""
    text, foreign = tmp_path / "notes.txt", tmp_path / "foreign.db"
    text.write_text("a study\n" * 500)
    with sqlite3.connect(foreign) as db:
        db.execute("PRAGMA journal_mode = WAL")  # theirs to choose, and to keep
        db.execute("CREATE TABLE mine (x)")
    db.close()
    for path in (text, foreign):
        before = path.read_bytes()
        for attempt in (opened, read_study):
            with pytest.raises(StoreFormatError, match=r"must be a store.*new path"):
                attempt(path)
        assert path.read_bytes() == before


def test_a_missing_store_is_told(tmp_path):
    """Reading what is not there makes no file."""
    with pytest.raises(StoreFormatError, match=r"no such file\. Give the path"):
        read_study(tmp_path / "none.db")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_what_was_committed(path):
    """No room: an error that says so, earlier packs intact, the same pack later."""
    first, second = trained(trials()[:2]), trained(trials()[2:])
    with opened(path) as store:
        store.plan(trials())
        store.commit(first, seconds=0.1)
        # SQLite's own limit fails exactly as a full disk does: SQLITE_FULL.
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreAccessError, match=r"full.*bytes free.*are intact"):
            store.commit(second, seconds=0.1)
        assert dict(read_study(path).rows) == dict(first)
        store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
        store.commit(second, seconds=0.1)
    assert dict(read_study(path).rows) == dict(first + second)


@pytest.mark.parametrize("link", ["symbolic", "hard", "none"])
def test_a_lock_never_writes_into_another_file(path, link):
    """A lock file that is a link, or somebody's own file, is refused and stays."""
    path.parent.mkdir()
    victim, lock = path.with_name("victim"), path.with_name("tiny.db.lock")
    victim.write_text("precious data")
    if link == "symbolic":
        lock.symlink_to(victim)
    elif link == "hard":
        lock.hardlink_to(victim)
    else:
        lock.write_text("precious data")
    with pytest.raises(StoreAccessError, match=r"lock, a link|no lock of dwindle's"):
        opened(path)
    assert victim.read_text() == "precious data"
    assert lock.read_text() == "precious data"
    assert not path.exists()


def test_an_error_gives_way_to_a_result(path):
    """What failed may be committed again; what succeeded may not, and all verifies."""
    some = trials()
    failed = Outcome(status="error", steps=4, seconds=0.0, error="killed")
    with opened(path) as store:
        store.plan(some)
        store.commit(trained(some[:3]), seconds=0.5)
        store.commit([(trial, failed) for trial in some[3:7]], seconds=0.0)
        store.commit(trained(some[7:]), seconds=0.5)
        store.commit(trained(some[4:6]), seconds=0.5)
        with pytest.raises(RangeError, match="not committed yet"):
            store.commit(trained(some[4:5]), seconds=0.5)
        with pytest.raises(RangeError, match="not committed yet"):
            store.commit([*trained(some[3:4]), *trained(some[:1])], seconds=0.5)
        assert store.outcome(some[3]) == failed
    with opened(path) as store:
        assert store.outcome(some[5]) == pretended_outcome(some[5])
    found = dict(read_study(path).rows)
    assert {trial for trial, out in found.items() if out == failed} == {
        some[3],
        some[6],
    }
    assert len(found) == len(some)


def _forged(path, column, change):
    """Change a fact of the study as somebody who knows the hashes would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM study").fetchone())
        del row["hash"]
        row = sealed(row | {column: text_from_plain(change(json.loads(row[column])))})
        db.execute("DELETE FROM study")
        _insert(db, "study", row)


SHELL = "cosine; touch PASTED #"


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("conditions", {"schedule": SHELL}),
        ("conditions", {"momentum": 0.8}),
        ("spec", {"schedule": SHELL}),
        ("spec", {"momentum": "0.9; touch PASTED #"}),
        ("spec", {"betas": ["a", "b"]}),
        ("spec", {"nesterov": "__import__('os')"}),
        ("spec", {"unheard": 1}),
    ],
)
def test_a_forged_study_is_refused(path, column, change):
    """Lines to copy come from a study: its facts are checked, hashes or not."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)

    def forged(plain):
        return {**plain, "optimizer": {**plain["optimizer"], **change}}

    _forged(path, column, forged)
    with pytest.raises(StoreDamagedError, match=r"facts of the study|not the study's"):
        read_study(path)


def test_trainings_of_another_plan_are_not_read(path):
    """Where a new plan is not written yet, what it does not have is left out."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
    fewer = changed(seeds=1)
    with opened(path, spec=fewer):
        pass
    found = read_study(path)
    assert {trial.seed for trial, _ in found.rows} == {0}
    assert len(found.rows) == len(trials()) // SPEC.seeds


@pytest.mark.parametrize("kind", ["folder", "pipe", "here"])
def test_what_is_no_file_is_no_store(tmp_path, monkeypatch, kind):
    """A folder, a pipe and "." are refused by what they are, to read and to write."""
    monkeypatch.chdir(tmp_path)
    path = Path() if kind == "here" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    path.mkdir(exist_ok=True) if kind == "folder" else None
    for use in (opened, read_study):
        with pytest.raises(StoreFormatError, match=r"Got a (folder|device or a pipe)"):
            use(path)
