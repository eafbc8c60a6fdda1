"""A training that is a Python function: loaded once in a worker, called many times."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.machinery import PathFinder
from multiprocessing.connection import Connection
from typing import Self

from dwindle.errors import DwindleError, UsageError
from dwindle.finding.call import LOSS, Function, Signature, called, signature_of
from dwindle.finding.group import Group, how_it_ended
from dwindle.finding.metric import Metric
from dwindle.finding.output import Kept
from dwindle.finding.training import Request, Result, not_started
from dwindle.wording import clean

# Read by the numerical libraries as they are loaded.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_WORKER = (
    "import sys; sys.path[:] = {path!r}; "
    "from dwindle.finding.call import serve; serve({requests}, {answers})"
)


@dataclass(kw_only=True)
class FunctionRecipe:
    """A function to train with: ``train(weight_decay, seed, **scale)`` gives a loss.

    ``target`` is its name; one without is ``carried``, pickled by value, to processes
    that this one starts, and to no file and no store.
    """

    target: str | None = None
    carried: bytes | None = None
    metric: Metric = LOSS
    scale_names: tuple[str, ...] = ()
    _signature: Signature | None = field(default=None, repr=False)
    # The worker that returned the signature serves the first training.
    _spare: "FunctionTraining | None" = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        function: Function | str,
        metric: Metric = LOSS,
        scale_names: tuple[str, ...] = (),
    ) -> Self:
        """Return the recipe of a function, or of the name of one."""
        if isinstance(function, str):
            return cls(target=function, metric=metric, scale_names=scale_names)
        signature = signature_of(function, scale_names)
        target = name_of(function)
        return cls(
            target=target,
            carried=None if target else _by_value(function, scale_names, metric),
            metric=metric,
            scale_names=scale_names,
            _signature=signature,
        )

    @property
    def signature(self) -> Signature:
        """The signature of the function; one given by name is loaded for that."""
        if self._signature is None:
            training = FunctionTraining(self)
            try:
                self._signature = training.load()
            except BaseException:
                training.close()
                raise
            self._spare = training
        return self._signature

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""
        return self.signature.has_seed

    def open(self) -> "FunctionTraining":
        """Return something that calls it, one training at a time."""
        spare, self._spare = self._spare, None
        return spare or FunctionTraining(self)

    def environment_for(self, jobs: int) -> dict[str, str]:
        """Return the variables that share the cores among several workers."""
        if jobs == 1 or any(name in os.environ for name in _THREADS):
            return {}
        cores = os.cpu_count() or 1
        if hasattr(
            os, "sched_getaffinity"
        ):  # fewer than the machine has, in containers
            cores = len(os.sched_getaffinity(0))
        return dict.fromkeys(_THREADS, str(max(1, cores // jobs)))

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_spare": None}


class FunctionTraining:
    """Calls a function in a worker, one training at a time; owns the worker.

    A worker that dies, hangs beyond the time-out or is killed is ended with all that it
    started, and the next training gets a new one.
    """

    def __init__(self, recipe: FunctionRecipe) -> None:
        self._recipe = recipe
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._environment: Mapping[str, str] = {}
        self._is_closed = False

    def load(self) -> Signature:
        """Start a worker, and return the signature of the function."""
        kept = Kept(None)
        answer = self._start({}, kept)
        if isinstance(answer, Signature):
            return answer
        if isinstance(answer, DwindleError):
            raise answer
        must = "A training's module must be one that can be imported."
        lines = "".join(f"\n  | {line}" for line in answer.last_lines)
        remedy = (
            f"Its last lines:{lines}" if lines else "Import it in Python to see why."
        )
        raise UsageError(must, str(answer.error), remedy)

    def train(self, request: Request) -> Result:
        """Call the function and wait; a failure is a result."""
        kept = Kept(request.folder and request.folder / f"{request.number}.txt")
        start = time.monotonic()
        try:
            result = self._train(request, kept)
        except OSError as error:  # no room, no processes
            result = not_started(error, seconds=time.monotonic() - start)
        output = kept.close()
        lines = result.last_lines
        if result.status != "ok" and not lines:
            lines = kept.last_lines()
        return replace(result, last_lines=lines, output=output)

    def close(self) -> None:
        """End the worker, from any thread, and leave no process behind."""
        with self._lock:
            self._is_closed = True
            worker = self._worker
            if worker:
                worker.group.end()
        if worker and not worker.is_busy:
            worker.finish(Kept(None))

    def _train(self, request: Request, kept: Kept) -> Result:
        if self._worker and (
            self._environment != request.environment or self._worker.group.has_ended()
        ):
            self._finish(kept)
        if self._worker is None:
            answer = self._start(request.environment, kept)
            if isinstance(answer, DwindleError):
                return Result(status="error", error=str(answer))
            if isinstance(answer, Result):
                return answer
        start = time.monotonic()
        result = self._answer(request, kept, request.timeout_s)
        if isinstance(result, Result):
            return result
        return Result(
            status="error",
            seconds=time.monotonic() - start,
            error=str(result or request.is_over),
            is_worth_another_try=not self._is_closed,
        )

    def _start(
        self, environment: Mapping[str, str], kept: Kept
    ) -> Signature | DwindleError | Result:
        """Start a worker; return the function's signature, or why there is none."""
        recipe = self._recipe
        with self._lock:
            self._environment = dict(environment)
            self._worker = _Worker({**os.environ, **environment})
            if self._is_closed:
                self._worker.group.end()
        what = recipe.carried or (recipe.target, recipe.scale_names, recipe.metric)
        answer = self._answer(what, kept, None)
        if isinstance(answer, str) or answer is None:
            again = not self._is_closed
            return Result(status="error", error=answer, is_worth_another_try=again)
        if not isinstance(answer, Signature):
            self._finish(kept)
        return answer

    def _answer(
        self, what: object, kept: Kept, seconds: float | None
    ) -> Signature | DwindleError | Result | str | None:
        """Send something; return the answer, a text if it died, None if too late."""
        worker = self._worker
        if worker is None:
            return "it was ended"
        worker.is_busy = True
        try:
            with contextlib.suppress(BrokenPipeError):
                if isinstance(what, bytes):
                    worker.requests.send_bytes(what)
                else:
                    worker.requests.send(what)
            in_time = worker.group.pump(kept.take, seconds, worker.answers.fileno())
            if worker.answers.poll():
                with contextlib.suppress(EOFError, OSError):
                    answer: Signature | DwindleError | Result = worker.answers.recv()
                    return answer
        finally:
            worker.is_busy = False
            if sys.exception() is not None:
                self._finish(kept)
        self._finish(kept)
        return how_it_ended(worker.group) if in_time else None

    def _finish(self, kept: Kept) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker:
            worker.finish(kept)


class _Worker:
    """A process that has a function loaded; owns its group and pipes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.is_busy = False
        requests_from, requests = os.pipe()
        answers, answers_to = os.pipe()
        code = _WORKER.format(path=sys.path, requests=requests_from, answers=answers_to)
        self.requests = Connection(requests, readable=False)
        self.answers = Connection(answers, writable=False)
        try:
            self.group = Group(
                sys.executable,
                (sys.executable, "-c", code),
                environment,
                inherited=(requests_from, answers_to),
            )
        except BaseException:
            self.requests.close()
            self.answers.close()
            raise
        finally:
            os.close(requests_from)
            os.close(answers_to)

    def finish(self, kept: Kept) -> None:
        """End it and all that it started."""
        self.group.finish(kept.take)
        self.requests.close()
        self.answers.close()


@dataclass(frozen=True, kw_only=True)
class InlineRecipe:
    """A function that is called in this process: to debug it, not to be safe from it.

    Nothing ends it at a time-out, and nothing that it prints is kept. ``source`` is the
    user's own function behind it, whose name and source code identify the training;
    ``name`` and ``hashes`` do so instead, where given.
    """

    function: Function
    metric: Metric = LOSS
    scale_names: tuple[str, ...] = ()
    source: Function | None = None
    name: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def signature(self) -> Signature:
        """The signature of the function."""
        return signature_of(self.function, self.scale_names)

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""
        return self.signature.has_seed

    def open(self) -> Self:
        """Return itself: there is nothing to start."""
        return self

    def train(self, request: Request) -> Result:
        """Call the function; an exception is a result, but a UsageError propagates."""
        raised = (KeyboardInterrupt, UsageError)
        return called(
            self.function, self.signature, request, self.metric, raised=raised
        )

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


def name_of(function: Function) -> str | None:
    """Return ``module:function`` if a worker finds this very function by that name."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", "<>")
    if module is None or module.__name__ == "__main__" or "<" in name:
        return None
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    # A module that a test runner or a notebook made is on no path.
    above = sys.modules.get(module.__name__.rpartition(".")[0])
    path = getattr(above, "__path__", None)
    spec = PathFinder.find_spec(module.__name__, path)
    is_there = spec is not None and spec.origin == getattr(module, "__file__", None)
    return f"{module.__name__}:{name}" if found is function and is_there else None


def _by_value(*what: object) -> bytes:
    """Pickle a function with all that it needs, for a process that this one starts."""
    import cloudpickle

    module = sys.modules.get(getattr(what[0], "__module__", None) or "")
    is_new = module is not None and module.__name__ != "__main__"
    if is_new:
        cloudpickle.register_pickle_by_value(module)
    try:
        pickled: bytes = cloudpickle.dumps(what)
    except Exception as error:  # a lock, an open file, a generator: each its own class
        must = "A training must be a function that another process can call."
        got = f"what cannot be sent there: {clean(error)}"
        remedy = "Open files, data and devices inside of the function."
        raise UsageError(must, got, remedy) from error
    finally:
        if is_new:
            cloudpickle.unregister_pickle_by_value(module)
    return pickled
