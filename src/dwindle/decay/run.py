"""Run: the named facts of a training that a conversion may ask for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dwindle.decay.clocks import read_time
from dwindle.decay.dtypes import DIGITS, dtype_named
from dwindle.decay.schedules import Schedule
from dwindle.decay.stretches import Rates
from dwindle.decay.written import (
    LIST_READERS,
    READERS,
    plain_number,
    plain_numbers,
    said_of,
)
from dwindle.errors import MissingFactError, RangeError

DTYPES = tuple(DIGITS)


class _Unsaid:
    """Marks a fact that nobody gave: where a library has a default, that one holds."""


class _UnsaidNumber(_Unsaid, float):
    """A number to go on with where neither the user nor a library has one."""


class _UnsaidPair(_Unsaid, tuple[float, float]):
    """The same for two numbers."""

    __slots__ = ()


_NO_MOMENTUM = _UnsaidNumber(0.0)
_USUAL_BETAS = _UnsaidPair((0.9, 0.999))

# A batch that is counted in tokens has nothing to say of examples.
ONE_TOKEN = _UnsaidNumber(1.0)
_NO_SCHEDULE = Schedule()  # as good as any constant one, and told by its identity

# fact: (what must hold, whether it does)
_RANGES: Mapping[str, tuple[str, Any]] = {  # Any: predicates over one fact each
    "lr": ("a finite number, 0 or more", lambda x: 0 <= x < math.inf),
    "momentum": ("in [0, 1)", lambda x: 0 <= x < 1),
    "dampening": ("in [0, 1)", lambda x: 0 <= x < 1),
    "betas": ("two numbers in [0, 1)", lambda x: len(x) == 2 and _all_below_one(x)),  # noqa: PLR2004
    "batch_size": ("at least 1", lambda x: 1 <= x < math.inf),
    "dataset_size": ("at least 1", lambda x: 1 <= x < math.inf),
    "epochs": ("a finite number above 0", lambda x: 0 < x < math.inf),
    "steps": ("at least 1", lambda x: 1 <= x < math.inf),
    "tokens_per_example": ("a finite number above 0", lambda x: 0 < x < math.inf),
    "gradient_rms": ("a finite number above 0", lambda x: 0 < x < math.inf),
    "width": ("at least 1", lambda x: 1 <= x < math.inf),
    "parameters": ("at least 1", lambda x: 1 <= x < math.inf),
    "depth": ("at least 0 hidden layers", lambda x: 0 <= x < math.inf),
    "units": (
        "two or more layer sizes of at least 1, inputs first",
        lambda x: len(x) >= 2 and min(x) >= 1,  # noqa: PLR2004
    ),
}

_OPTIONS: Mapping[str, str] = {
    "steps": "--steps, or --epochs with --dataset-size and --batch-size",
    "weights": "--parameters 124e6, or --units 784,256,10",
}


def _all_below_one(numbers: tuple[float, ...]) -> bool:
    return all(0 <= number < 1 for number in numbers)


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
    """The facts of a training; whatever is not known stays None.

    A formula that needs a fact that is None raises an error that names both. A number
    may come as text, as YAML has 1e-3; ``read_as`` says then what was understood. Of
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
        parameters: Number of the network's weights, where ``units`` cannot say it.
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
        for name, (must, holds) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not holds(value):
                raise RangeError(name, value, must)
        self._refuse_contradictions()
        if self.schedule.has_counted_warmup:
            self._set("schedule", self._with_warmup_as_share())

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _read_numbers(self) -> None:
        """Read the numbers that came as text, as YAML has 1e-3, and say how."""
        said = []
        for name, read in READERS.items():
            given = getattr(self, name)
            if isinstance(given, str):
                self._set(name, read(name, given))
                said.append(said_of(name, given, getattr(self, name)))
            elif given is not None and not isinstance(given, float):
                number = plain_number(name, given)  # refuses what no float can hold
                self._set(name, given if isinstance(given, int) else number)
        self._set("read_as", tuple(filter(None, said)))
        for name, read_list in LIST_READERS.items():
            given = getattr(self, name)
            if isinstance(given, str):
                self._set(name, read_list(name, given))
            elif given is not None and not isinstance(given, _Unsaid):
                # A run is a key of the caches: a list becomes a tuple.
                self._set(name, plain_numbers(name, given))

    def _with_warmup_as_share(self) -> Schedule:
        # A half-life is a time as well; its module imports this one.
        from dwindle.decay.half_life import HalfLife

        time = HalfLife(*read_time("warmup", str(self.schedule.warmup)))
        steps = self.total_steps
        return self.schedule.warmed_up_for(time.in_steps(self), steps=steps)

    def is_said(self, fact: str) -> bool:
        """Return whether somebody gave the fact, be it with the value of a default.

        Example:
            >>> Run(momentum=0.0).is_said("momentum"), Run().is_said("momentum")
            (True, False)

        """
        value = getattr(self, fact)
        if value is _NO_SCHEDULE:
            return False
        return value is not None and not isinstance(value, _Unsaid)

    def _refuse_contradictions(self) -> None:
        batch, data = self.batch_size, self.dataset_size
        if batch is not None and data is not None and batch > data:
            remedy = (
                "One batch holds the whole set then, and so does a step: give "
                f"batch_size={data}."
            )
            must = f"at most dataset_size, {data}"
            raise RangeError("batch_size", batch, must, remedy)
        # A momentum that nobody gave may be one that the library has by default.
        without = self.is_said("momentum") and self.momentum == 0
        if self.nesterov and (without or self.dampening != 0):
            raise nesterov_needs_momentum(self.momentum, self.dampening)
        planned = self._steps_of_epochs()
        if None not in (planned, self.steps) and planned != self.steps:
            must = f"{planned}, as epochs, dataset_size and batch_size say"
            raise RangeError(
                "steps", self.steps, must, "Give steps or epochs, not both."
            )
        for name, told in self._of_units().items():
            if getattr(self, name) not in (None, told):
                must = f"{told}, as units say"
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
        """Return a fact, or say which one is missing and what for.

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
        known = {
            "width": self.width or self._of_units().get("width"),
            "depth": self._of_units().get("depth", self.depth),
            "weights": self.weights,
            "batch_size": self.batch_size,
            "dataset_size": self.dataset_size,
            "epochs": self._known_epochs(),
            "steps": self._known_steps(),
            "lr": self.lr,
            "tokens_per_example": self.tokens_per_example,
            "tokens_per_step": self._known_tokens_per_step(),
            "tokens": self._known_tokens(),
        }
        return {
            name: float(value) for name, value in known.items() if value is not None
        }

    def _known_steps(self) -> int | None:
        return self._steps_of_epochs() if self.steps is None else self.steps

    def _known_epochs(self) -> float | None:
        if None in (self.steps, self.dataset_size, self.batch_size) or self.epochs:
            return self.epochs
        return self.total_steps / self.steps_per_epoch

    def _known_tokens_per_step(self) -> float | None:
        if self.batch_size is None or self.tokens_per_example is None:
            return None
        return self.batch_size * self.tokens_per_example

    def _known_tokens(self) -> float | None:
        if None in (self.tokens_per_example, self._known_steps(), self.batch_size):
            return None
        length = self.require("tokens_per_example", "The number of tokens")
        return self.total_steps * self.examples_per_step * length
