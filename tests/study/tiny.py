"""A study small enough for a test, and engines that only pretend to train."""

import math
import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from dwindle.errors import MissingFactError
from dwindle.store.records import Conditions, Optimizer, Outcome, Scale
from dwindle.store.spec import AxisSpec, ProblemFacts, StudySpec
from dwindle.study.worker import Engine

BASE = Scale(width=8, depth=1, batch_size=32, dataset_size=64, epochs=2, lr=0.1)
SPEC = StudySpec(
    name="tiny",
    problem="digits-mlp",
    seeds=2,
    optimizer=Optimizer(name="sgd", momentum=0.9),
    base=BASE,
    axes=(
        AxisSpec(axis="width", values=(4, 8, 16)),
        AxisSpec(axis="batch_size", values=(16, 32)),
    ),
    # A third of a decade apart, the best one inside: nothing is added to the grid.
    low=4e-3,
    high=4e-2,
    points=4,
)
CONDITIONS = Conditions(
    engine_version="pretended",
    torch_version="2.13.0",
    dtype="float32",
    device_type="cpu",
    problem=SPEC.problem,
    optimizer=SPEC.optimizer,
    normalization=SPEC.normalization,
)
FACTS = ProblemFacts(inputs=64, classes=10, hidden=True)


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


def pretend(work, seconds=0.0):
    """Give the outcomes of a pack after a while."""
    time.sleep(seconds)
    return [pretended_outcome(trial) for trial in work.trials]


def fail_on_seed_1(work):
    """Fail as a program with a fault does."""
    if any(trial.seed == 1 for trial in work.trials):
        nothing = 0
        return [1 / nothing]
    return pretend(work)


class OddError(Exception):
    """An exception that no pickle can hold."""

    def __init__(self):
        super().__init__("odd")
        self.lock = threading.Lock()


def raise_odd(_):
    raise OddError


def die_on_seed_1(work, marks, times):
    """Die as a crashed or killed process does, this often in all."""
    here = Path(marks)
    dead = len(list(here.iterdir()))
    if dead < times and any(trial.seed == 1 for trial in work.trials):
        (here / str(dead)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return pretend(work)


def die_at_start(marks, times):
    """Die while the engine is loaded, this often in all."""
    here = Path(marks)
    if len(list(here.iterdir())) < times:
        (here / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return version()


def miss_data(_):
    """Raise as a problem does whose data are not there."""
    fact, needed_for, option = "the data", "a test", "--data"
    raise MissingFactError(fact, needed_for, option)


def version():
    return CONDITIONS.engine_version


def load(_):
    return None


PRETENDED = Engine(pretend, version, load)


def engine_of(train, **options):
    return Engine(partial(train, **options) if options else train, version, load)


def changed(**changes):
    """The tiny study with other facts."""
    return replace(SPEC, **changes)
