"""A training on a Ray cluster: any recipe, opened where there is room for it."""

import os
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dwindle.finding.command import CommandRecipe
from dwindle.finding.training import Recipe, Request, Result, Training
from dwindle.study.cluster import Cluster, PlaceLostError

# Set by Ray for each call; a function's worker is restarted when they change.
_GIVEN = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class RayRecipe:
    """A recipe whose trainings run on the nodes of a cluster, which is left open."""

    recipe: Recipe
    cluster: Cluster

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""
        return self.recipe.has_seed

    @cached_property
    def sent(self) -> object:
        """The recipe with a unique name, sent to the cluster once."""
        return self.cluster.keep((secrets.token_hex(), self.recipe))

    def open(self) -> "RayTraining":
        """Return something that runs it, one training at a time."""
        return RayTraining(self)


class RayTraining:
    """Runs trainings on a cluster, one at a time; owns the call that runs."""

    def __init__(self, recipe: RayRecipe) -> None:
        self._recipe = recipe
        self._cluster = recipe.cluster
        self._lock = threading.Lock()
        self._running: object = None
        self._is_closed = False

    def train(self, request: Request) -> Result:
        """Train on a node and wait; the death of its worker or node is a result."""
        start = time.monotonic()
        with self._lock:
            if self._is_closed:
                return Result(status="error", error="it was ended")
            call = self._cluster.start(train_here, self._recipe.sent, request)
            self._running = call
        try:
            result: Result
            result, output = self._cluster.result(call)
        except PlaceLostError as error:
            return Result(
                status="error",
                seconds=time.monotonic() - start,
                error=f"its place in the cluster was lost ({error})",
                is_worth_another_try=not self._is_closed,
            )
        finally:
            self._running = None
        return replace(result, output=_written(request, output))

    def close(self) -> None:
        """End what is running, from any thread: with its worker all that it started."""
        with self._lock:
            self._is_closed = True
            if self._running is not None:
                self._cluster.cancel(self._running)


# In a worker of Ray: a function stays loaded for the next training.
_opened: dict[str, Training] = {}


def train_here(sent: tuple[str, Recipe], request: Request) -> tuple[Result, bytes]:
    """Train in this worker of Ray; return the result and the output.

    The driver keeps the output: the disk of this node may be another one. Folders that
    are to be kept are made here.
    """
    name, recipe = sent
    if name not in _opened:
        while _opened:
            _opened.popitem()[1].close()
        _opened[name] = recipe.open()
    training = _opened[name]
    given = {name: os.environ[name] for name in _GIVEN if name in os.environ}
    request = replace(request, environment={**given, **request.environment})
    command = getattr(training, "_command", None)
    keeps_out = isinstance(command, CommandRecipe) and command.keep_out
    if request.folder is None or keeps_out:
        return _with_output(training.train(request))
    with tempfile.TemporaryDirectory(prefix="dwindle-") as folder:
        return _with_output(training.train(replace(request, folder=Path(folder))))


def _with_output(result: Result) -> tuple[Result, bytes]:
    return result, result.output.read_bytes() if result.output else b""


def _written(request: Request, output: bytes) -> Path | None:
    """Write the output to the file where a training on this machine has it."""
    if request.folder is None or not output:
        return None
    request.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = request.folder / f"{request.number}.txt"
    path.touch(mode=0o600)
    path.write_bytes(output)
    return path
