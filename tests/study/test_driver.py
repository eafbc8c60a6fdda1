"""The driver: a study is trained once, resumes after any stop, and reports progress."""

import os
import signal
import threading
from dataclasses import replace

import pytest
from study import pretended, tiny
from study.tiny import ROOM, WIDEST

from dwindle.errors import (
    RangeError,
    StoreUnlikeError,
    StudyStoppedError,
)
from dwindle.store.spec import AxisSpec
from dwindle.store.store import read_study
from dwindle.study.backends import Inline
from dwindle.study.driver import first_packs, run_study

ALL = 4 * (tiny.SPEC.points + 1) * tiny.SPEC.seeds  # cells · decays · seeds


@pytest.fixture
def noted():
    """The trials that were trained by the backend ``recording``."""
    return []


@pytest.fixture
def recording(noted):
    def train(trials):
        noted.extend(trials)
        return pretended.pretend(trials)

    return Inline(pretended.engine_of(train))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "tiny.db"


def run(store, backend=None, spec=tiny.SPEC, on_progress=None, memory_bytes=None):
    backend = backend or Inline(pretended.PRETENDED)
    run_study(spec, store, backend, on_progress, memory_bytes)


def test_a_study_is_trained_once(store, recording, noted):
    """The same study again trains nothing and changes no byte, nor any signal."""
    handled = (signal.SIGINT, signal.SIGTERM)
    signals = [signal.getsignal(each) for each in handled]
    run(store, recording)
    assert signals == [signal.getsignal(each) for each in handled]
    before = store.read_bytes()
    run(store, recording)
    assert len(noted) == len(set(noted)) == ALL
    assert store.read_bytes() == before
    study = read_study(store)
    assert (len(study.rows), study.planned, study.complete) == (ALL, ALL, True)
    # A dry run shows exactly these trainings.
    packs = first_packs(tiny.SPEC, workers=1)
    planned = {trial for pack in packs for trial in pack.trials}
    assert planned == {trial for trial, _ in study.rows}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_finished(store, recording, noted, number):
    """Interrupted, a study reports what it has; the same command trains the rest."""

    def interrupt(progress):
        if 0 < progress.trained < progress.planned:
            os.kill(os.getpid(), number)

    with pytest.raises(StudyStoppedError) as stopped:
        run(store, recording, on_progress=interrupt, memory_bytes=ROOM)
    assert 0 < stopped.value.trained < stopped.value.planned == ALL
    assert stopped.value.exit_code == 130
    part = read_study(store)
    assert (len(part.rows), part.complete) == (stopped.value.trained, False)
    run(store, recording, memory_bytes=ROOM)
    whole = read_study(store)
    assert len(noted) == ALL
    assert set(part.rows) < set(whole.rows)
    assert whole.complete


def test_a_second_ctrl_c_ends_at_once(store, monkeypatch):
    """After a second Ctrl-C nothing is put in order first."""
    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)

    def interrupt(progress):
        if progress.trained:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                os.kill(os.getpid(), signal.SIGINT)
                raise

    with pytest.raises(StudyStoppedError) as stopped:
        run(store, on_progress=interrupt)
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

    def interrupt(progress):
        if progress.trained > ALL:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StudyStoppedError) as stopped:
        run(again, Inline(engine), on_progress=interrupt)
    assert ALL < stopped.value.trained == len(read_study(again).rows) < whole.planned
    run(again, Inline(engine))
    assert read_study(again).rows == whole.rows


def test_more_seeds_train_only_the_new_ones(store, recording, noted):
    """A grown study keeps every training that it still needs."""
    run(store, recording)
    run(store, recording, tiny.changed(seeds=3))
    assert len(noted) == len(set(noted)) == ALL * 3 // 2


def test_progress_counts_what_there_is(store):
    """Listeners hear a rising count, what failed, and the end."""
    heard = []
    backend = Inline(pretended.engine_of(pretended.fail_on_seed_1))
    run(store, backend, on_progress=heard.append, memory_bytes=ROOM)
    counts = [progress.trained for progress in heard]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, ALL)
    study = read_study(store)
    failed = sum(outcome.status == "error" for _, outcome in study.rows)
    assert (heard[-1].errors, study.complete) == (failed, False)
    assert heard[0].seconds_left() is None
    assert heard[-1].estimate.share_done == pytest.approx(1, rel=1e-9)  # rounding
    assert heard[-1].seconds_left() == pytest.approx(0, abs=1e-9)  # rounding
    # The same command trains what failed again.
    run(store)
    study = read_study(store)
    assert study.complete
    assert {outcome.status for _, outcome in study.rows} == {"ok"}


def test_a_memory_ceiling_makes_small_packs():
    """Half the memory, or twice the workers, makes smaller packs."""

    def largest(memory_bytes, workers):
        spec = tiny.changed(points=13)
        packs = first_packs(spec, workers=workers, memory_bytes=memory_bytes)
        return max(len(pack.trials) for pack in packs if pack.scale == WIDEST)

    assert largest(10**9, 1) > largest(2 * ROOM, 1) > largest(ROOM, 1) >= 1
    assert largest(2 * ROOM, 2) == largest(ROOM, 1)


def test_what_cannot_be_trained_is_refused_first(store):
    """Data that are not there and no memory: nothing is written."""
    large = AxisSpec(axis="dataset_size", values=(64, 5000))
    impossible = tiny.changed(axes=(large,))
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
