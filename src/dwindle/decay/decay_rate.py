"""Decay rate: what each step takes off a weight, for a half-life under any lr."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from dwindle.decay.half_life import (
    HalfLife,
    half_life_from_shrink,
    shrink_from_half_life,
)
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, UnknownNameError

# The shrink of a step is the one at the peak lr times this power of lr/lr_peak.
POWERS: Mapping[str, int] = MappingProxyType(
    {"follow-lr": 1, "constant": 0, "lr-squared": 2}
)
_CLOCK_REMEDY = 'Write a number and a clock: "3 epochs", "500 steps".'


@dataclass(frozen=True, kw_only=True)
class DecayRate:
    """What a step takes off a weight so that it has a half-life while the lr changes.

    With ``s = 1 - 2 ** (-1 / h)`` for a half-life of ``h`` steps, a step at ``lr`` is

    - ``follow-lr``: ``s * lr / lr_peak``, as AdamW behaves: the half-life is the one at
      the peak lr;
    - ``constant``: ``s``, so the half-life is the same at every step;
    - ``lr-squared``: ``s * (lr / lr_peak) ** 2``.

    Args:
        shrink_at_peak: Fraction of the weight that a step at the peak lr takes off, in
            [0, 1).
        schedule: One of the three.
        lr_peak: Largest lr of the run, above 0; ``constant`` does not need it.

    Example:
        >>> rate = DecayRate(shrink_at_peak=0.01, lr_peak=0.1)
        >>> rate.shrink_at(0.1), rate.shrink_at(0.05), rate.shrink_at(0.0)
        (0.01, 0.005, 0.0)

    """

    shrink_at_peak: float
    schedule: str = "follow-lr"
    lr_peak: float | None = None

    def __post_init__(self) -> None:
        if self.schedule not in POWERS:
            raise UnknownNameError.among("schedule", self.schedule, tuple(POWERS))
        half_life_from_shrink(self.shrink_at_peak)  # the range is checked there
        # True is 1 in Python, and no lr.
        is_peak = self.lr_peak is None or (
            not isinstance(self.lr_peak, bool) and 0 < self.lr_peak < math.inf
        )
        if not is_peak:
            must = "the largest lr of the run, a finite number above 0"
            raise RangeError("lr_peak", self.lr_peak, must)
        if self.lr_peak is None and self.power:
            need = f'A half-life under schedule="{self.schedule}"'
            raise MissingFactError("lr_peak", need, "--lr-peak")

    @classmethod
    def of(
        cls,
        half_life: str | HalfLife,
        *,
        run: Run,
        schedule: str = "follow-lr",
        lr_peak: float | None = None,
    ) -> Self:
        """Read a half-life on any clock.

        Example:
            >>> run = Run(batch_size=10, dataset_size=1000)
            >>> DecayRate.of("3 epochs", run=run, lr_peak=0.1).half_life_steps
            300.0

        """
        shrink = shrink_from_half_life(read_half_life(half_life).in_steps(run))
        return cls(shrink_at_peak=shrink, schedule=schedule, lr_peak=lr_peak)

    @property
    def power(self) -> int:
        """The power of lr/lr_peak that the shrink is proportional to: 0, 1 or 2."""
        return POWERS[self.schedule]

    @property
    def half_life_steps(self) -> float:
        """Half-life in steps at the peak lr; ``inf`` where nothing decays."""
        # As long as was requested: 1 - 2**(-1/h) and back is off in the last digit.
        return float(f"{half_life_from_shrink(self.shrink_at_peak):.15g}")

    def shrink_at(self, lr: float) -> float:
        """Fraction of the weight that a step at this lr takes off."""
        if not 0 <= lr < math.inf:
            raise RangeError("lr", lr, "a finite number, 0 or more")
        shrink = float(self.shrink_of(lr))
        if shrink < 1:
            return shrink
        peak = self.lr_peak or 0.0
        most = peak * self.shrink_at_peak ** (-1 / self.power)
        must = (
            # Six digits: an lr just above must not read like the limit.
            f"below {most:g}, where a step takes the whole weight (lr_peak is {peak:g})"
        )
        remedy = "Give lr_peak=..., the largest lr of the run."
        raise RangeError("lr", lr, must, remedy)

    def shrink_of(self, lr: Any) -> Any:  # Any: a number that is being traced
        """Return :meth:`shrink_at` without its checks, also for a traced number."""
        if not self.power:
            return self.shrink_at_peak
        # lr/lr_peak first: at the peak it is exactly 1.
        return self.shrink_at_peak * (lr / self.lr_peak) ** self.power

    def remark_on_lrs(self, least: float, most: float) -> str:
        """Return a warning if a run goes above the peak; else an empty text."""
        self.shrink_at(least)
        self.shrink_at(most)
        # A peak that was read from a program may be rounded to 32 bits.
        if self.lr_peak is None or not self.power or most <= self.lr_peak * (1 + 1e-6):
            return ""
        return (
            f"The lr goes up to {most:g}, above lr_peak, {self.lr_peak:g}: there, "
            "weights decay faster than with the half-life that was requested."
        )


def read_half_life(half_life: str | HalfLife) -> HalfLife:
    """Return the half-life of a text; a number without a clock is refused."""
    if isinstance(half_life, HalfLife):
        return half_life
    if isinstance(half_life, str):
        return HalfLife.parse(half_life)
    raise RangeError("half_life", half_life, "a time with its clock", _CLOCK_REMEDY)


@contextmanager
def missing_facts_of(caller: str, *, has_epochs: bool = False) -> Iterator[None]:
    """Name a missing fact as an argument of the function that the user called."""
    try:
        yield
    except MissingFactError as error:
        error.caller, error.has_epochs = caller, has_epochs
        raise
