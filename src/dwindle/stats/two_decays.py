"""Is this difference noise? Two weight decays, compared as their rows allow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dwindle.stats.student import (
    SEEDS_FOR_AN_INTERVAL,
    half_width,
    seeds_to_settle,
    t_quantile,
)

_ERROR = 0.05  # of a one-sided test; the interval beside it is a 90 % one


@dataclass(frozen=True, kw_only=True)
class TwoDecays:
    """The difference of two decays and what it may be by noise.

    ``mean`` is the loss of the other minus that of the one, with its 90 % limits (None
    where nothing shows a spread); ``n`` the seeds that have both, or the smaller number
    of trainings where seeds do not pair. ``verdict`` is about the one; where it
    cannot be told, ``needed`` is about how many further seeds with both would tell,
    were the difference what it seems.
    """

    mean: float
    low: float | None
    high: float | None
    paired: bool
    n: int
    verdict: Literal["better", "worse", "cannot tell"]
    needed: int | None


def compare_two(one: Mapping[str, float], other: Mapping[str, float]) -> TwoDecays:
    """Compare two decays that were chosen before looking: other - one.

    Within seeds that have both, by a paired t interval; where fewer than three do, the
    two groups of trainings by Welch's. Losses are by seed, on the scale on which noise
    is even (a log loss); neither is empty.
    """
    both = sorted(one.keys() & other.keys())
    if len(both) >= SEEDS_FOR_AN_INTERVAL:
        differences = np.array([other[seed] - one[seed] for seed in both])
        half, n = half_width(differences), len(both)
        mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    else:
        first, second = np.array([*one.values()]), np.array([*other.values()])
        n = min(len(first), len(second))
        mean = float(second.mean() - first.mean())
        if n < 2:  # noqa: PLR2004 - one training has no spread
            return TwoDecays(
                mean=mean, low=None, high=None, paired=bool(both), n=n,
                verdict="cannot tell", needed=SEEDS_FOR_AN_INTERVAL - len(both),
            )  # fmt: skip
        spread = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)))
        # Welch's, of groups that may be spread differently.
        parts = [float(each.var(ddof=1)) / len(each) for each in (first, second)]
        sizes = len(first) - 1, len(second) - 1
        weights = sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
        degrees = sum(parts) ** 2 / weights if weights else min(sizes)
        t = t_quantile(1 - _ERROR, degrees_of_freedom=max(1, int(degrees)))
        half = t * math.sqrt(sum(parts))
    verdict: Literal["better", "worse", "cannot tell"] = "cannot tell"
    if abs(mean) > half:
        verdict = "better" if mean > 0 else "worse"
    needed = seeds_to_settle(mean, spread, have=n) if verdict == "cannot tell" else None
    return TwoDecays(
        mean=mean, low=mean - half, high=mean + half, n=n,
        paired=len(both) >= SEEDS_FOR_AN_INTERVAL,
        verdict=verdict, needed=needed,
    )  # fmt: skip
