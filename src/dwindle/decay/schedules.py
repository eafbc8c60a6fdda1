"""Learning-rate schedules as exact per-step multipliers of the peak."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from dwindle.decay.facts import FACTS, Counted, NumberRange
from dwindle.decay.long_runs import Rates, Stretch
from dwindle.decay.read_numbers import (
    Clock,
    NotGiven,
    NumberNotGiven,
    read_number,
    read_times,
)
from dwindle.decay.shapes import ELSEWHERE, SHAPES, Numbers, Shape
from dwindle.errors import MissingFactError, RangeError, UnknownNameError
from dwindle.wording import listed

_WARMUP_REMEDY = (
    'Write a share of the steps, 0.05 or "5%", or count it: "500 steps", "5 epochs".'
)
_BOTH_ENDS = (
    'Write both ends, "cosine from 0.04 to 0.4"; or shares of the peak: '
    '"cosine from 10%", "linear to 0".'
)
# A longer list is shortened in a sentence.
_FEW = 6
# For example "cosine from 10% to 0".
_ENDS = re.compile(
    r"(?P<shape>[\w-]+)(\s+from\s+(?P<start>\S+))?(\s+to\s+(?P<final>\S+))?"
)


# Defaults that are known as not given: a shape may have others.
_FROM_PEAK, _TO_NOTHING, _A_FIFTH = map(NumberNotGiven, (1.0, 0.0, 0.2))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning rate over the run, as a multiple of its peak.

    A warm-up of ``W = round(warmup * steps)`` steps is ``(t + 1) / (W + 1)`` with step
    ``t`` counted from 0, so the first step already learns and step ``W`` is the peak.
    What follows is a record of :data:`SHAPES`, with its formula and its parameters.

    Args:
        shape: Name of the record, or its ends as well: ``"cosine from 10% to 100%"``.
        warmup: Share of all steps that the lr rises, in [0, 1); or a text with a clock,
            "500 steps" or "5 epochs", which a :class:`~dwindle.decay.run.Run` divides
            by its length, as the other times below.
        warmup_start: Fraction of the peak that step 0 of the warm-up has, where another
            library than torch begins at 0 or higher: step t is then at
            ``start + (1 − start) t/W``.
        start: Fraction of the peak that it begins with, in [0, 1].
        final: Fraction of the peak that a falling schedule tends to, in [0, 1].
        decay_share: Share of all steps in which ``wsd`` and its like fall, in (0, 1].
        power: Of ``polynomial``, above 0.
        gamma: What ``step``, ``multistep`` and ``exponential`` multiply by, in (0, 1].
        period: Share of all steps until the next factor, or until ``cosine-restarts``
            begins anew; or a text with a clock.
        growth: How much longer each next period of ``cosine-restarts`` is.
        milestones: Where ``multistep`` falls: shares, or "30,60,80 epochs".
        lrs: Every lr of ``listed``, spread evenly over the run.
        cycled_momentum: Momentum of ``one-cycle`` at the peak and at both ends.
        peak: The value of a multiple of 1, where both ends were given as values and not
            as shares: 0.4 for ``"cosine from 0.04 to 0.4"``.

    Raises:
        UnknownNameError: If there is no such shape.
        RangeError: If a parameter is out of range or not one of the shape, or ``wsd``
            has less room than its warm-up and its fall need.
        MissingFactError: If the shape needs a parameter that was not given.

    Example:
        >>> Schedule(shape="linear").multipliers(4)
        [1.0, 0.75, 0.5, 0.25]
        >>> Schedule(warmup=0.5).multipliers(4)
        [0.3333333333333333, 0.6666666666666666, 1.0, 1.0]
        >>> Schedule(shape="multistep", milestones=[0.5], gamma=0.5).multipliers(4)
        [1.0, 1.0, 0.5, 0.5]

    """

    shape: str = "constant"
    warmup: float = _TO_NOTHING
    warmup_start: float | None = None
    start: float = _FROM_PEAK
    final: float = _TO_NOTHING
    decay_share: float = _A_FIFTH
    power: float | None = None
    gamma: float | None = None
    period: float | None = None
    growth: float | None = None
    milestones: tuple[float, ...] | None = None
    lrs: tuple[float, ...] | None = None
    cycled_momentum: tuple[float, float] | None = None
    # Not compared: schedules of one course are equal.
    peak: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self._read_shape()
        record = SHAPES[self.shape]
        for name, within in PARAMETERS.items():
            self._read(name, within, record)
        for group in record.needs:
            if not any(getattr(self, name) for name in group):
                need, written = f"The schedule {self.shape}", FACTS[group[0]].written
                raise MissingFactError(group[0], need, written, owner="Schedule")
        self._refuse_contradictions(record)

    def _read_shape(self) -> None:
        """Read the name of the shape, and the ends if they follow it."""
        given = str(self.shape)  # a file may have any value here
        match = _ENDS.fullmatch(given.strip().casefold())
        shape = (match["shape"] if match else given).replace("_", "-")
        record = SHAPES.get(shape) or ELSEWHERE.get(shape)
        if match is None or record is None:
            raise UnknownNameError.among("schedule", given, tuple(SHAPES))
        for name, share in self._read_ends(
            start=match["start"], final=match["final"]
        ).items():
            object.__setattr__(self, name, share)
        object.__setattr__(self, "shape", record.name)

    def _read_ends(self, **texts: str | None) -> dict[str, float]:
        """Return both ends as shares of the peak, and the peak if ends are values."""
        given = {name: text for name, text in texts.items() if text is not None}
        ends = {name: read_number(text) or 0.0 for name, text in given.items()}
        for name, text in given.items():
            if read_number(text) is None or not 0 <= ends[name] < math.inf:
                raise RangeError(name, repr(text), "a number of at least 0", _BOTH_ENDS)
        # 0.04 is a value: shares are percentages, fractions, 0 or 1.
        plain = {
            name: end
            for name, end in ends.items()
            if end not in {0, 1} and not set(given[name]) & set("%/")
        }
        if not plain:
            # A schedule that begins low rises to the peak.
            return {"final": 1.0, **ends} if "start" in ends else ends
        if len(ends) < len(texts) or len(plain) + (0 in ends.values()) < len(texts):
            name, end = next(iter(plain.items()))
            must = "beside another end that is no share, as in from 0.04 to 0.4"
            raise RangeError(name, end, must, _BOTH_ENDS)
        peak = max(plain.values())
        return {**{name: end / peak for name, end in ends.items()}, "peak": peak}

    def ends_of(self, peak: float | None) -> str:
        """Return shape and ends as values; empty without ends.

        Example:
            >>> Schedule(shape="cosine from 10%").ends_of(0.4)
            'cosine from 0.04 to 0.4'

        """
        if not peak or self.is_constant or "start" not in SHAPES[self.shape].reads:
            return ""
        start, final = (f"{peak * end:.3g}" for end in (self.start, self.final))
        return f"{self.shape} from {start} to {final}"

    def _read(self, name: str, within: NumberRange, record: Shape) -> None:
        """Read and check one parameter, or take the default of the shape."""
        given = getattr(self, name)
        if given is None or isinstance(given, NotGiven):
            default = record.reads.get(name, given)
            default = default if given is None else NumberNotGiven(default)
            object.__setattr__(self, name, default)
            return
        remedy = _WARMUP_REMEDY if name == "warmup" else f"Write {FACTS[name].written}."
        found = within.read(name, given, remedy=remedy)
        object.__setattr__(self, name, found)
        if not isinstance(found, str) and not within.holds(found):
            raise RangeError(name, given, within.must, remedy)
        # Other facts may stand beside any shape; these would be ignored silently.
        neutral = next(each.default for each in fields(Schedule) if each.name == name)
        if name == "warmup_start":
            if record.rises:
                must = f"left out of {self.shape}, which begins at start"
                raise RangeError(name, given, must, "Write --start-lr 0.04.")
            return
        if neutral is None and name not in record.reads:
            reading = [each.name for each in SHAPES.values() if name in each.reads]
            must = f"left out of {self.shape}; it is for {listed(reading)}"
            remedy = f'Write --schedule {reading[0]}, or schedule="{reading[0]}".'
            raise RangeError(name, given, must, remedy)

    def _refuse_contradictions(self, record: Shape) -> None:
        # Decimal shares may add up to 1 plus a rounding error.
        falls_last = "decay_share" in record.reads and not self.counted
        if falls_last and self.warmup + self.decay_share > 1 + 1e-12:
            room = (
                "at most 1 together with decay_share, for the fall starts at the peak"
            )
            raise RangeError("warmup", self.warmup, room)
        if self.shape == "exponential" and self.gamma and self.final:
            must, remedy = "left out beside gamma", "Give one of them."
            raise RangeError("final", self.final, must, remedy)
        if record.rises or self.start == 1:
            return
        if "start" not in record.reads:
            must = f"left out of {self.shape}, which begins at its peak"
            raise RangeError("start", self.start, must)
        if self.final < 1 or self.warmup:
            must = "1, or final 1 and warmup 0: a schedule reaches its peak once"
            remedy = 'Write schedule="linear from 10%", for example.'
            raise RangeError("start", self.start, must, remedy)

    @property
    def counted(self) -> tuple[str, ...]:
        """Parameters that are still texts and count steps or epochs."""
        return tuple(
            name for name in PARAMETERS if isinstance(getattr(self, name), str)
        )

    def timed(self, steps_per: Callable[[Clock], float], *, steps: int) -> "Schedule":
        """Return the schedule with every counted time as a share of the run.

        Args:
            steps_per: Steps in one unit of a clock.
            steps: Length of the run.

        Raises:
            RangeError: If a warm-up is not shorter than the run, or a milestone is
                beyond it.
            MissingFactError: If the length of an epoch is not known.

        Example:
            >>> Schedule(warmup="5 epochs").timed(lambda _: 10.0, steps=100).warmup
            0.5

        """
        shares: dict[str, Any] = {}
        for name in self.counted:
            text = getattr(self, name)
            counts, clock = read_times(name, text)
            whole = [round(count * steps_per(clock)) for count in counts]
            if name != "period" and max(whole) >= steps:
                must = f"shorter than the run, {steps:,} steps"
                remedy = _WARMUP_REMEDY if name == "warmup" else "Give a longer run."
                raise RangeError(name, text, must, remedy)
            if min(whole) < 1 and name != "warmup":
                raise RangeError(name, text, "at least one step")
            parts = tuple(Counted(count / steps) for count in whole)
            shares[name] = parts if name == "milestones" else parts[0]
        return replace(self, **shares) if shares else self

    @property
    def is_constant(self) -> bool:
        """Whether every step has the peak lr."""
        is_flat = self.shape == "constant" or self.start == self.final == 1
        return self.warmup == 0 and is_flat

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the parameters that differ from the defaults of the shape."""
        usual = {each.name: each.default for each in fields(self) if each.compare}
        usual |= SHAPES[self.shape].reads
        return tuple(
            name for name, default in usual.items() if getattr(self, name) != default
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """Names of parameters that were given and that the shape does not read."""
        reads = {"warmup", *SHAPES[self.shape].reads}
        given = {name: getattr(self, name) for name in PARAMETERS if name not in reads}
        return tuple(k for k, v in given.items() if not isinstance(v, NotGiven | None))

    def __str__(self) -> str:
        own = (name for name in self.given if name in SHAPES[self.shape].reads)
        several = {name: getattr(self, name) for name in own if name != "final"}
        parts = [f"{name} {_written(value)}" for name, value in several.items()]
        warmup = f" with a warm-up of {_written(self.warmup)}" if self.warmup else ""
        final = f" to {self.final:g}" if "final" in self.given else ""
        more = f" ({', '.join(parts)})" if parts else ""
        return f"{self.shape}{final}{warmup}{more}"

    def multipliers(self, steps: int) -> list[float]:
        """Every step's lr as a fraction of the peak.

        Args:
            steps: Length of the run, at least 1.

        Returns:
            One number in [0, 1] per step.

        Raises:
            RangeError: If ``steps`` is below 1, or too many for a list.

        """
        return list(self.rates(steps).listed)

    def rates(self, steps: int) -> Rates:
        """Return the multipliers as a few smooth functions, for a run of any length.

        Raises:
            RangeError: If ``steps`` is below 1.

        """
        if steps < 1:
            raise RangeError("steps", steps, "at least 1")
        for name in self.counted:
            text = getattr(self, name)
            if read_times(name, text)[1] != "steps":
                must = "a share or steps where no run gives the length of an epoch"
                raise RangeError(name, text, must, _WARMUP_REMEDY)
        if self.counted:
            return self.timed(lambda _: 1.0, steps=steps).rates(steps)
        record = SHAPES[self.shape]
        peak = 0 if record.rises else round(self.warmup * steps)
        # The first lr is above 0; ``peak`` is the first step at 1.
        low = self.warmup_start
        rise = Stretch(
            start=0,
            stop=peak,
            at=lambda step: (
                (step + 1) / (peak + 1)
                if low is None
                else low + (1 - low) * step / peak
            ),
        )
        after = record.stretches(self._numbers(), peak, steps)
        return Rates(tuple(each for each in (rise, *after) if each.steps > 0))

    def _numbers(self) -> Numbers:
        found = {name: getattr(self, name) for name in PARAMETERS}
        return Numbers(**{name: x for name, x in found.items() if x is not None})

    def momentum_at(self, multiplier: float) -> float | None:
        """Return the momentum at a multiplier of the fall, or None if it is constant.

        Example:
            >>> cycle = Schedule(shape="one-cycle", final=0.0)
            >>> cycle.momentum_at(1.0), round(cycle.momentum_at(0.5), 9)
            (0.85, 0.9)

        """
        if self.cycled_momentum is None:
            return None
        least, most = self.cycled_momentum
        end = self.start if SHAPES[self.shape].returns else self.final
        return most - (most - least) * max(multiplier - end, 0.0) / (1 - end)

    def momenta(self, steps: int) -> Rates | None:
        """Return the momentum of every step, or None if it is constant."""
        if self.cycled_momentum is None:
            return None
        least, most = self.cycled_momentum
        # It falls as the lr rises from 0 to the peak, and rises as the lr falls.
        numbers = replace(self._numbers(), start=0.0, final=0.0)
        way = SHAPES[self.shape].stretches(numbers, 0, steps)
        rates = Rates(tuple(each for each in way if each.steps > 0))
        return rates.map(lambda there: most + (least - most) * there)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        few = value if len(value) <= _FEW else (value[0], "...", value[-1])
        return ", ".join(map(_written, few))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


PARAMETERS: Mapping[str, NumberRange] = MappingProxyType(
    {
        each.name: within
        for each in fields(Schedule)
        if each.name in FACTS and (within := FACTS[each.name].range)
    }
)
