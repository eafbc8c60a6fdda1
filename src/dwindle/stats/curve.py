"""A loss curve over λ: some seeds, one grid, the training without decay; read between.

All λ of a seed share their initialization, data and order, so most of the variance
between seeds is common to the whole curve. Nothing here ever compares unpaired means.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from dwindle.stats.student import SEEDS_FOR_AN_INTERVAL, FloatArray, scipy_module

_LEAST_LOSS = 1e-300  # a loss of exactly 0 has no logarithm

BoolArray = npt.NDArray[np.bool_]
Seed = TypeVar("Seed", bound=Hashable)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Losses of one cell at every candidate λ > 0, finite everywhere.

    ``log_decay`` is ln λ, rising, shape (points,); ``losses`` is (seeds, points).
    ``without_decay`` is the loss at λ = 0 per seed: infinite where that training
    diverged or stayed at chance, NaN where it is missing; None if no seed has one.
    ``dropped`` are the λ that are no candidates because a seed diverged or failed
    there; ``left_out`` counts trainings at chance among seeds that did train.
    """

    seeds: tuple[int, ...]
    log_decay: FloatArray
    losses: FloatArray
    without_decay: FloatArray | None
    dropped: tuple[float, ...] = ()
    left_out: int = 0

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.seeds)

    @property
    def has_spread(self) -> bool:
        """Whether there are seeds enough for an interval and a verdict."""
        return self.n >= SEEDS_FOR_AN_INTERVAL

    @property
    def log_losses(self) -> FloatArray:
        """Logarithm of the losses, the scale on which places are fitted.

        A seed whose network nearly collapsed weighs as a factor, not as a sum, and the
        side where losses explode stays a slope instead of a cliff.
        """
        logs: FloatArray = np.log(np.maximum(self.losses, _LEAST_LOSS))
        return logs

    @property
    def log_mean(self) -> FloatArray:
        """Mean log loss over the seeds, shape (points,)."""
        mean: FloatArray = self.log_losses.mean(axis=0)
        return mean

    @property
    def compared(self) -> tuple[int, ...]:
        """Seeds that also have a loss without decay."""
        without = self.without_decay
        if without is None:
            return ()
        pairs = zip(self.seeds, without, strict=True)
        return tuple(seed for seed, loss in pairs if np.isfinite(loss))

    def only(self, seeds: Sequence[int]) -> Self:
        """Return the curve of some of its seeds, in their given order."""
        if tuple(seeds) == self.seeds:
            return self
        rows = [self.seeds.index(seed) for seed in seeds]
        without = self.without_decay
        return type(self)(
            seeds=tuple(seeds),
            log_decay=self.log_decay,
            losses=self.losses[rows],
            without_decay=None if without is None else without[rows],
            dropped=self.dropped,
            left_out=self.left_out,
        )


def curve_from_losses(
    weight_decay: FloatArray,
    losses: FloatArray,
    *,
    seeds: Sequence[int] | None = None,
    untrained: BoolArray | None = None,
) -> Curve | None:
    """Build a curve from raw losses.

    A λ at which any seed is missing or diverged is no candidate for the optimum: the
    mean of the seeds that survived would be a mean of lucky ones. A network that stayed
    at chance where most seeds trained was not trained either, but not by this λ: its
    loss is replaced by what its seed and its λ predict from all others. Where half of
    the seeds or more are at chance the λ ruins training, and their losses count. None
    where no positive λ has a loss from every seed, or all of them are at chance.

    ``weight_decay`` is λ ≥ 0, rising, (points,); ``losses`` (seeds, points) are NaN
    where one is missing and infinite where it diverged.

    Example:
        >>> curve = curve_from_losses(
        ...     np.array([0.0, 0.1, 1.0]), np.array([[3.0, 2.0, np.nan]])
        ... )
        >>> curve.dropped, curve.losses.tolist(), curve.without_decay.tolist()
        ((1.0,), [[2.0]], [3.0])

    """
    if untrained is None:
        untrained = np.zeros(losses.shape, dtype=bool)
    positive = weight_decay > 0
    kept = np.isfinite(losses).all(axis=0) & positive
    ruined = 2 * untrained.sum(axis=0) >= len(losses)
    if not len(losses) or not (kept & ~ruined).any():
        return None
    absent = (untrained & ~ruined)[:, kept]
    without = np.where(untrained, np.inf, losses)[:, ~positive]
    is_unknown = not without.shape[1] or np.isnan(without).all()
    return Curve(
        seeds=tuple(range(len(losses))) if seeds is None else tuple(seeds),
        log_decay=np.log(weight_decay[kept]),
        losses=_completed(losses[:, kept], absent) if absent.any() else losses[:, kept],
        without_decay=None if is_unknown else without[:, 0],
        dropped=tuple(float(decay) for decay in weight_decay[positive & ~kept]),
        left_out=int(absent.sum()),
    )


def _completed(losses: FloatArray, absent: BoolArray) -> FloatArray:
    """Fill absent losses with seed effect + λ effect, both fitted to the log losses."""
    logs = np.log(np.maximum(losses, _LEAST_LOSS))
    others = np.where(absent, np.nan, logs)
    filled = np.where(absent, np.nanmean(others, axis=0), logs)
    # Each round leaves at most half of the distance: as many as a double has bits.
    for _ in range(53):
        seed, decay = filled.mean(axis=1), filled.mean(axis=0)
        predicted = seed[:, None] + decay - filled.mean()
        filled = np.where(absent, predicted, logs)
    return np.where(absent, np.exp(filled), losses)


def lost_seeds(ended: Mapping[float, Mapping[Seed, Sequence[bool]]]) -> set[Seed]:
    """Return seeds that diverged at most of their λ, even where others trained.

    They are no evidence about λ, and would rule out every λ for the other seeds. First
    those that never trained, for they count against every λ; then those that diverged
    at more than half of the λ where less than half of the trainings did.

    Args:
        ended: λ -> seed -> whether each of its trainings there ended.

    Returns:
        The seeds; none of them if no other seed would be left.

    """
    seeds, lost = set[Seed]().union(*ended.values()), set[Seed]()
    for most_diverged in (1.0, 1 / 2):
        of_seeds: dict[Seed, list[bool]] = {}
        for of_decay in ended.values():
            there = {seed: each for seed, each in of_decay.items() if seed not in lost}
            every = [did for each in there.values() for did in each]
            share = every.count(False) / max(1, len(every))
            if share < most_diverged or most_diverged == 1:
                for seed, each in there.items():
                    of_seeds.setdefault(seed, []).append(all(each))
        # Where a seed has one λ, either of the two may be the cause.
        gone = {
            seed
            for seed, each in of_seeds.items()
            if len(each) > 1
            and (not any(each) or sum(each) < len(each) * (1 - most_diverged))
        }
        if seeds - lost - gone:
            lost |= gone
    return lost


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveReading:
    """Losses of all seeds at one λ; ``beyond`` if the grid ends before it."""

    values: FloatArray
    beyond: bool


def read_losses(curve: Curve, log_decay: float) -> CurveReading:
    """Read every seed's loss at any ln λ, shape (seeds,).

    On the steep side of a curve the log loss is far closer to a polynomial than the
    loss. Beyond the grid the value at its edge is returned: the regret is then at
    least so much.

    Example:
        >>> curve = Curve(
        ...     seeds=(0,),
        ...     log_decay=np.arange(5.0),
        ...     losses=np.exp(np.array([[4.0, 1.0, 0.0, 1.0, 4.0]])),
        ...     without_decay=None,
        ... )
        >>> round(float(np.log(read_losses(curve, 2.5).values[0])), 9)
        0.25

    """
    first, last = float(curve.log_decay[0]), float(curve.log_decay[-1])
    inside = min(max(log_decay, first), last)
    values = np.exp(read_log_losses(curve, np.full(curve.n, inside)))
    # Rounding of exp(ln λ) must not turn the last λ into one beyond the grid.
    beyond = abs(inside - log_decay) > 1e-9 * max(1.0, abs(log_decay))
    return CurveReading(values=values, beyond=beyond)


def read_log_losses(curve: Curve, places: FloatArray) -> FloatArray:
    """Return the log loss of seed s at ``places[s]``, ln λ within the grid."""
    read: FloatArray = np.diagonal(read_log_table(curve, places))
    return read


def read_log_table(curve: Curve, places: FloatArray) -> FloatArray:
    """Return the log loss of every seed at every ln λ within the grid, (places, seeds).

    By a cubic spline of the log losses. It passes through every point, and is the most
    accurate reading of a real curve; but where points are far apart or a wall begins it
    swings to losses that no training ever had. So each reading is clipped to what the
    two trained λ around it allow.
    """
    x, logs = curve.log_decay, curve.log_losses
    # A spline needs two points.
    if len(x) == 1:
        return np.repeat(logs.T, len(places), axis=0)
    spline, dips = _between(curve)
    left = np.clip(np.searchsorted(x, places, side="right") - 1, 0, len(x) - 2)
    one, other = logs[:, left], logs[:, left + 1]
    lowest = np.minimum(one, other) - dips[:, left]
    read: FloatArray = np.clip(spline(places), lowest, np.maximum(one, other)).T
    return read


@lru_cache(maxsize=64)  # every rule reads the same cells of an axis
def _between(curve: Curve) -> tuple[Callable[[FloatArray], FloatArray], FloatArray]:
    """Return the spline, and how far it may dip in an interval, (seeds, intervals)."""
    x, logs = curve.log_decay, curve.log_losses
    # A parabola of curvature c dips at most c·gap²/8 below two points that are a gap
    # apart; of the two curvatures at an interval's ends the smaller one counts, and
    # only intervals at the lowest point of three may hold a minimum.
    gaps = np.diff(x)
    curvature = np.zeros_like(logs)
    # The second derivative from three points whose gaps may differ.
    bends = 2 * np.diff(np.diff(logs, axis=1) / gaps, axis=1)
    curvature[:, 1:-1] = bends / (gaps[:-1] + gaps[1:])
    ends = np.minimum(curvature[:, :-1], curvature[:, 1:])
    spline = scipy_module("scipy.interpolate").CubicSpline(x, logs, axis=1)
    return spline, np.maximum(ends, 0) * gaps**2 / 8
