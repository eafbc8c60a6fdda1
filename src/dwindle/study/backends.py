"""Where packs train: in this process, or one at a time in each of several others."""

import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from threading import current_thread, main_thread
from typing import Protocol, Self

from dwindle.errors import DwindleError, WorkerError
from dwindle.store.records import Outcome
from dwindle.study.machine import cores
from dwindle.study.worker import (
    OF_TERMINALS,
    STACKED,
    Engine,
    Work,
    become_worker,
    warm_up,
)

# A pack that its worker did not survive this often is given up.
ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came out of the pack at ``index``, and the seconds that it took."""

    index: int
    outcomes: tuple[Outcome, ...]
    seconds: float


class Backend(Protocol):
    """Trains packs; what comes out does not depend on which backend it was.

    A training that fails is an outcome with status ``error``; an error of ours (data
    that is not there) is raised. Leaving the iterator early abandons what is running.
    """

    @property
    def workers(self) -> int:
        """How many packs train at a time."""

    def engine_version(self) -> str:
        """Return the version of the engine that trains here."""

    def run(self, works: Sequence[Work]) -> Generator[Trained, None, None]:
        """Train all packs; yield each as it is done, in no set order."""

    def close(self) -> None:
        """Give everything back; nothing is left running."""


class Inline:
    """Trains one pack after the other in this process: simple, and easy to debug."""

    workers = 1

    def __init__(self, engine: Engine = STACKED) -> None:
        self._engine = engine

    def engine_version(self) -> str:
        """Return the version of the engine, loading it."""
        return self._engine.version()

    def run(self, works: Sequence[Work]) -> Generator[Trained, None, None]:
        """Train all packs in the order given."""
        for index, work in enumerate(works):
            yield _timed(self._engine, work, index)

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class Processes:
    """Trains a pack per worker process at a time; owns the workers.

    Workers start at once and stay for several studies. Each has a pool of its own, so
    that the death of one says which pack it was training: that pack is tried again.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        problem: str | None = None,
        engine: Engine = STACKED,
    ) -> None:
        """Start the workers.

        Args:
            workers: How many; as many as there are cores when None.
            problem: Whose data workers load while nobody needs them yet.
            engine: What trains; its functions are importable by name.

        """
        self.workers = workers or cores()
        self._engine = engine
        self._slots: list[_Slot] = []
        try:
            for _ in range(self.workers):
                self._slots.append(_Slot(engine, problem))
        except BaseException:
            self.close()
            raise

    def engine_version(self) -> str:
        """Return the version of the engine, as soon as a worker has loaded it."""
        return self._slots[0].engine_version()

    def run(self, works: Sequence[Work]) -> Generator[Trained, None, None]:
        """Train all packs, starting them in the order given."""
        waiting = deque(_Attempt(index, work) for index, work in enumerate(works))
        running: dict[Future[Trained], tuple[_Slot, _Attempt]] = {}
        try:
            while waiting or running:
                busy = {slot for slot, _ in running.values()}
                for slot in [slot for slot in self._slots if slot not in busy]:
                    if waiting:
                        attempt = waiting.popleft()
                        future = slot.submit(attempt)
                        running[future] = (slot, attempt)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    slot, attempt = running.pop(future)
                    trained = _result(future, slot, attempt)
                    if trained is None:
                        waiting.appendleft(attempt.again())
                    else:
                        yield trained
        finally:
            for slot, _ in running.values():
                slot.close()

    def close(self) -> None:
        """End the workers and wait until they are gone."""
        for slot in self._slots:
            slot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Attempt:
    index: int
    work: Work
    number: int = 1

    def again(self) -> "_Attempt":
        return _Attempt(self.index, self.work, self.number + 1)


class _Slot:
    """A pool of one worker; owns it and starts another when it has died."""

    def __init__(self, engine: Engine, problem: str | None) -> None:
        self._engine = engine
        self._problem = problem
        self._start()

    def engine_version(self) -> str:
        for _ in range(ATTEMPTS):
            try:
                return self._ready.result().engine_version
            except BrokenProcessPool:
                self.restart()
        raise WorkerError(ATTEMPTS)

    def submit(self, attempt: _Attempt) -> "Future[Trained]":
        try:
            return self._submitted(attempt)
        except (BrokenProcessPool, RuntimeError):
            # It died while it had nothing to do, or was ended: nobody's attempt.
            self.restart()
            return self._submitted(attempt)

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        """End the worker at once, whatever it does: it has nothing to save."""
        for process in self._processes:
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        self._processes: list[BaseProcess] = []
        with _without_interrupts():
            # spawn: a fork of a process that has threads may never wake up.
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=become_worker
            )
        try:
            # Again: the first pool of a process starts a helper, after which Python
            # unblocks Ctrl-C.
            with _without_interrupts():
                before = active_children()
                self._ready = self._pool.submit(warm_up, self._engine)
                # The pool tells nobody which process is its own.
                self._processes += [at for at in active_children() if at not in before]
        except BaseException:
            self.close()
            raise
        if self._problem is not None:
            self._pool.submit(self._engine.load, self._problem)

    def _submitted(self, attempt: _Attempt) -> "Future[Trained]":
        work, index = attempt.work, attempt.index
        return self._pool.submit(_timed, self._engine, work, index)


@contextmanager
def _without_interrupts() -> Generator[None, None, None]:
    """Keep signals from a process while it is started: it inherits what is blocked.

    Those of a terminal go to the whole group: a worker that does not ignore them yet
    would print a traceback of its imports, and so would one whose start this process
    breaks off. They come as soon as this ends.
    """
    if sys.platform == "win32" or current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    # Blocking is not enough here: another thread of ours may take a signal, and its
    # handler then runs in this one.
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in OF_TERMINALS
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in came:
            signal.raise_signal(number)


def _timed(engine: Engine, work: Work, index: int) -> Trained:
    """Train a pack; a failure becomes the outcome of each of its trials."""
    start = time.perf_counter()
    try:
        # Reading data, once per process, is no part of what a pack takes.
        engine.load(work.trials[0].problem)
        start = time.perf_counter()
        outcomes = tuple(engine.train(work))
    except DwindleError:
        raise
    except Exception as error:  # noqa: BLE001, whatever it is, it is told as a status
        where = traceback.format_exception(error)[-2].strip().splitlines()[0]
        outcomes = _failed(work, f"{type(error).__name__}: {error} ({where.strip()})")
    seconds = time.perf_counter() - start
    return Trained(index=index, outcomes=outcomes, seconds=seconds)


def _failed(work: Work, text: str) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(status="error", steps=trial.scale.steps, seconds=0.0, error=text)
        for trial in work.trials
    )


def _result(
    future: "Future[Trained]", slot: _Slot, attempt: _Attempt
) -> Trained | None:
    """Return what came out, or None if the pack is to be tried again."""
    try:
        return future.result()
    except BrokenProcessPool:
        slot.close()
    if attempt.number < ATTEMPTS:
        return None
    text = f"its worker died {ATTEMPTS} times while it trained (killed or crashed)"
    outcomes = _failed(attempt.work, text)
    return Trained(index=attempt.index, outcomes=outcomes, seconds=0.0)
