"""Where packs train: in this process, in several others, or on a Ray cluster."""

import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from threading import current_thread, main_thread
from typing import Any, Protocol, Self, TypeVar, cast

from dwindle.errors import DwindleError, WorkerError
from dwindle.study.cluster import Cluster, PlaceLostError
from dwindle.study.machine import cores
from dwindle.study.worker import (
    OF_TERMINALS,
    STACKED,
    Engine,
    Trained,
    Trials,
    failed,
    serve,
    train_timed,
)

# One death may be bad luck (the system was out of memory); three are the pack's fault,
# or at a start the engine's.
ATTEMPTS = 3
_DIED = f"its worker died {ATTEMPTS} times while it trained (killed or crashed)"
Place = TypeVar("Place")
# spawn: a fork of a process that has threads may never wake up.
_CONTEXT = get_context("spawn")


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

    def run(self, packs: Sequence[Trials]) -> Generator[Trained, None, None]:
        """Train all packs; yield each as it is done, in no set order."""

    def close(self) -> None:
        """Give everything back; nothing is left running."""


def _all_tried(
    packs: Sequence[Trials],
    at_once: int,
    start: Callable[[int, Trials], Place],
    ended: Callable[[Sequence[Place]], Iterable[tuple[Place, Trained | str]]],
    abandon: Callable[[Place], object],
) -> Generator[Trained, None, None]:
    """Train packs at places that may die: each is tried again, three times in all.

    Args:
        packs: What to train, in this order.
        at_once: How many at a time.
        start: Starts a pack somewhere, and returns the place.
        ended: Waits; yields places that have ended, each with its pack or why it died.
        abandon: Ends what a place is training.

    """
    waiting, deaths = deque(range(len(packs))), [0] * len(packs)
    busy: dict[Place, int] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < at_once:
                index = waiting.popleft()
                busy[start(index, packs[index])] = index
            for place, found in ended(list(busy)):
                index = busy.pop(place)
                if isinstance(found, Trained):
                    yield found
                    continue
                # What it had trained of the pack is lost: trainings are short.
                deaths[index] += 1
                if deaths[index] < ATTEMPTS:
                    waiting.appendleft(index)
                    continue
                outcomes = failed(packs[index], found)
                yield Trained(index=index, outcomes=outcomes, seconds=0.0)
    finally:
        # An answer that nobody reads would be taken for that of the next pack.
        for place in busy:
            abandon(place)


class Inline:
    """Trains one pack after the other in this process: simple, and easy to debug."""

    workers = 1

    def __init__(self, engine: Engine = STACKED) -> None:
        self._engine = engine

    def engine_version(self) -> str:
        """Return the version of the engine, loading it."""
        return self._engine.version()

    def run(self, packs: Sequence[Trials]) -> Generator[Trained, None, None]:
        """Train all packs in the order given."""
        for index, trials in enumerate(packs):
            yield train_timed(self._engine, index, trials)

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class Processes:
    """Trains a pack per worker process at a time; owns the workers.

    Workers start at once and stay for several studies. Each has its own pipe, so that
    the death of one shows which pack it was training: that pack is tried again.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        problem: str | None = None,
        engine: Engine = STACKED,
    ) -> None:
        """Start the workers, as many as there are cores where no number is given.

        They load the data of ``problem`` at once, while there is nothing to train. The
        functions of the engine are importable by name.
        """
        self.workers = workers or cores()
        self._workers: list[_PackWorker] = []
        try:
            for _ in range(self.workers):
                self._workers.append(_PackWorker(engine, problem))
        except BaseException:
            self.close()
            raise

    def engine_version(self) -> str:
        """Return the version of the engine, as soon as a worker has loaded it."""
        return self._workers[0].engine_version()

    def run(self, packs: Sequence[Trials]) -> Generator[Trained, None, None]:
        """Train all packs, starting them in the order given."""
        idle = deque(self._workers)

        def start(index: int, trials: Trials) -> _PackWorker:
            worker = idle.popleft()
            worker.give(index, trials)
            return worker

        def ended(
            busy: Sequence[_PackWorker],
        ) -> Iterator[tuple[_PackWorker, Trained | str]]:
            workers = {worker.pipe: worker for worker in busy}
            for pipe in wait(list(workers)):
                worker = workers[cast("Connection", pipe)]
                received = worker.receive()
                if not isinstance(received, str):  # its engine's version comes first
                    idle.append(worker)
                    yield worker, received or _DIED

        yield from _all_tried(packs, self.workers, start, ended, _PackWorker.close)

    def close(self) -> None:
        """End the workers and wait until they are gone."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _PackWorker:
    """A process that trains; owns it, its pipe, and starts another when it has died."""

    def __init__(self, engine: Engine, problem: str | None) -> None:
        self._serves = engine, problem
        self._version: str | None = None
        self._start()

    def _start(self) -> None:
        self._version = None
        self.pipe, theirs = _CONTEXT.Pipe()
        arguments = (theirs, *self._serves)
        self.process = _CONTEXT.Process(target=serve, args=arguments, daemon=True)
        # Python starts a helper before the first process, and unblocks Ctrl-C then.
        with _without_interrupts():
            if sys.platform != "win32":
                resource_tracker.ensure_running()
        with _without_interrupts():
            self.process.start()
        # The process alone holds it now: when it dies, our end is closed.
        theirs.close()

    def engine_version(self) -> str:
        """Wait until a process has loaded the engine, and return its version."""
        for _ in range(ATTEMPTS):
            if self._version is None:
                self.receive()
            if self._version is not None:
                return self._version
            self._start()
        raise WorkerError(ATTEMPTS)

    def give(self, index: int, trials: Trials) -> None:
        """Let the process train a pack, or another one if it has died idle."""
        # It may die between the check and the sending: then the pipe is broken.
        with suppress(OSError):
            if self.process.is_alive():
                self.pipe.send((index, trials))
                return
        self.close()
        self._start()
        self.pipe.send((index, trials))

    def receive(self) -> str | Trained | None:
        """Return the engine's version or a pack, None if the process has died.

        An error that keeps packs from being trained is raised.
        """
        try:
            received: str | Trained | DwindleError = self.pipe.recv()
        except (EOFError, OSError):
            self.close()
            return None
        if isinstance(received, DwindleError):
            raise received
        if isinstance(received, str):
            self._version = received
        return received

    def close(self) -> None:
        """End the process at once, also within a pack: it has nothing to save."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def _without_interrupts() -> Generator[None, None, None]:
    """Keep signals from a process while it is started: it inherits what is blocked."""
    # Those of a terminal go to the whole group: a worker that does not ignore them yet
    # would print a traceback of its imports, and so would one whose start this process
    # breaks off. They come as soon as this ends.
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


class RayPacks:
    """Trains packs on a cluster, as many at a time as it has room for."""

    def __init__(self, cluster: Cluster, engine: Engine = STACKED) -> None:
        self.workers = cluster.at_once
        self._cluster = cluster
        self._engine = engine

    def engine_version(self) -> str:
        """Return the version of the engine on some node."""
        for _ in range(ATTEMPTS):
            try:
                call = self._cluster.start(self._engine.version)
                return str(self._cluster.result(call))
            except PlaceLostError:
                continue
        raise WorkerError(ATTEMPTS)

    def run(self, packs: Sequence[Trials]) -> Generator[Trained, None, None]:
        """Train all packs, starting them in the order given."""
        cluster = self._cluster

        def start(index: int, trials: Trials) -> Any:  # Ray's handle of a call
            return cluster.start(train_timed, self._engine, index, trials)

        def ended(busy: Sequence[Any]) -> Iterator[tuple[Any, Trained | str]]:
            call = cluster.first(busy)
            try:
                found = cluster.result(call)
            except PlaceLostError as error:
                found = f"its place was lost {ATTEMPTS} times ({error})"
            yield call, found

        yield from _all_tried(packs, self.workers, start, ended, cluster.cancel)

    def close(self) -> None:
        """Do nothing: the cluster is its owner's."""
