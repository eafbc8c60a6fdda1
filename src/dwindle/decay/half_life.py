"""HalfLife: how long a weight with zero gradient takes to halve, on a clock."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, Self

from dwindle.decay.read_numbers import CLOCKS, TIME_REMEDY, Clock, read_time
from dwindle.errors import RangeError, UnknownNameError


class Timed(Protocol):
    """The part of a run that a half-life needs: its steps on a clock."""

    @property
    def total_steps(self) -> float:
        """Number of optimizer steps of the run."""

    def steps_per(self, clock: Clock) -> float:
        """Return the optimizer steps of one unit of the clock."""


@dataclass(frozen=True)
class HalfLife:
    """Time until a weight with zero gradient has halved.

    Args:
        value: Above 0; ``inf`` where nothing decays.
        clock: steps, examples, epochs, tokens, or ``run`` (a share: 0.2 is 20 %).

    Raises:
        RangeError: If the value is not above 0.
        UnknownNameError: If there is no such clock.

    Example:
        >>> print(HalfLife.parse("3 epochs"), HalfLife(0.2, "run"), sep=" / ")
        3 epochs / 20% of the run
        >>> HalfLife.parse("50k examples")
        HalfLife(value=50000.0, clock='examples')

    """

    value: float
    clock: Clock

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise UnknownNameError.among("clock", self.clock, CLOCKS, TIME_REMEDY)
        # True is 1 in Python; ``not >`` refuses NaN, which ``<=`` would let through.
        if isinstance(self.value, bool) or not self.value > 0:
            raise RangeError("half_life", self.value, "above 0", TIME_REMEDY)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "3 epochs", "1.5e9 tokens", "50k examples" or "20% of the run".

        Args:
            text: A number, as :func:`~dwindle.decay.read_numbers.read_number` has it,
                and a clock. A percentage is always one of the run.

        Raises:
            RangeError: If the text is not a number and a clock.
            UnknownNameError: If the clock is not one that dwindle knows.

        """
        value, clock = read_time("half_life", text)
        return cls(value, clock)

    def __str__(self) -> str:
        if self.clock == "run":
            # Decimals: 0.07 times 100 is 7.000000000000001 in floats.
            return f"{_plain(Decimal(repr(float(self.value))).scaleb(2))}% of the run"
        unit = self.clock.removesuffix("s") if self.value == 1 else self.clock
        return f"{_plain(Decimal(repr(float(self.value))))} {unit}"

    def in_steps(self, run: Timed) -> float:
        """Return the half-life in optimizer steps.

        Raises:
            MissingFactError: If the clock needs a fact that the run does not have.

        """
        return self.value * run.steps_per(self.clock)

    @classmethod
    def from_steps(cls, half_life_steps: float, *, clock: Clock, run: Timed) -> Self:
        """Return the half-life of so many steps on another clock.

        Raises:
            MissingFactError: If the clock needs a fact that the run does not have.
            UnknownNameError: If there is no such clock.

        """
        return cls(half_life_steps / run.steps_per(clock), clock)


def _plain(number: Decimal) -> str:
    """Print without an exponent where that stays readable; parses back exactly."""
    if not number.is_finite():
        return "inf"
    number = number.normalize()
    # From 0.00001 up to a billion the zeros are counted at a glance.
    readable = -5 <= number.adjusted() < 9  # noqa: PLR2004
    return f"{number:f}" if readable else f"{number:e}".replace("e+", "e")


def half_life_from_shrink(shrink_per_step: float) -> float:
    """Steps until a weight that only decays has lost half of its size.

    One step multiplies the weight by ``1 - shrink``, so the half-life is
    ``-ln 2 / ln(1 - shrink)``. Inverse: :func:`shrink_from_half_life`.

    Args:
        shrink_per_step: Fraction of the weight that one step removes, in [0, 1).

    """
    if not 0 <= shrink_per_step < 1:
        raise RangeError("shrink_per_step", shrink_per_step, "a fraction in [0, 1)")
    if shrink_per_step == 0:
        return math.inf
    # log1p: at a usual shrink of 1e-5, log(1 - shrink) would lose 5 of 16 digits.
    return -math.log(2) / math.log1p(-shrink_per_step)


def shrink_from_half_life(half_life_steps: float) -> float:
    """Fraction that one step takes off a weight of this half-life.

    ``1 - 2 ** (-1 / half_life_steps)``. Inverse: :func:`half_life_from_shrink`.

    Args:
        half_life_steps: Above 0; ``inf`` gives 0.

    """
    if not half_life_steps > 0:
        raise RangeError("half_life_steps", half_life_steps, "above 0")
    # expm1, as log1p above: 1 - 2 ** (-1/n) cancels where the half-life is long.
    return -math.expm1(-math.log(2) / half_life_steps)


def average_half_life_steps(e_folds: float, *, run: Timed) -> float:
    """Half-life of the constant decay that leaves as much after the run.

    ``ln 2 * total steps / e_folds``: the run average beside the one at the peak lr.
    """
    if not e_folds >= 0:
        raise RangeError("e_folds", e_folds, "at least 0")
    return math.inf if e_folds == 0 else math.log(2) * run.total_steps / e_folds


def checked_knob(knob: float) -> float:
    """Return the knob if it is a finite number of at least 0."""
    if not 0 <= knob < math.inf:
        raise RangeError("weight_decay", knob, "a finite number of at least 0")
    return knob


def checked_shrink(shrink_per_step: float) -> float:
    """Return the shrink if it has a half-life."""
    if not 0 <= shrink_per_step < 1:
        must = "a fraction in [0, 1): a step cannot take more than the whole weight"
        remedy = "Lower the weight decay or the learning rate."
        raise RangeError("shrink_per_step", shrink_per_step, must, remedy)
    return shrink_per_step


def checked_e_folds(e_folds: float) -> float:
    """Return the e-folds if some knob can give them."""
    if not 0 <= e_folds < math.inf:
        raise RangeError("e_folds", e_folds, "a finite number of at least 0")
    return e_folds
