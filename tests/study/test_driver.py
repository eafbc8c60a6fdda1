"""The driver: a study is trained once, carried on after anything, and told truly."""

import os
import signal
import threading
from dataclasses import replace

import pytest
from study import pretended, tiny

from dwindle.errors import (
    RangeError,
    StoreAccessError,
    StoreUnlikeError,
    StudyStoppedError,
    UnknownNameError,
)
from dwindle.store.spec import AxisSpec
from dwindle.store.store import Store, read_study
from dwindle.study.backends import Inline
from dwindle.study.cost import pack_bytes
from dwindle.study.driver import first_packs, run_study
from dwindle.study.problems import problem

# Room for three of the widest models: small packs, so that there is much to stop in.
WIDEST = replace(tiny.BASE, width=16)
ASKED = problem(tiny.SPEC.problem)
ROOM = pack_bytes(WIDEST, ASKED, tiny.SPEC.optimizer, models=3)
ALL = 4 * (tiny.SPEC.points + 1) * tiny.SPEC.seeds  # cells · decays · seeds


def recording(path):
    """An engine that notes each trial it trains in a file, and the trials noted."""

    def train(trials):
        with path.open("a") as file:
            file.writelines(f"{hash(trial)}\n" for trial in trials)
        return pretended.pretend(trials)

    return Inline(pretended.engine_of(train))


def noted(path):
    return path.read_text().split() if path.exists() else []


@pytest.fixture
def store(tmp_path):
    return tmp_path / "tiny.db"


def run(store, backend=None, spec=tiny.SPEC, told=None, memory_bytes=None):
    run_study(spec, store, backend or Inline(pretended.PRETENDED), told, memory_bytes)


def test_a_study_is_trained_once(tmp_path, store):
    """The same study again trains nothing and changes no byte, nor any signal."""
    backend = recording(tmp_path / "notes")
    signals = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    run(store, backend)
    assert signals == [
        signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)
    ]
    before = store.read_bytes()
    run(store, backend)
    assert len(noted(tmp_path / "notes")) == len(set(noted(tmp_path / "notes"))) == ALL
    assert store.read_bytes() == before
    study = read_study(store)
    assert (len(study.rows), study.planned, study.complete) == (ALL, ALL, True)
    # A dry run shows exactly these trainings.
    packs = first_packs(tiny.SPEC, workers=1)
    planned = {trial for pack in packs for trial in pack.trials}
    assert planned == {trial for trial, _ in study.rows}


def stop_after(count):
    """A listener that presses Ctrl-C after some packs."""
    calls = []

    def told(progress):
        calls.append(progress)
        if progress.trained >= count:
            os.kill(os.getpid(), signal.SIGINT)

    return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_finished(tmp_path, store, number):
    """Interrupted, a study says what it has; the same command trains the rest."""
    backend = recording(tmp_path / "notes")

    def told(progress):
        if 0 < progress.trained < progress.planned:
            os.kill(os.getpid(), number)

    with pytest.raises(StudyStoppedError) as stopped:
        run(store, backend, told=told, memory_bytes=ROOM)
    assert 0 < stopped.value.trained < stopped.value.planned == ALL
    assert stopped.value.exit_code == 130
    part = read_study(store)
    assert (len(part.rows), part.complete) == (stopped.value.trained, False)
    run(store, backend, memory_bytes=ROOM)
    whole = read_study(store)
    assert len(noted(tmp_path / "notes")) == ALL
    assert set(part.rows) < set(whole.rows)
    assert whole.complete


def test_a_second_ctrl_c_ends_at_once(store, monkeypatch):
    """Whoever presses Ctrl-C twice does not wait for anything to be put in order."""
    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)

    def told(progress):
        if progress.trained:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                os.kill(os.getpid(), signal.SIGINT)
                raise

    with pytest.raises(StudyStoppedError) as stopped:
        run(store, told=told)
    assert stopped.value.store == str(store)
    assert ends == [130]


def test_a_study_may_run_in_a_thread(store):
    """Off the main thread, where signals cannot be caught, a study is the same."""
    thread = threading.Thread(target=run, args=(store,))
    thread.start()
    thread.join()
    assert read_study(store).complete


def test_an_edge_is_extended_and_resumed(tmp_path, store):
    """Rounds of extension come out the same when the study was interrupted in them."""

    def train(trials):
        return [pretended.pretended_outcome(trial, best=1e3) for trial in trials]

    engine = pretended.engine_of(train)
    run(store, Inline(engine))
    whole = read_study(store)
    decays = {trial.weight_decay for trial, _ in whole.rows}
    assert max(decays) == pytest.approx(4.0, rel=1e-11)  # a decade more, twice
    assert whole.planned == len(whole.rows) == ALL * 11 // 5
    again = tmp_path / "again.db"
    with pytest.raises(StudyStoppedError) as stopped:
        run(again, Inline(engine), told=stop_after(ALL + 1))
    assert ALL < stopped.value.trained == len(read_study(again).rows) < whole.planned
    run(again, Inline(engine))
    assert read_study(again).rows == whole.rows


def test_more_seeds_train_only_the_new_ones(tmp_path, store):
    """A grown study keeps every training that it still asks for."""
    backend = recording(tmp_path / "notes")
    run(store, backend)
    run(store, backend, tiny.changed(seeds=3))
    assert len(noted(tmp_path / "notes")) == ALL * 3 // 2
    assert len(set(noted(tmp_path / "notes"))) == ALL * 3 // 2


def test_progress_counts_what_there_is(store):
    """Listeners hear a rising count, what failed, and the end."""
    heard = []
    backend = Inline(pretended.engine_of(pretended.fail_on_seed_1))
    run(store, backend, told=heard.append, memory_bytes=ROOM)
    counts = [progress.trained for progress in heard]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, ALL)
    assert heard[-1].errors == sum(
        outcome.status == "error" for _, outcome in read_study(store).rows
    )
    assert heard[0].seconds_left() is None
    assert heard[-1].estimate.share_done == pytest.approx(1, rel=1e-9)  # rounding
    assert heard[-1].seconds_left() == pytest.approx(0, abs=1e-9)  # rounding


def test_a_memory_ceiling_makes_small_packs():
    """Half the memory, or twice the workers, makes smaller packs."""

    def largest(memory_bytes, workers):
        spec = tiny.changed(points=13)
        packs = first_packs(spec, workers=workers, memory_bytes=memory_bytes)
        return max(len(pack.trials) for pack in packs if pack.scale == WIDEST)

    assert largest(10**9, 1) > largest(2 * ROOM, 1) > largest(ROOM, 1) >= 1
    assert largest(2 * ROOM, 2) == largest(ROOM, 1)


def test_what_cannot_be_trained_is_refused_first(store):
    """Unknown problems, data that are not there, no memory: nothing is written."""
    large = AxisSpec(axis="dataset_size", values=(64, 5000))
    impossible = tiny.changed(axes=(large,))
    with pytest.raises(UnknownNameError) as unknown:
        run(store, spec=tiny.changed(problem="digit-mlp"))
    assert unknown.value.nearest[0] == "digits-mlp"
    for use in (
        lambda: run(store, spec=impossible),
        lambda: first_packs(impossible, workers=1),
    ):
        with pytest.raises(RangeError) as refused:
            use()
        assert (refused.value.name, refused.value.value) == ("dataset_size", 5000)
    assert not store.exists()
    with pytest.raises(RangeError) as refused:
        run(store, memory_bytes=1000)
    assert refused.value.value == "1,000 bytes"


def test_a_store_of_another_engine_is_refused(store):
    """Results of another engine version are not mixed with new ones."""
    run(store)
    newer = replace(pretended.PRETENDED, version=lambda: "newer")
    with pytest.raises(StoreUnlikeError) as refused:
        run(store, Inline(newer))
    assert refused.value.differences == (("engine version", "pretended", "newer"),)


def test_a_full_disk_stops_with_results_intact(store, monkeypatch):
    """No room in the middle of a study: an error, earlier packs kept, carried on."""
    opened = Store.commit
    commits = []

    def commit(self, trainings, *, seconds):
        commits.append(1)
        if len(commits) > 2:
            # SQLite's own limit fails exactly as a full disk does: SQLITE_FULL.
            self._db.execute("PRAGMA max_page_count = 1")
        opened(self, trainings, seconds=seconds)

    monkeypatch.setattr(Store, "commit", commit)
    with pytest.raises(StoreAccessError) as full:
        run(store, memory_bytes=ROOM)
    assert full.value.exit_code == 3
    assert full.value.path == str(store)
    kept = read_study(store).rows
    assert 0 < len(kept) < ALL
    monkeypatch.undo()
    run(store, memory_bytes=ROOM)
    whole = read_study(store)
    assert set(kept) < set(whole.rows)
    assert whole.complete
