"""Run: the named facts of a training that a conversion may need."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict, Unpack

from dwindle.decay.long_runs import Rates
from dwindle.decay.number_formats import dtype_named
from dwindle.decay.read_numbers import (
    Clock,
    clock_named,
    how_it_was_read,
    number_of,
    numbers_of,
    read_time,
    whole_of,
)
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError, UnknownNameError


class _NotGiven:
    """Marks a fact that nobody gave: where a library has a default, that is used."""


class _NumberNotGiven(_NotGiven, float):
    """A number to go on with where neither the user nor a library has one."""


class _PairNotGiven(_NotGiven, tuple[float, float]):
    """The same for two numbers."""

    __slots__ = ()


_NO_MOMENTUM = _NumberNotGiven(0.0)
_USUAL_BETAS = _PairNotGiven((0.9, 0.999))

# The tokens of an example where a batch is counted in tokens: the number of examples
# is then unknown.
ONE_TOKEN = _NumberNotGiven(1.0)
_NO_SCHEDULE = Schedule()  # as good as any constant one, and known by its identity


class _Fact(NamedTuple):
    """How a number of a run is read, its range in words, and whether it is in it."""

    read: Callable[[str, Any], Any]  # Any: a number or a tuple of them
    must: str
    holds: Callable[[Any], bool]  # Any: the same


_NOT_NEGATIVE = _Fact(
    number_of, "a finite number, 0 or more", lambda x: 0 <= x < math.inf
)
_SHARE = _Fact(number_of, "in [0, 1)", lambda x: 0 <= x < 1)
_ABOVE_0 = _Fact(number_of, "a finite number above 0", lambda x: 0 < x < math.inf)
_COUNT = _Fact(whole_of, "at least 1", lambda x: 1 <= x < math.inf)
_DEPTH = _Fact(whole_of, "at least 0 hidden layers", lambda x: 0 <= x < math.inf)
_BETAS = _Fact(
    partial(
        numbers_of,
        must="two numbers in a list or tuple",
        remedy="Write betas=(0.9, 0.95).",
    ),
    "two numbers in [0, 1)",
    lambda x: len(x) == 2 and all(map(_SHARE.holds, x)),  # noqa: PLR2004
)
_UNITS = _Fact(
    partial(
        numbers_of,
        read=whole_of,
        must="sizes of layers in a list or tuple",
        remedy="Write units=(784, 256, 10).",
    ),
    "two or more layer sizes of at least 1, inputs first",
    lambda x: len(x) >= 2 and min(x) >= 1,  # noqa: PLR2004
)
_FACTS: Mapping[str, _Fact] = MappingProxyType(
    {
        "lr": _NOT_NEGATIVE,
        "momentum": _SHARE,
        "dampening": _SHARE,
        "betas": _BETAS,
        "batch_size": _COUNT,
        "dataset_size": _COUNT,
        "epochs": _ABOVE_0,
        "steps": _COUNT,
        "tokens_per_example": _ABOVE_0,
        "gradient_rms": _ABOVE_0,
        "width": _COUNT,
        "parameters": _COUNT,
        "depth": _DEPTH,
        "units": _UNITS,
    }
)

_OPTIONS: Mapping[str, str] = {
    "steps": "--steps, or --epochs with --dataset-size and --batch-size",
    "weights": "--parameters 124e6, or --units 784,256,10",
}


def nesterov_needs_momentum(momentum: float, dampening: float = 0.0) -> RangeError:
    """Return the error for Nesterov's where momentum is absent or dampened."""
    if dampening:
        must = "0 beside nesterov (torch.optim.SGD insists)"
        remedy = "Leave dampening out, or nesterov."
        return RangeError("dampening", dampening, must, remedy)
    must = "above 0, and dampening 0, with nesterov (torch.optim.SGD insists)"
    remedy = "Give momentum=0.9, for example, beside nesterov."
    return RangeError("momentum", momentum, must, remedy)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The facts of a training; what is not known stays None.

    A formula that needs a fact that is None raises an error that names both. A number
    may come as text, as YAML has 1e-3; ``read_as`` is then how it was read. Of
    momentum, dampening, nesterov and betas, what is not given is the default of the
    optimizer's own library.

    Args:
        lr: Peak learning rate, 0 or more.
        schedule: How the lr goes over the run; or only its shape, ``"cosine"``.
        momentum: Momentum of SGD, in [0, 1).
        dampening: Dampening of SGD's momentum, in [0, 1).
        nesterov: Whether the momentum is Nesterov's, as torch.optim.SGD has it.
        betas: The two decay rates of the Adam family, each in [0, 1).
        batch_size: Examples per step, at most ``dataset_size``.
        dataset_size: Examples per epoch.
        epochs: Length of the run; may be a fraction.
        steps: Length of the run in optimizer steps.
        tokens_per_example: Tokens in one example (sequence length).
        width: Units of a hidden layer.
        depth: Hidden layers.
        units: Sizes of all layers, inputs first and outputs last.
        parameters: Number of the network's weights, where ``units`` do not give it.
        dtype: Number format that the weights are kept in: ``"bfloat16"``, ``"bf16"``,
            ``torch.bfloat16``.
        gradient_rms: Root mean square of one weight's gradient in a step, noise
            included; Adam's state has it as the root of ``exp_avg_sq``.

    Raises:
        RangeError: If a fact is impossible or two facts contradict each other.
        UnknownNameError: If ``dtype`` or ``schedule`` is not one that dwindle knows.
        MissingFactError: If a warm-up in steps or epochs lacks the length of the run.

    Example:
        >>> run = Run(lr=0.1, batch_size=128, dataset_size=50_000, epochs=200)
        >>> run.steps_per_epoch, run.total_steps
        (391, 78200)
        >>> Run(schedule="cosine", dtype="bf16").dtype
        'bfloat16'
        >>> Run(lr="1e-3").read_as
        ("lr: '1e-3' was read as 0.001.",)

    """

    lr: float | None = None
    schedule: Schedule = _NO_SCHEDULE
    momentum: float = _NO_MOMENTUM
    dampening: float = _NO_MOMENTUM
    nesterov: bool | None = None
    betas: tuple[float, float] = _USUAL_BETAS
    batch_size: int | None = None
    dataset_size: int | None = None
    epochs: float | None = None
    steps: int | None = None
    tokens_per_example: float | None = None
    width: int | None = None
    depth: int | None = None
    units: tuple[int, ...] | None = None
    parameters: int | None = None
    dtype: str = "float32"
    gradient_rms: float | None = None
    read_as: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._read_numbers()
        if isinstance(self.schedule, str):
            shape: Any = self.schedule  # Any: whether it is a shape is checked there
            self._set("schedule", Schedule(shape=shape))
        given: Any = self.schedule  # Any: what a caller gives may be anything
        if not isinstance(given, Schedule):
            must = "a Schedule, or the name of a shape"
            remedy = (
                'Write schedule="cosine", or Schedule(shape="cosine", warmup=0.05).'
            )
            raise RangeError("schedule", repr(given), must, remedy)
        if self.nesterov not in (None, True, False):
            must, remedy = "True, False or left out", "Write nesterov=True."
            raise RangeError("nesterov", repr(self.nesterov), must, remedy)
        self._set("dtype", dtype_named(self.dtype))
        for name, fact in _FACTS.items():
            value = getattr(self, name)
            if value is not None and not fact.holds(value):
                raise RangeError(name, value, fact.must)
        self._refuse_contradictions()
        if self.schedule.has_counted_warmup:
            steps = self.total_steps
            count, clock = read_time("warmup", str(self.schedule.warmup))
            rising = count * self.steps_per(clock)
            self._set("schedule", self.schedule.warmed_up_for(rising, steps=steps))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _read_numbers(self) -> None:
        """Read the numbers that came as text, as YAML has 1e-3, and note how."""
        understood = []
        for name, fact in _FACTS.items():
            given = getattr(self, name)
            # A float stays what it is: a batch may be 12.5 examples on average.
            is_one = fact.read in (number_of, whole_of)
            if given is None or isinstance(given, float if is_one else _NotGiven):
                continue
            found = fact.read(name, given)  # refuses what no float can hold
            # A list becomes a tuple, for a run is a key of the caches.
            self._set(name, given if isinstance(given, int) else found)
            if isinstance(given, str) and isinstance(found, int | float):
                understood.append(how_it_was_read(name, given, found))
        self._set("read_as", tuple(filter(None, understood)))

    def is_given(self, fact: str) -> bool:
        """Return whether somebody gave the fact, also with the value of a default.

        Example:
            >>> Run(momentum=0.0).is_given("momentum"), Run().is_given("momentum")
            (True, False)

        """
        value = getattr(self, fact)
        if value is _NO_SCHEDULE:
            return False
        return value is not None and not isinstance(value, _NotGiven)

    def _refuse_contradictions(self) -> None:
        batch, data = self.batch_size, self.dataset_size
        if batch is not None and data is not None and batch > data:
            remedy = (
                "One batch is the whole set then, and so is a step: give "
                f"batch_size={data}."
            )
            must = f"at most dataset_size, {data}"
            raise RangeError("batch_size", batch, must, remedy)
        # A momentum that nobody gave may be one that the library has by default.
        without = self.is_given("momentum") and self.momentum == 0
        if self.nesterov and (without or self.dampening != 0):
            raise nesterov_needs_momentum(self.momentum, self.dampening)
        planned = self._steps_of_epochs()
        if None not in (planned, self.steps) and planned != self.steps:
            must = f"{planned}, as epochs, dataset_size and batch_size give it"
            raise RangeError(
                "steps", self.steps, must, "Give steps or epochs, not both."
            )
        for name, derived in self._of_units().items():
            if getattr(self, name) not in (None, derived):
                must = f"{derived}, as units give it"
                raise RangeError(name, getattr(self, name), must, f"Leave {name} out.")

    def _of_units(self) -> dict[str, int]:
        """Width, depth and weights as the layer sizes give them; uneven is no width."""
        if self.units is None:
            return {}
        hidden = self.units[1:-1]
        even = {"width": hidden[0]} if len(set(hidden)) == 1 else {}
        weights = sum(fan_in * fan_out for fan_in, fan_out in pairwise(self.units))
        return even | {"depth": len(hidden), "parameters": weights}

    def _steps_of_epochs(self) -> int | None:
        if None in (self.epochs, self.dataset_size, self.batch_size):
            return None
        steps = self.require("epochs", "steps") * self.steps_per_epoch
        if steps == math.inf:
            raise RangeError("epochs", self.epochs, "so few that steps can be counted")
        return max(1, round(steps))

    def require(self, fact: str, needed_for: str) -> float:
        """Return a fact, or raise an error that names it and what needs it.

        Args:
            fact: Name of a field with one number, or ``weights``.
            needed_for: The formula that needs it, to start a sentence with.

        Raises:
            MissingFactError: If the fact was not given.

        """
        value = getattr(self, fact)
        if value is None:
            value = self._of_units().get(fact)
        if value is None:
            option = _OPTIONS.get(fact, "--" + fact.replace("_", "-"))
            raise MissingFactError(fact, needed_for, option)
        return float(value)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch, ⌈N/B⌉: a short last batch is a step too."""
        need = "The number of steps in an epoch"
        return math.ceil(
            self.require("dataset_size", need) / self.require("batch_size", need)
        )

    @property
    def total_steps(self) -> int:
        """Steps of the whole run: ``steps``, or ``epochs`` times steps per epoch."""
        if self.steps is not None:
            return int(self.steps)
        planned = self._steps_of_epochs()
        if planned is None:
            raise MissingFactError("steps", "The length of the run", _OPTIONS["steps"])
        return planned

    def steps_per(self, clock: Clock) -> float:
        """Return the steps in one unit of a clock: 391 in an epoch, for example.

        Raises:
            MissingFactError: If the clock needs a fact that was not given.
            UnknownNameError: If there is no such clock.

        Example:
            >>> Run(batch_size=128, dataset_size=50_000).steps_per("epochs")
            391.0

        """
        return _STEPS_PER[clock_named(clock)](self)

    @property
    def examples_per_step(self) -> float:
        """Examples of an average step: N/⌈N/B⌉, or B where N is not known.

        An epoch is ``dataset_size`` examples, so a short last batch counts as short.
        """
        if self.dataset_size is None:
            return self.require("batch_size", "The number of examples in a step")
        return self.dataset_size / self.steps_per_epoch

    @property
    def layers(self) -> tuple[tuple[int, int], ...] | None:
        """The weight matrices as (fan_in, fan_out), first layer first."""
        return None if self.units is None else tuple(pairwise(self.units))

    @property
    def weights(self) -> int | None:
        """Entries of all weight matrices without biases, or ``parameters``."""
        return self._of_units().get("parameters", self.parameters)

    def multipliers(self) -> tuple[float, ...]:
        """Return the schedule's multiplier of every step of this run."""
        return self.schedule.cached_multipliers(self.total_steps)

    def rates(self) -> Rates:
        """Return the schedule's multipliers as a few functions, at any length."""
        return self.schedule.rates(self.total_steps)

    def quantities(self) -> dict[str, float]:
        """Return the known quantities of scale, those that follow from others too.

        Returns:
            Any of width, depth, weights, batch_size, dataset_size, epochs, steps, lr,
            tokens_per_example, tokens_per_step (of a full batch) and tokens (of the
            whole run); what is not known is absent, not 0.

        Example:
            >>> Run(batch_size=10, dataset_size=100, steps=50).quantities()
            {'batch_size': 10.0, 'dataset_size': 100.0, 'epochs': 5.0, 'steps': 50.0}

        """
        of_units = self._of_units()
        steps = self._steps_of_epochs() if self.steps is None else self.steps
        epochs, batch, length = self.epochs, self.batch_size, self.tokens_per_example
        if not epochs and None not in (self.steps, self.dataset_size, batch):
            epochs = self.total_steps / self.steps_per_epoch
        has_tokens = None not in (batch, length)
        known = {
            "width": self.width or of_units.get("width"),
            "depth": of_units.get("depth", self.depth),
            "weights": self.weights,
            "batch_size": batch,
            "dataset_size": self.dataset_size,
            "epochs": epochs,
            "steps": steps,
            "lr": self.lr,
            "tokens_per_example": length,
            "tokens_per_step": (batch or 0) * (length or 0) if has_tokens else None,
            "tokens": self.total_steps * self.examples_per_step * (length or 0)
            if has_tokens and steps is not None
            else None,
        }
        return {
            name: float(value) for name, value in known.items() if value is not None
        }


class RunFacts(TypedDict, total=False):
    """Facts that the clocks of a half-life need, as arguments of a function."""

    batch_size: int | None
    dataset_size: int | None
    epochs: float | None
    steps: int | None
    tokens_per_example: float | None


def run_with(run: Run | None, **facts: Unpack[RunFacts]) -> Run:
    """Return a run with some facts that were given beside it; they count more.

    Raises:
        UnknownNameError: If there is no fact of such a name.

    Example:
        >>> run_with(Run(steps=100), batch_size=32).quantities()
        {'batch_size': 32.0, 'steps': 100.0}

    """
    for name in facts:  # another field of Run would do nothing here
        if name not in RunFacts.__annotations__:
            known = tuple(RunFacts.__annotations__)
            raise UnknownNameError.among("argument", name, known)
    return replace(Run() if run is None else run, **facts)


def _steps_per_example(run: Run) -> float:
    # A batch that was counted in tokens has an unknown number of examples.
    if run.tokens_per_example is ONE_TOKEN and run.dataset_size is None:
        option = "--batch-size with --tokens-per-example, for --batch-tokens"
        raise MissingFactError("batch_size", "A half-life in examples", option)
    return 1 / run.examples_per_step


def _steps_per_token(run: Run) -> float:
    need = "A half-life in tokens"
    return 1 / (run.examples_per_step * run.require("tokens_per_example", need))


_STEPS_PER: Mapping[Clock, Callable[[Run], float]] = MappingProxyType(
    {
        "steps": lambda _: 1.0,
        "examples": _steps_per_example,
        "epochs": lambda run: float(run.steps_per_epoch),
        "tokens": _steps_per_token,
        "run": lambda run: float(run.total_steps),
    }
)
