"""What is known of one curve over λ, training by training, and what to train next."""

import math
from dataclasses import dataclass
from typing import Literal

from dwindle.stats.matters import Matters
from dwindle.stats.optimum import Edge

StoppedBecause = Literal["within", "trainings", "edge", "no effect", "no optimum"]

NO_DECAY = -math.inf  # ln 0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training that came to an end.

    ``x`` is ln λ, -inf for λ = 0; ``seed`` counts from 0 in the order of the design;
    ``loss`` is None where it diverged. ``failed`` marks a training that gave no result
    for a reason that is not λ: it is no evidence, and is not proposed again.
    """

    x: float
    seed: int
    loss: float | None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Design:
    """The request to a search: where, how exactly, with how many trainings.

    ``low`` and ``high`` are the decays (not logarithms) between which seed 0 starts;
    with a ``guess`` they may be left out. ``guess_spread`` is how far off the guess may
    be, as a standard deviation in ln λ. ``least`` and ``most`` are decays that an
    extended range never passes. ``within`` is the factor up to which λ is required, as
    the half width of its 90 % interval. ``zero`` adds trainings without decay.
    ``paired`` is False where trainings cannot share a seed: then a "seed" is the number
    of a replicate. ``seeds_together`` seeds are placed at a time, for trainings that
    run in parallel.
    """

    low: float | None = None
    high: float | None = None
    within: float = 1.25
    trainings: int = 25
    guess: float | None = None
    guess_spread: float = 0.8
    zero: bool = True
    paired: bool = True
    least: float = 0.0
    most: float = math.inf
    seeds_together: int = 1


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Trainings that may all run at once, as (ln λ, seed), or why there are none."""

    points: tuple[tuple[float, int], ...]
    why: str
    stopped_because: StoppedBecause | None = None


@dataclass(frozen=True, kw_only=True)
class ReadOut:
    """What the trainings so far show; decays, not logarithms.

    ``value`` is None with ``why_null``; ``low`` and ``high`` are the 90 % limits: None
    where there are too few seeds, 0 or infinity where the interval is open. With
    ``at_edge`` the value is only a bound: "at most" at the low edge, "at least" at the
    high one. ``paired`` is None while that is open. ``needed`` is about how many
    further seeds would give the required interval, ``matters_needed`` how many would
    decide whether decay matters; None where none are needed, or no number would do.
    ``gain`` is the mean of the paired differences of ln loss (or of the loss, where one
    is not positive) between λ = 0 and λ near the best, and ``gain_within`` the half
    width of its 90 % interval. ``harms`` has the λ of the first seed that are clearly
    worse than none, with the same difference: how much worse they are. ``curve`` is
    (λ, loss) of the mean curve.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    at_edge: Edge | None = None
    matters: Matters = "cannot tell"
    matters_why: str = ""
    gain: float | None = None
    gain_within: float | None = None
    harms: tuple[tuple[float, float], ...] = ()
    paired: bool | None = None
    seeds: int
    trainings: int
    needed: int | None = None
    matters_needed: int | None = None
    curve: tuple[tuple[float, float], ...] = ()
    log_scale: bool
    why_null: str | None = None

    @property
    def share_gained(self) -> tuple[float | None, float | None, float | None]:
        """The share of the loss that decay takes off, with its 90 % limits."""
        if self.gain is None or not self.log_scale:
            return None, None, None
        if self.gain_within is None:
            return -math.expm1(-self.gain), None, None
        sides = (0.0, -self.gain_within, self.gain_within)
        gain, low, high = (-math.expm1(-(self.gain + side)) for side in sides)
        return gain, low, high
