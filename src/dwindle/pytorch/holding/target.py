"""Target: what a controller shall hold, as it was asked, and what each group owes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from dwindle.decay.decay_rate import POWERS, DecayRate, read_half_life
from dwindle.decay.half_life import HalfLife, shrink_from_half_life
from dwindle.decay.run import Run
from dwindle.errors import RangeError, UnknownNameError, UsageError

_EXAMPLE = 'Write half_life="3 epochs", or penalty=1e-4 for SGD, one of the two.'


@dataclass(frozen=True, kw_only=True)
class Target:
    """A half-life on some clock, or a penalty, with the facts of the run.

    Raises:
        UsageError: If half-life and penalty are both given, or neither.
        UnknownNameError: If the schedule is none of the three.
        RangeError: If the penalty is not a finite number of at least 0.

    """

    half_life: HalfLife | None = None
    penalty: float | None = None
    schedule: str = "follow-lr"
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        if (self.half_life is None) == (self.penalty is None):
            must = "A controller must hold a half-life or a penalty."
            got = "neither" if self.penalty is None else "both"
            raise UsageError(must, got, _EXAMPLE)
        if self.penalty is not None and not 0 <= self.penalty < math.inf:
            raise RangeError("penalty", self.penalty, "a finite number of at least 0")
        if self.schedule not in POWERS:
            raise UnknownNameError.among("schedule", self.schedule, tuple(POWERS))

    @classmethod
    def of(
        cls,
        half_life: str | HalfLife | None,
        penalty: float | None,
        *,
        schedule: str,
        run: Run,
    ) -> Self:
        """Read what a user wrote; a half-life without a clock is refused."""
        read = None if half_life is None else read_half_life(half_life)
        return cls(half_life=read, penalty=penalty, schedule=schedule, run=run)

    @property
    def needs_peak(self) -> bool:
        """Whether the decay of a step depends on the largest lr of the run."""
        return self.half_life is not None and POWERS[self.schedule] > 0

    @property
    def half_life_steps(self) -> float | None:
        """The half-life in optimizer steps; None where a penalty is held.

        Raises:
            MissingFactError: If its clock needs a fact that the run does not have.

        """
        return None if self.half_life is None else self.half_life.in_steps(self.run)

    def ask_for_facts(self) -> None:
        """Raise what half_life_steps raises, before anything is looked at."""
        _ = self.half_life_steps

    def rate(self, *, decay_scale: float, lr_peak: float | None) -> DecayRate:
        """Return what a step has to take where the decay is multiplied.

        Args:
            decay_scale: Multiple of the decay, above 0.
            lr_peak: Largest lr of the run; None where none is known.

        Raises:
            MissingFactError: If the schedule needs a peak and there is none.
            RangeError: If the peak is not a finite number above 0.

        """
        half_life_steps = self.half_life_steps or math.inf
        return DecayRate(
            shrink_at_peak=shrink_from_half_life(half_life_steps / decay_scale),
            schedule=self.schedule,
            lr_peak=lr_peak if self.needs_peak else None,
        )

    def with_batch_size(self, batch_size: int) -> "Target":
        """Return the same wish for steps of another number of examples."""
        return replace(self, run=replace(self.run, batch_size=batch_size))

    def __str__(self) -> str:
        if self.half_life is None:
            return f"a penalty of {self.penalty:g}"
        return f"a half-life of {self.half_life}, {self.schedule}"

    def as_dict(self) -> Mapping[str, object]:
        """Return what a checkpoint says of the wish."""
        half_life = None if self.half_life is None else str(self.half_life)
        return {
            "half_life": half_life,
            "penalty": self.penalty,
            "schedule": self.schedule,
        }
