"""A loss curve over λ: some seeds, one grid, and the training without decay.

All λ of a seed share their initialization, data and order, so most of the variance
between seeds is common to the whole curve. Nothing here ever compares unpaired means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from dwindle.stats.student import FloatArray

SEEDS_FOR_AN_INTERVAL = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Losses of one cell at every candidate λ > 0, finite everywhere.

    ``log_decay`` is ln λ, rising, shape (points,); ``losses`` is (seeds, points);
    ``without_decay`` holds the loss at λ = 0 per seed, or None where a training
    without decay diverged or is missing. ``dropped`` are the λ that are no
    candidates because a seed diverged or failed there.
    """

    seeds: tuple[int, ...]
    log_decay: FloatArray
    losses: FloatArray
    without_decay: FloatArray | None
    dropped: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    @property
    def has_spread(self) -> bool:
        """Whether there are seeds enough for an interval and a verdict."""
        return self.n >= SEEDS_FOR_AN_INTERVAL

    @property
    def mean(self) -> FloatArray:
        """Mean loss over the seeds, shape (points,)."""
        mean: FloatArray = self.losses.mean(axis=0)
        return mean

    def only(self, seeds: Sequence[int]) -> Self:
        """Return the curve of some of its seeds, in their given order."""
        rows = [self.seeds.index(seed) for seed in seeds]
        without = self.without_decay
        return type(self)(
            seeds=tuple(seeds),
            log_decay=self.log_decay,
            losses=self.losses[rows],
            without_decay=None if without is None else without[rows],
            dropped=self.dropped,
        )


def curve_from_losses(
    weight_decay: FloatArray, losses: FloatArray, *, seeds: Sequence[int] | None = None
) -> Curve | None:
    """Build a curve from raw losses, where NaN marks a training that did not end well.

    A λ at which any seed is missing or diverged is no candidate for the optimum: the
    mean of the seeds that survived would be a mean of lucky ones.

    Args:
        weight_decay: λ ≥ 0, rising, shape (points,); 0 is the training without decay.
        losses: Loss by seed and λ, shape (seeds, points), NaN where there is none.
        seeds: Names of the rows; counted from 0 when left out.

    Returns:
        The curve, or None when no positive λ has a loss from every seed.

    Example:
        >>> curve = curve_from_losses(
        ...     np.array([0.0, 0.1, 1.0]), np.array([[3.0, 2.0, np.nan]])
        ... )
        >>> curve.dropped, curve.losses.tolist(), curve.without_decay.tolist()
        ((1.0,), [[2.0]], [3.0])

    """
    sound = np.isfinite(losses).all(axis=0)
    kept = sound & (weight_decay > 0)
    if not kept.any() or not len(losses):
        return None
    zero = np.flatnonzero(sound & (weight_decay == 0))
    return Curve(
        seeds=tuple(range(len(losses))) if seeds is None else tuple(seeds),
        log_decay=np.log(weight_decay[kept]),
        losses=losses[:, kept],
        without_decay=losses[:, zero[0]] if len(zero) else None,
        dropped=tuple(float(decay) for decay in weight_decay[~sound]),
    )
