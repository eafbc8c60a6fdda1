"""Engines that only pretend to train, light enough for a worker process of a test."""

import math
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

from dwindle.errors import MissingFactError
from dwindle.store.records import Outcome
from dwindle.study import worker
from dwindle.study.worker import Engine

VERSION = "pretended"


def pretended_outcome(trial, best=1e-2):
    """A valley in log λ around the best decay, a little apart for each seed."""
    position = math.log(max(trial.weight_decay, 1e-7) / best)
    loss = 0.5 + 0.01 * position**2 + 0.003 * trial.seed + 0.1 / trial.scale.width
    return Outcome(
        status="ok",
        steps=trial.scale.steps,
        seconds=0.01,
        loss=loss,
        accuracy=1 - loss / 2,
        train_loss=loss / 3,
        sum_of_squares=7.0 + trial.seed,
        penalty=trial.weight_decay,
        layer_rms=(0.1, 0.2),
    )


def pretend(trials, seconds=0.0):
    """Give the outcomes of a pack after a while."""
    time.sleep(seconds)
    return [pretended_outcome(trial) for trial in trials]


def fail_on_seed_1(trials):
    """Fail as a program with a fault does."""
    if any(trial.seed == 1 for trial in trials):
        nothing = 0
        return [1 / nothing]
    return pretend(trials)


class OddError(Exception):
    """An exception that no pickle can hold."""

    def __init__(self):
        super().__init__("odd")
        self.lock = threading.Lock()


def raise_odd(_):
    raise OddError


def die_on_seed_1(trials, marks, times):
    """Die as a crashed or killed process does, this often in all."""
    here = Path(marks)
    dead = len(list(here.iterdir()))
    if dead < times and any(trial.seed == 1 for trial in trials):
        (here / str(dead)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return pretend(trials)


def die_at_start(marks, times):
    """Die while the engine is loaded, this often in all."""
    here = Path(marks)
    if len(list(here.iterdir())) < times:
        (here / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return version()


def watch(way, mark):
    """Live on with one of the two ties to the parent, and leave a mark with the pid."""
    tie = getattr(worker, way)
    if way == "_watch_parent":  # it blocks
        threading.Thread(target=tie, daemon=True).start()
    else:
        tie()
    Path(mark).write_text(str(os.getpid()))
    time.sleep(600)


def miss_data(_):
    """Raise as a problem does whose data are not there."""
    fact, needed_for, option = "the data", "a test", "--data"
    raise MissingFactError(fact, needed_for, option)


def version():
    return VERSION


def load(_):
    return None


PRETENDED = Engine(pretend, version, load)


def engine_of(train, **options):
    return Engine(partial(train, **options) if options else train, version, load)
