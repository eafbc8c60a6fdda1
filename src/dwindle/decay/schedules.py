"""Learning-rate schedules as exact per-step multipliers of the peak."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

from dwindle.decay.long_runs import Rates, Stretch
from dwindle.decay.read_numbers import number_of, read_number, read_time
from dwindle.errors import RangeError, UnknownNameError

Shape = Literal["constant", "linear", "cosine", "wsd"]
_WARMUP_REMEDY = (
    'Write a share of the steps, 0.05 or "5%", or count it: "500 steps", "5 epochs".'
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning rate over the run, as a multiple of its peak.

    With ``W = round(warmup * steps)``, step ``t`` counted from 0 and
    ``p = (t - W) / (steps - W)``:

    - warm-up, ``t < W``: ``(t + 1) / (W + 1)``, so the first step already learns and
      step ``W`` is the peak;
    - ``constant``: 1;
    - ``linear``: ``1 - (1 - final) p``;
    - ``cosine``: ``final + (1 - final) (1 + cos(pi p)) / 2``;
    - ``wsd`` (warm-up, stable, decay): 1, then linear to ``final`` over the last
      ``decay_share`` of all steps.

    Args:
        shape: What happens after the warm-up.
        warmup: Share of all steps that the lr rises, in [0, 1); or a text with a clock,
            "500 steps" or "5 epochs", which a :class:`~dwindle.decay.run.Run` divides
            by its length.
        final: Fraction of the peak that a falling schedule heads for, in [0, 1].
        decay_share: Share of all steps in which ``wsd`` falls, in (0, 1].

    Raises:
        UnknownNameError: If the shape is not one of the four.
        RangeError: If a share or fraction is out of range, or ``wsd`` has less room
            than its warm-up and its fall need.

    Example:
        >>> Schedule(shape="linear").multipliers(4)
        [1.0, 0.75, 0.5, 0.25]
        >>> Schedule(warmup=0.5).multipliers(4)
        [0.3333333333333333, 0.6666666666666666, 1.0, 1.0]

    """

    shape: Shape = "constant"
    warmup: float = 0.0
    final: float = 0.0
    decay_share: float = 0.2

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise UnknownNameError.among("schedule", self.shape, get_args(Shape))
        for name in ("warmup", "final", "decay_share"):
            self._read_text(name)
        if not self.has_counted_warmup and not 0 <= self.warmup < 1:
            must = "a share of the steps in [0, 1)"
            raise RangeError("warmup", self.warmup, must, _WARMUP_REMEDY)
        if not 0 <= self.final <= 1:
            raise RangeError("final", self.final, "a fraction of the peak in [0, 1]")
        if not 0 < self.decay_share <= 1:
            raise RangeError("decay_share", self.decay_share, "a share in (0, 1]")
        # Shares that are written as decimals may add up to 1 and a rounding error.
        falls_last = self.shape == "wsd" and not self.has_counted_warmup
        if falls_last and self.warmup + self.decay_share > 1 + 1e-12:
            room = (
                "at most 1 together with decay_share, for the fall starts at the peak"
            )
            raise RangeError("warmup", self.warmup, room)

    def _read_text(self, name: str) -> None:
        text = getattr(self, name)
        if not isinstance(text, str):
            object.__setattr__(self, name, number_of(name, text))
            return
        number = read_number(text)
        if number is None and name == "warmup":
            count, clock = read_time(name, text, _WARMUP_REMEDY)
            # A count waits for a run, and stays the text that it was.
            number = count if clock == "run" or count <= 0 else None
        elif number is None:
            raise RangeError(name, repr(text), "a number", f"Write {name}=0.1.")
        if number is not None:
            object.__setattr__(self, name, number)

    @property
    def has_counted_warmup(self) -> bool:
        """Whether the warm-up is still a text that counts steps or epochs."""
        return isinstance(self.warmup, str)

    def warmed_up_for(self, count: float, *, steps: int) -> "Schedule":
        """Return the schedule with a warm-up of so many of ``steps`` steps.

        Raises:
            RangeError: If the warm-up is not shorter than the run.

        """
        if not count < steps:
            must = f"shorter than the run, {steps:,} steps"
            raise RangeError("warmup", self.warmup, must, _WARMUP_REMEDY)
        return replace(self, warmup=round(count) / steps)

    @property
    def is_constant(self) -> bool:
        """Whether every step has the peak lr."""
        return self.warmup == 0 and (self.shape == "constant" or self.final == 1)

    def multipliers(self, steps: int) -> list[float]:
        """Every step's lr as a fraction of the peak.

        Args:
            steps: Length of the run, at least 1.

        Returns:
            One number in [0, 1] per step.

        Raises:
            RangeError: If ``steps`` is below 1, or too many for a list.

        """
        return list(self.cached_multipliers(steps))

    def cached_multipliers(self, steps: int) -> tuple[float, ...]:
        """Return :meth:`multipliers` as a tuple that all callers share."""
        return _multipliers(self, steps)

    def rates(self, steps: int) -> Rates:
        """Return the multipliers as a few smooth functions, for a run of any length.

        Raises:
            RangeError: If ``steps`` is below 1.

        """
        if steps < 1:
            raise RangeError("steps", steps, "at least 1")
        if self.has_counted_warmup:
            count, clock = read_time("warmup", str(self.warmup), _WARMUP_REMEDY)
            if clock != "steps":
                must = "a share or steps where no run gives the length of an epoch"
                raise RangeError("warmup", self.warmup, must, _WARMUP_REMEDY)
            return self.warmed_up_for(count, steps=steps).rates(steps)
        peak = round(self.warmup * steps)
        # From above 0, so that no step is wasted; ``peak`` is the first step at 1.
        rise = Stretch(start=0, stop=peak, at=lambda step: (step + 1) / (peak + 1))
        after = _AFTER_WARMUP[self.shape](self, peak, steps)
        return Rates(tuple(each for each in (rise, *after) if each.steps))


def _constant(_: Schedule, first: int, steps: int) -> list[Stretch]:
    return [Stretch(start=first, stop=steps, at=lambda _: 1.0)]


def _linear(schedule: Schedule, first: int, steps: int) -> list[Stretch]:
    # The step after the last one would be at ``final``, as in torch and transformers.
    fall, span = 1 - schedule.final, steps - first
    return [
        Stretch(
            start=first, stop=steps, at=lambda step: 1 - fall * ((step - first) / span)
        )
    ]


def _cosine(schedule: Schedule, first: int, steps: int) -> list[Stretch]:
    final, span, cos = schedule.final, steps - first, math.cos
    swing = (1 - final) / 2

    def at(step: float) -> float:
        return final + swing * (1 + cos(math.pi * ((step - first) / span)))

    return [Stretch(start=first, stop=steps, at=at)]


def _wsd(schedule: Schedule, first: int, steps: int) -> list[Stretch]:
    # Rounding both shares may take one step more than there is.
    span = min(round(schedule.decay_share * steps), steps - first)
    fall = steps - span
    return _constant(schedule, first, fall) + _linear(schedule, fall, steps)


_AFTER_WARMUP: Mapping[str, Callable[[Schedule, int, int], list[Stretch]]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _wsd,
}


# A conversion asks for the same run several times; a long run has a million steps.
@lru_cache(maxsize=8)
def _multipliers(schedule: Schedule, steps: int) -> tuple[float, ...]:
    return schedule.rates(steps).listed
