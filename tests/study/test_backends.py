"""Backends: the same outcomes wherever packs train and however a worker ends."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from study import tiny
from study.pretended import (
    PRETENDED,
    VERSION,
    die_at_start,
    die_on_seed_1,
    engine_of,
    fail_on_seed_1,
    miss_data,
    pretended_outcome,
    raise_odd,
)
from study.processes import Running, wait_until

from dwindle.errors import MissingFactError, MissingLibraryError, WorkerError
from dwindle.study import worker
from dwindle.study.backends import ATTEMPTS, Inline, Processes
from dwindle.study.plan import packs_from_trials, round_trials
from dwindle.study.problems import problem
from dwindle.study.worker import stacked_version


def works():
    """The packs of the tiny study, one for each seed of each cell."""
    digits = problem(tiny.SPEC.problem)
    trials = round_trials(tiny.SPEC, digits, lambda _: None, number=0)
    packs = packs_from_trials(trials, digits, lambda _: tiny.SPEC.points + 1)
    return [pack.trials for pack in packs]


def outcomes(backend, some):
    """What a backend makes of packs, by trial."""
    trained = list(backend.run(some))
    assert sorted(pack.index for pack in trained) == list(range(len(some)))
    return {
        trial: outcome
        for pack in trained
        for trial, outcome in zip(some[pack.index], pack.outcomes, strict=True)
    }


class BackendContract:
    """What a study relies on, whichever the backend."""

    def made(self, engine=PRETENDED):
        raise NotImplementedError

    def test_every_training_gets_its_own_outcome(self):
        """All packs come back, each outcome with the trial that it belongs to."""
        with closing(self.made()) as backend:
            found = outcomes(backend, works())
        assert found == {trial: pretended_outcome(trial) for trial in found}
        assert len(found) == sum(len(trials) for trials in works())

    def test_a_backend_serves_several_studies(self):
        """What was started for one study is there for the next."""
        with closing(self.made()) as backend:
            assert outcomes(backend, works()) == outcomes(backend, works())
            assert outcomes(backend, []) == {}
            assert backend.engine_version() == "pretended"

    def test_a_failing_pack_fails_alone(self):
        """A fault in training is an outcome with its text; other packs are unharmed."""
        with closing(self.made(engine_of(fail_on_seed_1))) as backend:
            found = outcomes(backend, works())
        for trial, outcome in found.items():
            assert outcome.status == ("error" if trial.seed == 1 else "ok")
            assert (outcome.loss is None) == (trial.seed == 1)
        errors = {outcome.error for outcome in found.values()} - {None}
        assert len(errors) == 1
        assert "ZeroDivisionError" in errors.pop()
        # What is raised crosses processes as a text: it may be what no pickle holds.
        with closing(self.made(engine_of(raise_odd))) as backend:
            found = outcomes(backend, works()[:1])
        assert {outcome.status for outcome in found.values()} == {"error"}

    def test_an_error_that_teaches_reaches_the_user(self):
        """Data that are not there are no outcome but an error with its remedy."""
        with (
            closing(self.made(engine_of(miss_data))) as backend,
            pytest.raises(MissingFactError) as raised,
        ):
            outcomes(backend, works())
        assert raised.value.fact == "the data"

    def test_leaving_early_abandons_the_rest(self):
        """Whoever stops listening gets the backend back, ready for other packs."""
        with closing(self.made()) as backend:
            with closing(backend.run(works())) as results:
                next(results)
            # Others: what was abandoned must not come out as theirs.
            found = outcomes(backend, works()[5:7])
        assert found == {trial: pretended_outcome(trial) for trial in found}
        assert len(found) == 2 * (tiny.SPEC.points + 1)


class TestInline(BackendContract):
    """The contract, in this process."""

    def made(self, engine=PRETENDED):
        return Inline(engine)


class TestProcesses(BackendContract):
    """The contract, in two worker processes."""

    def made(self, engine=PRETENDED):
        return Processes(2, engine=engine)

    def test_a_pack_whose_worker_dies_is_tried_again(self, tmp_path):
        """A worker that is lost costs one pack again, and no outcome."""
        engine = engine_of(die_on_seed_1, marks=str(tmp_path), times=2)
        with closing(self.made(engine)) as backend:
            found = outcomes(backend, works())
        assert len(list(tmp_path.iterdir())) == 2
        assert {outcome.status for outcome in found.values()} == {"ok"}

    def test_a_pack_that_always_kills_its_worker_is_given_up(self, tmp_path):
        """After three workers died on a pack it is an error; the rest is trained."""
        engine = engine_of(die_on_seed_1, marks=str(tmp_path), times=999)
        some = works()[:3]
        with closing(self.made(engine)) as backend:
            found = outcomes(backend, some)
        deadly = [trials for trials in some if trials[0].seed == 1]
        assert len(list(tmp_path.iterdir())) == ATTEMPTS * len(deadly) > 0
        for trial, outcome in found.items():
            assert outcome.status == ("error" if trial.seed == 1 else "ok")
        assert len({outcome.error for outcome in found.values()}) == 2

    def test_a_worker_that_died_idle_is_replaced(self):
        """A worker that is killed between two studies is nobody's attempt."""
        with closing(self.made()) as backend:
            first = outcomes(backend, works())
            for worker in backend._workers:
                os.kill(worker.process.pid, signal.SIGKILL)
            assert outcomes(backend, works()) == first

    def test_a_worker_that_dies_while_it_starts_is_replaced(self, tmp_path):
        """What kills a worker before it has loaded the engine costs only time."""
        version = partial(die_at_start, marks=str(tmp_path), times=2)
        with closing(self.made(replace(PRETENDED, version=version))) as backend:
            assert backend.engine_version() == "pretended"
            assert set(outcomes(backend, works()[:2])) == {
                trial for trials in works()[:2] for trial in trials
            }

    def test_workers_that_cannot_start_are_an_error(self, tmp_path):
        """Where every worker dies at once the study ends with what to do."""
        version = partial(die_at_start, marks=str(tmp_path), times=999)
        with (
            closing(self.made(replace(PRETENDED, version=version))) as backend,
            pytest.raises(WorkerError) as raised,
        ):
            backend.engine_version()
        assert raised.value.died == ATTEMPTS


# A parent that starts a child which only watches it, in the one way or the other.
PARENT = f"""
import sys, time
from multiprocessing import get_context
sys.path.append({str(Path(__file__).parents[1])!r})
from study.pretended import watch
get_context("spawn").Process(target=watch, args=sys.argv[1:]).start()
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["_die_with_parent", "_watch_parent"])
def test_each_tie_to_the_parent_is_enough(tmp_path, way):
    """Either the system or the watching thread alone ends an orphan."""
    mark = tmp_path / "pid"
    parent = Running.started(way, mark, code=PARENT)
    assert wait_until(lambda: mark.exists() and mark.read_text())
    assert int(mark.read_text()) in parent.pids()
    parent.kill(parent.process.pid)
    parent.ended()
    assert parent.left() == []


def report(pipe):
    worker.become_worker()
    pipe.send((os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT)))


@pytest.mark.parametrize(
    ("target", "more", "sent"),
    [
        (report, (), ("1", signal.SIG_IGN)),
        (worker.serve, (PRETENDED, tiny.SPEC.problem), VERSION),
    ],
)
def test_what_a_worker_is(target, more, sent):
    """It has one thread, leaves Ctrl-C to the driver, and loads its engine at once.

    Without a driver it ends.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *more))
    process.start()
    theirs.close()
    assert ours.recv() == sent
    ours.close()  # as a driver does that has gone
    process.join()
    assert process.exitcode == 0


def test_a_worker_needs_no_numpy_before_its_threads_are_set():
    """What a process imports to become a worker is light: no numpy, no pydantic."""
    code = "import sys, dwindle.study.worker; print(*{*sys.modules} & {*sys.argv})"
    command = [sys.executable, "-c", code, "numpy", "pydantic", "torch"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.split() == []


def test_the_error_of_a_missing_torch_has_the_line_to_install_it(monkeypatch):
    """Without torch the error is the line to type; a fault of ours stays a fault."""
    monkeypatch.delitem(sys.modules, "dwindle.study.engine", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingLibraryError) as refused:
        stacked_version()
    assert refused.value.extra == "study"
