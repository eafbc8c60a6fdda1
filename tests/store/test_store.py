"""The store: all of a pack or nothing; one writer; no other file; older schemas."""

import errno
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from denied import modes_count
from study.pretended import pretended_outcome
from study.tiny import CONDITIONS, FACTS, SPEC, changed, opened, trained, trials

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
from dwindle.store.rows import hash_of_study, sum_of_hashes, text_from_plain
from dwindle.store.store import read_study
from dwindle.study.plan import round_trials
from dwindle.study.problems import problem

DATA = Path(__file__).parents[1] / "data"
OLD_CONDITIONS = replace(CONDITIONS, engine_version="3+compiled", machine="a machine")
DIVERGED = Outcome(
    status="diverged", steps=4, seconds=0.1, diverged_at_step=3, last_finite_loss=1e30
)
FAILED = Outcome(status="error", steps=4, seconds=0.0, error="killed")


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
    facts = (study.spec, study.conditions, study.problem)
    assert facts == (SPEC, CONDITIONS, FACTS)
    assert (study.complete, study.planned) == (True, len(all_of_it))
    assert study.seconds > 0


def test_what_is_no_number_is_a_status_or_missing(path):
    """A training without a loss has a status; what overflowed beside one is missing.

    Neither NaN as a result nor a result with a failure gets into a store.
    """
    first, second, third = trials()[:3]
    sound = pretended_outcome(second)
    wild = replace(sound, train_loss=float("inf"), penalty=float("nan"))
    with opened(path) as store:
        store.plan([first, second])
        store.commit([(first, DIVERGED), (second, wild)], seconds=0.1)
        assert store.outcome(first) == DIVERGED
        # A study can be read while it is written.
        found = dict(read_study(path).rows)
        for status, loss in (("ok", float("nan")), ("ok", None), ("diverged", 0.3)):
            outcome = Outcome(status=status, steps=4, seconds=0.1, loss=loss)
            with pytest.raises(RangeError) as refused:
                store.commit([(third, outcome)], seconds=0.1)
            assert refused.value.name == "loss"
    assert found == {
        first: DIVERGED,
        second: replace(sound, train_loss=None, penalty=None),
    }


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


def test_unlike_conditions_are_refused(kept):
    """A store of other conditions is left as it is; each difference is reported.

    Another machine is no other condition.
    """
    opened(kept, conditions=replace(CONDITIONS, machine="another")).close()
    before = kept.read_bytes()
    slower = replace(CONDITIONS.optimizer, momentum=0.5)
    for change, difference in [
        ({"engine_version": "2"}, ("engine version", "pretended", "2")),
        ({"torch_version": "3.0"}, ("torch version", "2.13.0", "3.0")),
        ({"dtype": "float64"}, ("dtype", "float32", "float64")),
        ({"normalization": "fan-in"}, ("normalization", "none", "fan-in")),
        ({"optimizer": slower}, ("momentum", "0.9", "0.5")),
    ]:
        with pytest.raises(StoreUnlikeError) as refused:
            opened(kept, conditions=replace(CONDITIONS, **change))
        assert refused.value.differences == (difference,)
    assert kept.read_bytes() == before


def test_a_second_writer_is_refused(path):
    """While one writes nobody else does, and the error names who it is.

    A lock file that its process left behind when it was killed keeps nobody out, nor
    does one that was removed meanwhile: the next writer locks a new file.
    """
    path.parent.mkdir()
    lock = path.with_name("tiny.db.lock")
    lock.write_text("process 1")
    first = opened(path)
    lock.unlink()
    second = WriterLock(path)
    for taken in (opened, WriterLock):
        with pytest.raises(StoreLockedError) as refused:
            taken(path)
        assert refused.value.owner == f"process {os.getpid()}"
    second.release()
    first.close()
    opened(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["tiny.db"]


@pytest.mark.parametrize("link", ["symbolic", "hard", "none"])
def test_a_lock_never_writes_into_another_file(path, link):
    """A lock file that is a link, or somebody's own file, is refused and stays."""
    path.parent.mkdir()
    victim, lock = path.with_name("victim"), path.with_name("tiny.db.lock")
    # A second name of a file is refused although its text is that of a lock of ours.
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


def test_what_is_no_store_is_refused_and_stays(tmp_path, monkeypatch):
    """A newer store, a text, another program's database, a folder, a pipe, "."."""
    monkeypatch.chdir(tmp_path)
    names = ("n.db", "notes.txt", "f.db", "pipe", "empty.db", "none.db")
    newer, text, foreign, pipe, empty, none = (tmp_path / name for name in names)
    opened(newer).close()
    text.write_text("a study\n" * 500)
    empty.touch()
    os.mkfifo(pipe)
    for path, statements in {
        newer: ["PRAGMA user_version = 99"],
        # The journal is theirs to choose, and to keep.
        foreign: ["PRAGMA journal_mode = WAL", "CREATE TABLE mine (x)"],
    }.items():
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)
    files = {each: each.read_bytes() for each in (newer, text, foreign, empty)}
    uses = (opened, read_study)
    for path, what, attempts in [
        (newer, "schema version 99; this dwindle reads up to version 3", uses),
        (text, "a file that is no database", uses),
        (foreign, "an SQLite file of another program", uses),
        *((folder, "a folder", uses) for folder in (tmp_path, Path())),
        (pipe, "a device or a pipe", uses),
        # These may be written to: there is nothing, and nobody else's program.
        (empty, "an empty file", (read_study,)),
        (none, "no such file", (read_study,)),
    ]:
        for attempt in attempts:
            with pytest.raises(StoreFormatError) as refused:
                attempt(path)
            assert (refused.value.path, refused.value.found) == (str(path), what)
    assert {each: each.read_bytes() for each in files} == files
    assert {*tmp_path.iterdir()} == {*files, pipe}


def test_a_full_disk_keeps_what_was_committed(path):
    """No room: an error with the reason, earlier packs intact, the same pack later."""
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
        assert refused.value.exit_code == 3
        assert dict(read_study(path).rows) == dict(first)
        store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
        store.commit(second, seconds=0.1)
    assert dict(read_study(path).rows) == dict(first + second)


def test_an_error_gives_way_to_a_result(path):
    """What failed may be committed again; what succeeded may not, and all verifies."""
    some = trials()
    with opened(path) as store:
        store.plan(some)
        store.commit(trained(some[:3]), seconds=0.5)
        store.commit([(trial, FAILED) for trial in some[3:7]], seconds=0.0)
        store.commit(trained(some[7:]), seconds=0.5)
        store.commit(trained(some[4:6]), seconds=0.5)
        for again in (trained(some[4:5]), [*trained(some[3:4]), *trained(some[:1])]):
            with pytest.raises(RangeError) as refused:
                store.commit(again, seconds=0.5)
            assert refused.value.must == "not committed yet"
        assert store.outcome(some[3]) == FAILED
    with opened(path) as store:
        assert store.outcome(some[5]) == pretended_outcome(some[5])
    found = dict(read_study(path).rows)
    failed = {trial for trial, out in found.items() if out == FAILED}
    assert failed == {some[3], some[6]}
    assert len(found) == len(some)


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
    # Changed as a program that computes the hashes would.
    with closing(sqlite3.connect(kept)) as db, db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM study").fetchone())
        plain = json.loads(row[column])
        plain["optimizer"] |= change
        row[column] = text_from_plain(plain)
        packs = [pack["hash"] for pack in db.execute("SELECT hash FROM pack")]
        values = row[column], hash_of_study(row, sum_of_hashes(packs))
        db.execute(f"UPDATE study SET {column} = ?, hash = ?", values)  # noqa: S608
    with pytest.raises(StoreDamagedError) as refused:
        read_study(kept)
    assert refused.value.found != "the row of the study"


def test_each_failure_of_sqlite_and_of_the_system_has_its_error(tmp_path):
    """A code that is about the place is no damage, nor the other way round."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # An error of ours already passes.
    causes = {full: StoreAccessError, RangeError("loss", 1, "0"): RangeError}
    for code, kind in {
        sqlite3.SQLITE_FULL: StoreAccessError,
        sqlite3.SQLITE_IOERR_WRITE: StoreAccessError,
        sqlite3.SQLITE_READONLY: StoreAccessError,
        sqlite3.SQLITE_BUSY: StoreLockedError,
        sqlite3.SQLITE_NOTADB: StoreFormatError,
        sqlite3.SQLITE_CORRUPT: StoreDamagedError,
        sqlite3.SQLITE_ERROR: StoreDamagedError,
    }.items():
        error = sqlite3.OperationalError("as SQLite reports it")
        error.sqlite_errorcode = code
        causes[error] = kind

    def translated(cause, path):
        with connect.sqlite_errors_translated(path):
            raise cause

    for cause, kind in causes.items():
        with pytest.raises(kind) as raised:
            translated(cause, tmp_path / "s.db")
        assert type(raised.value) is kind
    with pytest.raises(StoreAccessError) as raised:
        translated(full, Path("/nowhere/at/all/s.db"))
    assert raised.value.free_bytes is None


def whole_of_old():
    """What the old stores hold, by their own recipe: 40 trainings, 2 of them bad.

    Each was written by dwindle at its schema: one diverged, one failed for good, and
    one failed that was trained again.
    """
    some = round_trials(SPEC, problem(SPEC.problem), lambda _: None, number=0)
    bad = {some[3]: DIVERGED, some[11]: FAILED}
    whole = {trial: pretended_outcome(trial) for trial in some}
    return whole | {t: replace(out, steps=t.scale.steps) for t, out in bad.items()}


@pytest.mark.parametrize("schema", [1, 2])
def test_a_store_of_an_older_schema_is_carried_on(path, schema):
    """Read as it is, then upgraded by the first study that goes on with it."""
    expected, before = whole_of_old(), DATA / f"store_schema_{schema}.db"
    path.parent.mkdir()
    shutil.copy(before, path)
    study = read_study(path)
    assert dict(study.rows) == expected
    facts = (study.spec, study.conditions, study.problem)
    assert facts == (SPEC, OLD_CONDITIONS, FACTS)
    assert (study.planned, study.complete) == (40, False)
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
    shutil.copy(DATA / "store_schema_1.db", path)
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("trial", "pack", "planned", "study"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608
    with pytest.raises(StoreDamagedError) as refused:
        read_study(path)
    assert "study" in refused.value.found
    with opened(path) as store:
        store.commit(trained(trials()[:1]), seconds=0.1)
    assert read_study(path).spec == SPEC


def test_a_store_in_a_read_only_place_is_read_and_not_written(kept, tmp_path):
    """Of either schema: a report needs no room; the error of a study has what it needs.

    In a folder that nobody may enter both are denied, with the error of the system.
    """
    shutil.copy(DATA / "store_schema_1.db", kept.with_name("old.db"))
    both = kept, kept.with_name("old.db")
    for file in both:
        file.chmod(0o444)
    kept.parent.chmod(0o555)
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    denied = [(opened, file) for file in both]
    denied += [(use, shut / "s.db") for use in (read_study, opened)]
    with modes_count():
        assert [len(read_study(file).rows) for file in both] == [len(trials()), 40]
        for use, file in denied:
            with pytest.raises(StoreAccessError) as refused:
                use(file)
            assert refused.value.reason == os.strerror(errno.EACCES)
    kept.parent.chmod(0o755)
