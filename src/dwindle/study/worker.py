"""What a worker process does, and how it lives: never longer than its parent."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from dwindle.errors import DwindleError, MissingLibraryError
from dwindle.store.records import Outcome, Trial

_PR_SET_PDEATHSIG = 1  # from Linux's <linux/prctl.h>

# Ctrl-C, and a terminal that is closed (Windows has no such signal), reach the whole
# group; what to do then is the driver's.
OF_TERMINALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
)


Trials = tuple[Trial, ...]  # of a pack


@dataclass(frozen=True)
class Engine:
    """What trains packs: three functions that a worker can import by name.

    ``version`` loads everything that training needs and returns the engine's version,
    which is part of the key of every training. ``load`` fetches the data of a named
    problem.
    """

    train: Callable[[Trials], Sequence[Outcome]]
    version: Callable[[], str]
    load: Callable[[str], object]


def train_with_engine(trials: Trials) -> Sequence[Outcome]:
    """Train a pack with the stacked engine, on the problem that its trials name."""
    from dwindle.study.engine import train_pack
    from dwindle.study.problems import problem

    return train_pack(trials, problem=problem(trials[0].problem))


def stacked_version() -> str:
    """Load the stacked engine and return its version; raise if torch is missing."""
    try:
        from dwindle.study.engine import engine_version
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingLibraryError("PyTorch", "A study", "study") from error
    return engine_version()


def load_problem(name: str) -> None:
    """Read the data of a problem, which the engine then finds at hand."""
    from dwindle.study.problems import load_once, problem

    load_once(problem(name))


STACKED = Engine(train_with_engine, stacked_version, load_problem)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came out of the pack at ``index``, and the seconds that it took."""

    index: int
    outcomes: tuple[Outcome, ...]
    seconds: float


def train_timed(engine: Engine, index: int, trials: Trials) -> Trained:
    """Train a pack; a failure becomes the outcome of each of its trials."""
    start = time.perf_counter()
    try:
        # Reading data, once per process, is no part of what a pack takes.
        engine.load(trials[0].problem)
        start = time.perf_counter()
        outcomes = tuple(engine.train(trials))
    except DwindleError:
        raise
    except Exception as error:  # noqa: BLE001, it is reported as a status
        where = traceback.format_exception(error)[-2].strip().splitlines()[0]
        outcomes = failed(trials, f"{type(error).__name__}: {error} ({where.strip()})")
    seconds = time.perf_counter() - start
    return Trained(index=index, outcomes=outcomes, seconds=seconds)


def failed(trials: Trials, text: str) -> tuple[Outcome, ...]:
    """Return the outcomes of a pack that could not be trained."""
    return tuple(
        Outcome(status="error", steps=trial.scale.steps, seconds=0.0, error=text)
        for trial in trials
    )


def serve(pipe: Connection, engine: Engine, problem: str | None) -> None:
    """Live as a worker: send the engine's version, then train what comes.

    What training needs is loaded at once, so that the first pack need not.
    """
    become_worker()
    # An error that explains itself goes to the driver; of any other this process dies.
    try:
        pipe.send(engine.version())
        if problem is not None:
            engine.load(problem)
    except DwindleError as error:
        pipe.send(error)
    while True:
        try:
            index, trials = pipe.recv()
        except (EOFError, OSError):  # the driver has closed its end
            return
        try:
            pipe.send(train_timed(engine, index, trials))
        except DwindleError as error:
            pipe.send(error)


def become_worker() -> None:
    """Set this process up as a worker, before anything heavy is imported."""
    # One thread per worker: as many packs train as there are cores. Read by the
    # numerical libraries when they load.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)
    _die_with_parent()
    threading.Thread(target=_watch_parent, name="watch-parent", daemon=True).start()


def _die_with_parent() -> None:
    """Have Linux kill this process when its parent ends, also by kill -9."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_parent() -> None:
    """End this process when its parent has; also before the request above was made."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
