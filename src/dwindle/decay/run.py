"""Run: the named facts of a training that a conversion may need."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

from dwindle.decay.facts import FACTS, option_of
from dwindle.decay.long_runs import Rates
from dwindle.decay.number_formats import dtype_named
from dwindle.decay.read_numbers import (
    NO_MOMENTUM,
    ONE_TOKEN,
    USUAL_BETAS,
    Clock,
    NotGiven,
    clock_named,
    how_it_was_read,
    number_of,
    numbers_of,
    read_number,
    whole_of,
)
from dwindle.decay.schedules import PARAMETERS, Schedule
from dwindle.errors import MissingFactError, RangeError, UnknownNameError

_NO_SCHEDULE = Schedule()  # constant; its identity marks a schedule that is not given

# Reduction of the losses of a batch: a sum multiplies gradients by the batch size.
_LOSSES = ("mean", "sum")
_OPTIONS: Mapping[str, str] = {
    "steps": "--steps, or --epochs with --dataset-size and --batch-size",
    "weights": "--parameters 124e6, or --units 784,256,10",
}


def nesterov_needs_momentum(momentum: float, dampening: float = 0.0) -> RangeError:
    """Return the error for Nesterov's momentum that is 0 or dampened."""
    if dampening:
        must = "0 beside nesterov (torch.optim.SGD insists)"
        remedy = "Leave dampening out, or nesterov."
        return RangeError("dampening", dampening, must, remedy)
    must = "above 0, and dampening 0, with nesterov (torch.optim.SGD insists)"
    remedy = "Give momentum=0.9, for example, beside nesterov."
    return RangeError("momentum", momentum, must, remedy)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The facts of a training; an unknown one is None.

    A formula that needs a fact that is None raises an error that names both. A number
    may be a text, as 1e-3 from YAML; ``read_as`` then has how it was read. Defaults of
    momentum, dampening, nesterov and betas are those of the optimizer's own library.

    Args:
        lr: Peak learning rate, 0 or more; or the lr of every step, or of every epoch,
            in a list.
        schedule: Course of the lr over the run; or only its shape, ``"cosine"``.
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
        decay_schedule: The decay's own course over the run, as a multiple of the number
            that is typed: ``"cosine from 10%"``, ``"linear to 0"``.
        loss: ``"mean"`` over the examples of a batch, or their ``"sum"``.

    Raises:
        RangeError: If a fact is impossible or two facts contradict each other.
        UnknownNameError: If ``dtype``, ``loss`` or a schedule is not one that is known.
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
    momentum: float = NO_MOMENTUM
    dampening: float = NO_MOMENTUM
    nesterov: bool | None = None
    betas: tuple[float, float] = USUAL_BETAS
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
    decay_schedule: Schedule = _NO_SCHEDULE
    loss: str = "mean"
    read_as: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = self._read_lrs()
        self._read_numbers()
        self._read_schedules()
        self._read_lr_of_ends()
        if self.nesterov not in (None, True, False):
            must, remedy = "True, False or left out", "Write nesterov=True."
            raise RangeError("nesterov", repr(self.nesterov), must, remedy)
        self._set("dtype", dtype_named(self.dtype))
        if self.loss not in _LOSSES:
            raise UnknownNameError.among("loss", str(self.loss), _LOSSES)
        for name, within in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not within.holds(value):
                raise RangeError(name, value, within.must)
        self._refuse_contradictions()
        if rows:
            self._refuse_other_length(len(rows))
        for name in ("schedule", "decay_schedule"):
            schedule: Schedule = getattr(self, name)
            if schedule.counted:
                timed = schedule.timed(self.steps_per, steps=self.total_steps)
                self._set(name, timed)

    def _read_lrs(self) -> tuple[float, ...]:
        """Read a list of lrs as a schedule and its peak; return the list, if any."""
        given: Any = self.lr  # Any: callers may give anything
        is_text = isinstance(given, str) and "," in given
        if not (isinstance(given, list | tuple) or is_text) or (
            is_text and read_number(given) is not None
        ):
            return ()
        must = "one number, or two or more in a list, none below 0 and not all 0"
        rows = numbers_of("lr", given, must=must, remedy="Write lr=[0.1, 0.1, 0.01].")
        if not PARAMETERS["lrs"].holds(rows):
            raise RangeError("lr", f"{len(rows)} numbers", must)
        if self.is_given("schedule"):
            must, got = "one number beside a schedule", f"{len(rows)} numbers"
            raise RangeError("lr", got, must, "Leave the schedule out.")
        self._set("schedule", Schedule(shape="listed", lrs=rows))
        self._set("lr", max(rows))
        return rows

    def _refuse_other_length(self, rows: int) -> None:
        """Refuse a list of lrs that is neither one per step nor one per epoch."""
        planned = self._steps_of_epochs() if self.steps is None else self.steps
        if planned is None:
            self._set("steps", rows)
        elif rows not in {planned, self.epochs}:
            must = f"as many as steps, {planned:,}, or as epochs"
            remedy = "Leave steps and epochs out: one lr is one step then."
            raise RangeError("lr", f"{rows:,} lrs", must, remedy)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _read_schedules(self) -> None:
        for name in ("schedule", "decay_schedule"):
            given = getattr(self, name)
            if isinstance(given, str):
                self._set(name, Schedule(shape=given))
            elif not isinstance(given, Schedule):
                must = "a Schedule, or the name of a shape"
                remedy = (
                    f'Write {name}="cosine", or Schedule(shape="cosine", warmup=0.05).'
                )
                raise RangeError(name, repr(given), must, remedy)

    def _read_lr_of_ends(self) -> None:
        """Take the lr from a schedule whose ends are lrs, not shares of the peak."""
        peak, lr = self.schedule.peak, self.lr
        if peak is None:
            return
        ends = (self.schedule.start * peak, self.schedule.final * peak)
        if lr is not None and not any(math.isclose(lr, end) for end in ends):
            must = f"left out, or an end of {self.schedule.ends_of(peak)}"
            remedy = "Leave the lr out, or write the ends as shares of it: from 10%."
            raise RangeError("lr", lr, must, remedy)
        self._set("lr", peak)
        self._set("schedule", replace(self.schedule, peak=None))

    def _read_numbers(self) -> None:
        """Read numbers given as text, as 1e-3 from YAML, and note how each was read."""
        understood = []
        for name, within in _RANGES.items():
            given = getattr(self, name)
            # A float is not converted: a batch may be 12.5 examples on average.
            is_one = within.read in (number_of, whole_of)
            if given is None or isinstance(given, float if is_one else NotGiven):
                continue
            found = within.read(name, given)  # refuses what no float can hold
            # A list becomes a tuple, since runs are keys of caches.
            self._set(name, given if isinstance(given, int) else found)
            if isinstance(given, str) and isinstance(found, int | float):
                understood.append(how_it_was_read(name, given, found))
        self._set("read_as", tuple(filter(None, understood)))

    def is_given(self, fact: str) -> bool:
        """Return whether the fact was given, even if with the default value.

        Example:
            >>> Run(momentum=0.0).is_given("momentum"), Run().is_given("momentum")
            (True, False)

        """
        value = getattr(self, fact)
        if value is _NO_SCHEDULE:
            return False
        return value is not None and not isinstance(value, NotGiven)

    def _refuse_contradictions(self) -> None:
        batch, data = self.batch_size, self.dataset_size
        if batch is not None and data is not None and batch > data:
            remedy = (
                "One batch is the whole set then, and so is a step: give "
                f"batch_size={data}."
            )
            must = f"at most dataset_size, {data}"
            raise RangeError("batch_size", batch, must, remedy)
        # Without a given momentum the library's default holds, which may be above 0.
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
        """Return width (if all are equal), depth and weights of the layer sizes."""
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
            needed_for: The formula that needs it, as the subject of a sentence.

        Raises:
            MissingFactError: If the fact was not given.

        """
        value = getattr(self, fact)
        if value is None:
            value = self._of_units().get(fact)
        if value is None:
            option = _OPTIONS.get(fact) or option_of(fact)
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
        return self.rates().listed

    def rates(self) -> Rates:
        """Return the schedule's multipliers as a few functions, at any length."""
        return self.schedule.rates(self.total_steps)

    def decay_rates(self, lr_power: int) -> Rates:
        """Return the decay at every step over its peak, at any length.

        That is a power of the lr's multiplier, times that of the decay's own schedule.
        """
        steps = self.total_steps
        own = self.decay_schedule.rates(steps)
        if not lr_power:
            return own
        rates = self.schedule.rates(steps)
        if lr_power > 1:
            rates = rates.map(lambda m: m**lr_power)
        return rates if self.decay_schedule.is_constant else rates.times(own)

    @property
    def is_constant(self) -> bool:
        """Whether neither the lr nor the decay has a schedule."""
        return self.schedule.is_constant and self.decay_schedule.is_constant

    def quantities(self) -> dict[str, float]:
        """Return the quantities of scale that are known or follow from others.

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


# The fields that are numbers; parameters of a schedule are read by Schedule.
_RANGES = MappingProxyType(
    {
        each.name: within
        for each in fields(Run)
        if each.name in FACTS and (within := FACTS[each.name].range)
    }
)


class RunFacts(TypedDict, total=False):
    """Facts that the clocks of a half-life need, as arguments of a function."""

    batch_size: int | None
    dataset_size: int | None
    epochs: float | None
    steps: int | None
    tokens_per_example: float | None


def run_with(run: Run | None, **facts: Unpack[RunFacts]) -> Run:
    """Return a run with some facts replaced by those given beside it.

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
    # A batch counted in tokens has an unknown number of examples.
    if run.tokens_per_example is ONE_TOKEN and run.dataset_size is None:
        option = "--batch-size with --tokens-per-example, for --batch-tokens"
        raise MissingFactError("batch_size", "A half-life in examples", option)
    return 1 / run.examples_per_step


_IN_TOKENS = "A half-life in tokens"


_STEPS_PER: Mapping[Clock, Callable[[Run], float]] = MappingProxyType(
    {
        "steps": lambda _: 1.0,
        "examples": _steps_per_example,
        "epochs": lambda run: float(run.steps_per_epoch),
        "tokens": lambda run: (
            1 / (run.examples_per_step * run.require("tokens_per_example", _IN_TOKENS))
        ),
        "run": lambda run: float(run.total_steps),
    }
)


# Facts by name that no rule covers, though half-life and e-folds may depend on them.
FACTS_BESIDE_SCALE: Mapping[str, Callable[[Run], object]] = MappingProxyType(
    {
        "momentum": lambda run: run.momentum,
        "dampening": lambda run: run.dampening,
        "Nesterov": lambda run: run.nesterov,
        "schedule": lambda run: run.schedule.shape,
        "warm-up": lambda run: run.schedule.warmup,
        "final lr": lambda run: run.schedule.final,
        "fall of wsd": lambda run: run.schedule.decay_share,
        "decay schedule": lambda run: str(run.decay_schedule),
        "loss": lambda run: run.loss,
        "dtype": lambda run: run.dtype,
    }
)
