"""The store: what is committed is there, all of a pack or nothing; one writer."""

import errno
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from study.pretended import pretended_outcome
from study.tiny import CONDITIONS, FACTS, SPEC, changed

from dwindle.errors import (
    RangeError,
    StoreAccessError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
    StoreUnlikeError,
)
from dwindle.store import connect
from dwindle.store.connect import WriterLock
from dwindle.store.records import Outcome
from dwindle.store.rows import (
    hash_of_study,
    text_from_plain,
)
from dwindle.store.store import Store, read_study


def opened(path, spec=SPEC, conditions=CONDITIONS):
    return Store(path, spec=spec, conditions=conditions, problem=FACTS)


def trials(spec=SPEC, decays=(0.0, 1e-3, 1e-2)):
    return [
        spec.trial(scale, decay, seed)
        for scale in spec.scales
        for seed in range(spec.seeds)
        for decay in decays
    ]


def trained(some):
    return [(trial, pretended_outcome(trial)) for trial in some]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "tiny.db"


@pytest.fixture
def kept(path):
    """A store with every training of its plan, closed."""
    with opened(path) as store:
        store.plan(trials())
        store.commit(trained(trials()), seconds=0.1)
    return path


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


def test_what_is_no_number_is_a_status_or_missing(path):
    """A training without a loss has a status; what overflowed beside one is missing."""
    diverged = Outcome(
        status="diverged",
        steps=4,
        seconds=0.1,
        diverged_at_step=3,
        last_finite_loss=1e30,
    )
    sound = pretended_outcome(trials()[1])
    wild = replace(sound, train_loss=float("inf"), penalty=float("nan"))
    first, second = trials()[:2]
    with opened(path) as store:
        store.plan([first, second])
        store.commit([(first, diverged), (second, wild)], seconds=0.1)
        assert store.outcome(first) == diverged
        # A study can be looked at while it is written.
        found = dict(read_study(path).rows)
    kept = replace(sound, train_loss=None, penalty=None)
    assert found == {first: diverged, second: kept}


@pytest.mark.parametrize(
    ("status", "loss"), [("ok", float("nan")), ("ok", None), ("diverged", 0.3)]
)
def test_a_loss_without_its_status_is_refused(path, status, loss):
    """Neither NaN as a result nor a result with a failure gets into a store."""
    outcome = Outcome(status=status, steps=4, seconds=0.1, loss=loss)
    with opened(path) as store, pytest.raises(RangeError) as refused:
        store.commit([(trials()[0], outcome)], seconds=0.1)
    assert refused.value.name == "loss"


def test_what_is_not_planned_is_not_read(kept):
    """Results of an earlier, larger plan stay out of the study as it is now."""
    # Also where the new one is not written yet.
    opened(kept, spec=changed(seeds=1)).close()
    found = read_study(kept)
    assert {trial.seed for trial, _ in found.rows} == {0}
    assert len(found.rows) == len(trials()) // SPEC.seeds
    with opened(kept) as store:
        store.plan(trials()[:3])
    study = read_study(kept)
    assert [trial for trial, _ in study.rows] == trials()[:3]
    assert not study.complete


def test_a_grown_study_keeps_its_results(kept):
    """With more seeds the store is carried on: what is there is not trained again."""
    with opened(kept) as store:
        store.finish()
    grown = changed(seeds=3)
    with opened(kept, grown) as store:
        store.plan(trials(grown))
        known = [store.outcome(trial) is not None for trial in trials(grown)]
    assert sum(known) == len(trials()) < len(known)
    study = read_study(kept)
    assert (study.spec, study.complete) == (grown, False)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"engine_version": "2"}, ("engine version", "pretended", "2")),
        ({"torch_version": "3.0"}, ("torch version", "2.13.0", "3.0")),
        ({"dtype": "float64"}, ("dtype", "float32", "float64")),
        ({"normalization": "fan-in"}, ("normalization", "none", "fan-in")),
        (
            {"optimizer": replace(CONDITIONS.optimizer, momentum=0.5)},
            ("momentum", "0.9", "0.5"),
        ),
    ],
)
def test_unlike_conditions_are_refused(kept, change, difference):
    """A store of other conditions is left as it is; each difference is reported.

    Another machine is no other condition.
    """
    opened(kept, conditions=replace(CONDITIONS, machine="another")).close()
    before = kept.read_bytes()
    with pytest.raises(StoreUnlikeError) as refused:
        opened(kept, conditions=replace(CONDITIONS, **change))
    assert refused.value.differences == (difference,)
    assert kept.read_bytes() == before


def test_a_second_writer_is_refused(path):
    """While one writes nobody else does, and the error names who it is.

    A lock file that its process left behind when it was killed keeps nobody out.
    """
    path.parent.mkdir()
    path.with_name("tiny.db.lock").write_text("process 1")
    first = opened(path)
    with pytest.raises(StoreLockedError) as refused:
        opened(path)
    assert refused.value.owner == f"process {os.getpid()}"
    first.close()
    opened(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["tiny.db"]


def test_a_lock_whose_file_was_removed_meanwhile_holds_nobody_out(tmp_path):
    """Whoever gives a lock back removes its file: the next one locks a new file."""
    first = WriterLock(tmp_path / "s.db")
    (tmp_path / "s.db.lock").unlink()
    second = WriterLock(tmp_path / "s.db")
    with pytest.raises(StoreLockedError) as refused:
        WriterLock(tmp_path / "s.db")
    assert refused.value.owner == f"process {os.getpid()}"
    second.release()
    first.release()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store_to_read(tmp_path):
    """It may be written to; there is nothing to read, and nobody else's program."""
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreFormatError) as refused:
        read_study(path)
    assert refused.value.found == "an empty file"


def test_other_files_are_refused(tmp_path):
    """A newer store, a text and another program's database are refused, and stay."""
    newer, text, foreign = (tmp_path / name for name in ("n.db", "notes.txt", "f.db"))
    opened(newer).close()
    text.write_text("a study\n" * 500)
    for path, statements in {
        newer: ["PRAGMA user_version = 99"],
        # The journal is theirs to choose, and to keep.
        foreign: ["PRAGMA journal_mode = WAL", "CREATE TABLE mine (x)"],
    }.items():
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)
    found = {
        newer: "schema version 99; this dwindle reads up to version 3",
        text: "a file that is no database",
        foreign: "an SQLite file of another program",
    }
    for path, what in found.items():
        before = path.read_bytes()
        for attempt in (opened, read_study):
            with pytest.raises(StoreFormatError) as refused:
                attempt(path)
            assert refused.value.found == what
        assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "pipe", "here", "nothing"])
def test_what_is_no_file_is_no_store(tmp_path, monkeypatch, kind):
    """A folder, a pipe and "." are no stores; reading what is not there makes none."""
    monkeypatch.chdir(tmp_path)
    path = Path() if kind == "here" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    path.mkdir(exist_ok=True) if kind == "folder" else None
    before = list(tmp_path.iterdir())
    for use in (read_study,) if kind == "nothing" else (opened, read_study):
        with pytest.raises(StoreFormatError) as refused:
            use(path)
        assert refused.value.path == str(path)
    assert list(tmp_path.iterdir()) == before


def test_a_full_disk_keeps_what_was_committed(path):
    """No room: an error that says so, earlier packs intact, the same pack later."""
    first, second = trained(trials()[:2]), trained(trials()[2:])
    with opened(path) as store:
        store.plan(trials())
        store.commit(first, seconds=0.1)
        # SQLite's own limit fails exactly as a full disk does: SQLITE_FULL.
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreAccessError) as refused:
            store.commit(second, seconds=0.1)
        assert "full" in refused.value.reason  # in SQLite's words
        assert refused.value.free_bytes > 0
        assert dict(read_study(path).rows) == dict(first)
        store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
        store.commit(second, seconds=0.1)
    assert dict(read_study(path).rows) == dict(first + second)


@pytest.mark.parametrize("link", ["symbolic", "hard", "none"])
def test_a_lock_never_writes_into_another_file(path, link):
    """A lock file that is a link, or somebody's own file, is refused and stays."""
    path.parent.mkdir()
    victim, lock = path.with_name("victim"), path.with_name("tiny.db.lock")
    # A second name of a file is refused although it looks like a lock of ours.
    precious = "process of mine" if link == "hard" else "precious data"
    victim.write_text(precious)
    if link == "symbolic":
        lock.symlink_to(victim)
    elif link == "hard":
        lock.hardlink_to(victim)
    else:
        lock.write_text(precious)
    with pytest.raises(StoreAccessError) as refused:
        opened(path)
    assert str(lock) in refused.value.reason
    assert victim.read_text() == lock.read_text() == precious
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
        for again in (trained(some[4:5]), [*trained(some[3:4]), *trained(some[:1])]):
            with pytest.raises(RangeError) as refused:
                store.commit(again, seconds=0.5)
            assert refused.value.must == "not committed yet"
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
    """Change a fact of the study as a program that knows the hashes would."""
    with closing(sqlite3.connect(path)) as db, db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM study").fetchone())
        row[column] = text_from_plain(change(json.loads(row[column])))
        packs = [pack["hash"] for pack in db.execute("SELECT hash FROM pack")]
        values = row[column], hash_of_study(row, packs)
        db.execute(f"UPDATE study SET {column} = ?, hash = ?", values)  # noqa: S608


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
def test_a_forged_study_is_refused(kept, column, change):
    """Lines to copy come from a study: its facts are checked, hashes or not."""

    def forged(plain):
        return {**plain, "optimizer": {**plain["optimizer"], **change}}

    _forged(kept, column, forged)
    with pytest.raises(StoreDamagedError) as refused:
        read_study(kept)
    assert "hash" not in refused.value.found


def sqlite_error(code):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def test_each_failure_of_sqlite_and_of_the_system_has_its_error(tmp_path):
    """A code that is about the place is no damage, nor the other way round."""
    kinds = {
        sqlite3.SQLITE_FULL: StoreAccessError,
        sqlite3.SQLITE_IOERR_WRITE: StoreAccessError,
        sqlite3.SQLITE_READONLY: StoreAccessError,
        sqlite3.SQLITE_BUSY: StoreLockedError,
        sqlite3.SQLITE_NOTADB: StoreFormatError,
        sqlite3.SQLITE_CORRUPT: StoreDamagedError,
        sqlite3.SQLITE_ERROR: StoreDamagedError,
    }
    causes = {sqlite_error(code): kind for code, kind in kinds.items()}
    causes[OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))] = StoreAccessError
    causes[RangeError("loss", 1, "0")] = RangeError  # ours already: it passes
    for cause, kind in causes.items():
        with (
            pytest.raises(kind) as raised,
            connect.sqlite_errors_translated(tmp_path / "s.db"),
        ):
            raise cause
        assert type(raised.value) is kind
    nowhere = Path("/nowhere/at/all/s.db")
    with (
        pytest.raises(StoreAccessError) as raised,
        connect.sqlite_errors_translated(nowhere),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert raised.value.free_bytes is None
