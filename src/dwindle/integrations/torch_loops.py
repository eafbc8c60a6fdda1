"""What a loop over torch batches knows of its run, and a controller built on that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from logging import getLogger
from typing import Any, Self, TypedDict, Unpack

from dwindle.decay.decay_rate import missing_facts_of, read_half_life
from dwindle.decay.half_life import HalfLife
from dwindle.decay.roles import decaying_roles
from dwindle.decay.run import Run, RunFacts, run_with
from dwindle.errors import MissingLibraryError, RefusedError

try:
    from torch import nn
    from torch.optim import Optimizer
except ImportError as error:
    raise MissingLibraryError("torch", "A trainer of torch", "torch") from error

from dwindle.pytorch.controller import DecayController
from dwindle.pytorch.options import MARKER
from dwindle.pytorch.parameters.roles import parameter_roles

_LOG = getLogger("dwindle")
MADE_WITHOUT = "the checkpoint was made without %s: the decay is held from here on"
# What a loop knows of its run by itself.
_OF_LOOPS = ("batch_size", "dataset_size", "steps")
# What of an integration's arguments is no fact of the run.
_OF_DECAY = ("penalty", "schedule", "lr_peak")
_CONTRADICTED = (
    "%s: %s is %g as it was given, and %g as the loop has it. What was given counts; "
    "leave it out where the loop is right."
)


def part_of_lightning(name: str, needed_for: str) -> Any:  # it has no types here
    """Import a part of Lightning, one program under two names."""
    for home in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return getattr(import_module(home), name)
        except ImportError:
            continue
    raise MissingLibraryError("lightning", needed_for, "lightning")


def facts_of_loop(
    loader: Any,  # a DataLoader of torch, or one that a trainer made from it
    *,
    processes: int,
    accumulation: int,
    batches: float | None = None,
    is_shared: bool = True,
) -> Run:
    """Return the batch of a step and the examples of a pass, as a loader has them.

    Args:
        loader: The loader.
        processes: Processes that have different batches.
        accumulation: Batches whose gradients make one optimizer step.
        batches: Batches of one pass, in each process; ``inf`` if nobody knows, None
            if they are those of the loader.
        is_shared: Whether the batches of the loader are those of each process.

    """
    if batches is None:
        try:
            batches = float(len(loader))
        except TypeError:  # a stream
            batches = math.inf
    if not is_shared and math.isfinite(batches):
        batches = math.ceil(batches / processes)
    # Loaders that Accelerate made know it, also where a batch is split.
    together = getattr(loader, "total_batch_size", None)
    if together is None:
        own = getattr(loader, "batch_size", None)
        if own is None:  # with a batch sampler, DataLoader.batch_size is None
            own = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
        together = own and own * processes
    if together is None or not math.isfinite(batches):
        return Run(batch_size=together and together * accumulation)
    try:
        dataset_size = len(loader.dataset)
    except (AttributeError, TypeError):  # a stream has no length
        dataset_size = None
    passed = examples_of_a_pass(
        batches=int(batches), batch_size=together, dataset_size=dataset_size
    )
    # A pass that is shorter than a step is one step.
    return Run(batch_size=min(together * accumulation, passed), dataset_size=passed)


def examples_of_a_pass(
    *, batches: int, batch_size: int, dataset_size: int | None
) -> int:
    """Return the examples that one pass of a loop sees.

    It is the size of the data where that makes so many batches; else whole batches are
    counted: the last one is dropped, or examples are drawn repeatedly.

    Example:
        >>> examples_of_a_pass(batches=4, batch_size=32, dataset_size=100)
        100
        >>> examples_of_a_pass(batches=3, batch_size=32, dataset_size=100)  # dropped
        96

    """
    whole = batches * batch_size
    if dataset_size is not None and whole - batch_size < dataset_size <= whole:
        return dataset_size
    return whole


class Holding(RunFacts, TypedDict, total=False):
    """What an integration takes beside a half-life, as DecayController has it.

    Beside the facts of the run one by one. What is given counts, and the logger
    ``dwindle`` warns where the loop has another number.

    Args:
        penalty: Instead of a half-life: λ of ``λ/2 Σ w²``, for SGD.
        schedule: ``follow-lr``, ``constant`` or ``lr-squared``.
        lr_peak: Largest lr, where scheduler and optimizer do not have it.
        run: The facts of the run as one record; its ``lr`` is the peak.

    """

    penalty: float | None
    schedule: str
    lr_peak: float | Sequence[float] | None
    run: Run | None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an integration is to hold: arguments of DecayController.

    A fact that is given here counts; what is missing comes from the loop.
    """

    half_life: str | HalfLife | None = None
    penalty: float | None = None
    schedule: str = "follow-lr"
    lr_peak: float | Sequence[float] | None = None
    run: Run = field(default_factory=Run)

    @classmethod
    def of(
        cls, half_life: str | HalfLife | None = None, **holding: Unpack[Holding]
    ) -> Self:
        """Return the wish that the arguments of an integration express."""
        facts: dict[str, Any] = dict(holding)
        own = {name: facts.pop(name) for name in _OF_DECAY if name in facts}
        run = run_with(facts.pop("run", None), **facts)
        return cls(half_life=half_life, run=run, **own)

    def __post_init__(self) -> None:
        if self.half_life is not None:  # a slip is an error before anything is loaded
            read_half_life(self.half_life)

    def __str__(self) -> str:
        if self.penalty is not None:
            return f"a penalty of {self.penalty:g}"
        peak = "" if self.lr_peak is None else f", lr_peak {self.lr_peak}"
        half_life = "none yet" if self.half_life is None else self.half_life
        return f"a half-life of {half_life}, {self.schedule}{peak}"

    def arguments(self) -> dict[str, Any]:  # Any: what JSON can hold
        """Return the arguments that an integration was built with, as plain data."""
        return {
            "half_life": self.half_life and str(self.half_life),
            "penalty": self.penalty,
            "schedule": self.schedule,
            "lr_peak": self.run.lr if self.lr_peak is None else self.lr_peak,
            **{name: getattr(self.run, name) for name in RunFacts.__annotations__},
        }

    def warn_of_contradictions(self, loop: Run, *, caller: str) -> None:
        """Warn of each fact that was given where the loop has another number."""
        for name in _OF_LOOPS:
            given, known = getattr(self.run, name), getattr(loop, name)
            if None not in (given, known) and given != known:
                _LOG.warning(_CONTRADICTED, caller, name, given, known)
        if not (self._counts_epochs(loop) and loop.steps):
            return
        steps = self._run(loop).total_steps
        # Trainers round part of an epoch up or down: one step more is no other run.
        if abs(steps - loop.steps) > 1:
            name = f"the length of the run, epochs={self.run.epochs}, in steps,"
            _LOG.warning(_CONTRADICTED, caller, name, steps, loop.steps)

    def _run(self, loop: Run) -> Run:
        """Return the facts of the user, completed by those of the loop."""
        known = {
            name: getattr(loop, name)
            for name in _OF_LOOPS
            if getattr(self.run, name) is None
        }
        if self._counts_epochs(loop):
            known.pop("steps", None)  # the epochs that were given imply them
        return replace(self.run, **known)

    def _counts_epochs(self, loop: Run) -> bool:
        """Return whether the epochs that were given imply the steps of the run."""
        own = self.run
        has_sizes = (own.batch_size or loop.batch_size) and (
            own.dataset_size or loop.dataset_size
        )
        return bool(has_sizes) and own.epochs is not None and own.steps is None

    def controller(
        self, optimizer: Optimizer, *, loop: Run, caller: str, scheduler: Any
    ) -> DecayController:  # scheduler: Any, torch's and wrappers that are none
        """Return the controller that holds this on an optimizer."""
        with missing_facts_of(caller):
            return DecayController(
                optimizer,
                half_life=self.half_life,
                penalty=self.penalty,
                schedule=self.schedule,
                lr_peak=self.lr_peak,
                run=self._run(loop),
                scheduler=scheduler,
            )


class Paced:
    """A scheduler at the pace of its loop, to be followed by the optimizer's steps.

    Some loops step it several times at a time (``times``), some at every so many
    optimizer steps (``every``). The scheduler itself is never stepped.
    """

    def __init__(self, scheduler: Any, *, times: int = 1, every: int = 1) -> None:
        self._paced, self._times, self._every, self._calls = scheduler, times, every, 0

    @property
    def paced(self) -> Any:
        """The scheduler at its own pace."""
        return self._paced

    def step(self) -> None:
        """Do what the loop does with the scheduler at one step of the optimizer."""
        self._calls += 1
        if self._calls % self._every == 0:
            for _ in range(self._times):
                self._paced.step()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a copy in the making has no scheduler yet
            raise AttributeError(name)
        return getattr(self._paced, name)


def mark_groups(optimizer: Optimizer, model: nn.Module) -> None:
    """Mark the groups of biases and norms where no weight decay distinguishes them.

    Trainers make a group that decays and one that does not, and with a decay of 0
    both are equal. Groups that have a decay or a mark stay as they are, and so does
    an optimizer with one group.
    """
    groups = optimizer.param_groups
    is_marked = any(MARKER in group or group.get("weight_decay") for group in groups)
    if len(groups) == 1 or is_marked:
        return
    roles = {id(held.parameter): held.role for held in parameter_roles(model)}
    for group in groups:
        own = {roles.get(id(weight), "weight") for weight in group["params"]}
        group[MARKER] = float(not own.isdisjoint(decaying_roles(embeddings=True)))
    left = [at for at, group in enumerate(groups) if not group[MARKER]]
    _LOG.info("groups %s hold only biases, norms and vectors: left alone", left)


def refuse_deepspeed(kind: str) -> None:
    """Refuse a loop whose optimizer never touches the weights of the model."""
    if "deepspeed" in kind.lower():
        request = "A decay that is held under DeepSpeed"
        why = "DeepSpeed steps copies of the weights, which no hook of torch sees."
        instead = "Use DDP or FSDP2, or the weight_decay of its configuration."
        raise RefusedError(request, why, instead)
