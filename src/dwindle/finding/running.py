"""Trainings side by side: one in each slot, begun as slots become free."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from dwindle.errors import UsageError
from dwindle.finding.command import CommandRecipe
from dwindle.finding.function import FunctionRecipe, InlineRecipe
from dwindle.finding.on_ray import RayRecipe
from dwindle.finding.training import Recipe, Request, Result, Training

# After it a thread that has not returned is left behind: its group has been ended.
_JOIN_S = 15.0


class Running:
    """Runs trainings of one recipe, some at a time; owns a thread and a slot for each.

    A slot keeps its training open for the next one: a function stays loaded. ``slots``
    are devices or variables that trainings have to themselves, ``cuda:1``, ``cpu``,
    ``NAME=value``; with more jobs than slots, they take turns.
    """

    def __init__(
        self, recipe: Recipe, *, jobs: int | None = None, slots: Sequence[str] = ()
    ) -> None:
        self.jobs = jobs or max(1, len(slots))
        what = recipe.recipe if isinstance(recipe, RayRecipe) else recipe
        shares_a_file = isinstance(what, CommandRecipe) and what.shares_a_file
        if self.jobs > 1 and shares_a_file:
            must = "Trainings at the same time must write different files of results."
            remedy = "Write {out} in the command: a fresh folder for each training."
            raise UsageError(must, "a --metric in one file for all of them", remedy)
        variables = [slot_variables(each) for each in slots] or [{}]
        # Only for a function, whose worker is ours: a command sets its own threads.
        if isinstance(recipe, FunctionRecipe):
            shared = recipe.environment_for(self.jobs)
            variables = [{**shared, **each} for each in variables]
        self._recipe = recipe
        self._idle = [
            _Slot(variables[number % len(variables)]) for number in range(self.jobs)
        ]
        self._slots = tuple(self._idle)
        self._done: queue.SimpleQueue[tuple[_Slot, Request, Result | BaseException]]
        self._done = queue.SimpleQueue()
        self._is_closed = False

    def run(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Result]]:
        """Run all requests; yield each with its result as it ends, in no set order.

        The next request is taken only when a slot is free. After an early exit or an
        error, :meth:`close` ends what still runs.
        """
        if isinstance(self._recipe, InlineRecipe) and self.jobs == 1:
            # In the caller's thread: Keras and JAX keep settings for each thread, and
            # Ctrl-C reaches this one only.
            yield from ((each, self._recipe.train(each)) for each in requests)
            return
        waiting, running = iter(requests), 0
        while True:
            while self._idle:
                request = next(waiting, None)
                if request is None:
                    break
                self._begin(self._idle.pop(), request)
                running += 1
            if not running:
                return
            slot, request, result = self._done.get()
            running -= 1
            self._idle.append(slot)
            if isinstance(result, BaseException):
                raise result
            yield request, result

    def close(self) -> None:
        """End all that runs, wait until it is gone, and give everything back."""
        self._is_closed = True
        for slot in self._slots:
            if slot.training:
                slot.training.close()
        for slot in self._slots:
            if slot.thread:
                slot.thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, slot: "_Slot", request: Request) -> None:
        # A thread for each training: starting one takes a tenth of a millisecond, and
        # none is left that waits for work. It does not keep the driver alive.
        environment = {**slot.variables, **request.environment}
        work = slot, request, replace(request, environment=environment)
        slot.thread = threading.Thread(target=self._train, args=work, daemon=True)
        slot.thread.start()

    def _train(self, slot: "_Slot", request: Request, in_slot: Request) -> None:
        result: Result | BaseException
        try:
            if slot.training is None:
                slot.training = self._recipe.open()
            if self._is_closed:
                slot.training.close()
            result = slot.training.train(in_slot)
        except BaseException as error:  # noqa: BLE001, the driver's thread raises it
            result = error
        self._done.put((slot, request, result))


@dataclass(eq=False)
class _Slot:
    """A place where one training at a time runs."""

    variables: dict[str, str]
    training: Training | None = None
    thread: threading.Thread | None = None


def slot_variables(slot: str) -> dict[str, str]:
    """Return the environment variables that give a training its slot."""
    device, _, index = slot.partition(":")
    if device == "cuda" and index.isdecimal():
        return {"CUDA_VISIBLE_DEVICES": index}
    if slot == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    name, is_pair, value = slot.partition("=")
    with suppress(ValueError):
        if is_pair and name.isidentifier():
            return {name: value}
    must = "A slot must be a device or a variable."
    raise UsageError(must, repr(slot), "Write cuda:0, cpu or NAME=value.")
