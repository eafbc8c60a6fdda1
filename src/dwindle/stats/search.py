"""What the trainings of a search show: the best λ, its interval, whether it matters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dwindle.stats.matters import NEGLIGIBLE_SHARE, Matters
from dwindle.stats.optimum import Edge
from dwindle.stats.points import NO_DECAY, Design, Point
from dwindle.stats.process import (
    GRID_STEP,
    FittedProcess,
    IntArray,
    Process,
    fit_processes,
)
from dwindle.stats.regret import limits_of
from dwindle.stats.student import (
    MOST_SEEDS,
    SEEDS_FOR_AN_INTERVAL,
    FloatArray,
    coin_wins,
    half_width,
    means_of,
    scipy_module,
    seeds_to_settle,
    t_quantile,
)
from dwindle.wording import counted

BoolArray = npt.NDArray[np.bool_]

POINTS_THAT_DIFFER = 3  # two equal losses may be chance where a metric has few digits
# What is lost between the λ that were trained, in ln λ (half width of a 90 % interval):
# as in ``optimum``, it keeps curves without noise from overconfidence. Half of what two
# readings of the curve lie apart is lost as well, where that is more.
FLOOR = 0.12
NEIGHBORS = 1.2  # in ln λ: the widest pair on both sides of the best λ
# A place that is so many standard errors worse than the best is outside of an interval
# of 90 %, also of one that few seeds make wide.
CLEARLY_WORSE, CURVE_PLACES = 3.0, 241  # places .04 apart in ln λ
NORMAL_REACH = 1.645  # standard deviations from the middle to the 95 % quantile
# Whether decay matters is tested after each of n seeds: after three at a separate rate,
# since a search hardly ever ends there, then at ``ERROR_RATE`` / n. With normal noise
# that is wrong in 5 % of searches by four seeds and in 10 % by 24, and finds a gain of
# four standard errors in 88 % with four seeds, 91 % with five, 93 to 95 % with more. A
# constant rate of 4 % was wrong in 9 % by six seeds, 18 % by 24.
ERROR_RATE, ERROR_RATE_OF_THREE = 0.165, 0.02
# All of four seeds that train with decay and diverge without it: 1/16 by chance.
SIGN_TEST_ERROR_RATE = 0.07
# Of losses that are not positive no share is known. The seeds of small networks differ
# by 10 % of the loss, of which ``NEGLIGIBLE_SHARE`` is a fifth; so a fifth it is there.
NEGLIGIBLE_LUCK = 0.2
# Of a wrong yes, and of a wrong no. With five seeds on real curves: of 48 searches that
# pair 29 get a yes and 6 a no, of 48 that do not pair one gets a yes.
PAIRING_ERROR_RATE = 0.1
# Differences within seeds that the mean curve follows: a pair, and λ = 0 beside it.
TAKEN_BY_CURVE = 2


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Whether decay matters.

    ``gain`` is the mean of y(0) - y(near the best λ), ``gain_within`` the half width of
    its 90 % interval.
    """

    matters: Matters
    why: str
    gain: float | None = None
    gain_within: float | None = None
    needed: int | None = None


class Losses(NamedTuple):
    """Trainings that gave a loss, by seed and ln λ: (n,) each, no place twice."""

    x: FloatArray
    y: FloatArray
    seeds: IntArray

    def only(self, kept: BoolArray) -> "Losses":
        """Return some of them, by a mask."""
        return Losses(self.x[kept], self.y[kept], self.seeds[kept])


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """All trainings of a search, by seed and ln λ; what they show is computed once.

    ``y`` below is a log loss, or the loss itself where one is not positive. ``losses``
    is NaN where a training diverged or ``failed``.
    """

    design: Design
    x: FloatArray
    seeds: IntArray
    losses: FloatArray
    failed: BoolArray

    @classmethod
    def of(cls, points: Sequence[Point], design: Design) -> Self:
        """Return the search of trainings in any order."""
        x = np.array([p.x for p in points], dtype=float)
        seeds = np.array([p.seed for p in points], dtype=int)
        every = cls(
            design=design,
            x=x,
            seeds=seeds,
            losses=np.array([p.loss for p in points], dtype=float),  # None is NaN
            failed=np.array([p.failed for p in points], dtype=bool),
        )
        return every.only(np.lexsort((x, seeds)))

    def only(self, kept: IntArray | slice) -> Self:
        """Return some of the trainings."""
        return type(self)(
            design=self.design,
            x=self.x[kept],
            seeds=self.seeds[kept],
            losses=self.losses[kept],
            failed=self.failed[kept],
        )

    def before(self, seed: int) -> Self:
        """Return the search as it was before this seed."""
        return self.only(slice(int(np.searchsorted(self.seeds, seed))))

    @cached_property
    def log_scale(self) -> bool:
        """Whether y is ln loss: all losses are positive."""
        return not (self.losses <= 0).any()

    @cached_property
    def read(self) -> Losses:
        """What can be read; of a place that was trained twice, the mean."""
        kept = ~np.isnan(self.losses)
        x, seeds, losses = self.x[kept], self.seeds[kept], self.losses[kept]
        y = np.log(losses) if self.log_scale else losses
        is_new = np.ones(len(x), dtype=bool)
        is_new[1:] = (x[1:] != x[:-1]) | (seeds[1:] != seeds[:-1])
        return Losses(x[is_new], means_of(y, np.cumsum(is_new) - 1), seeds[is_new])

    @cached_property
    def decayed(self) -> Losses:
        """``read`` without those at λ = 0."""
        return self.read.only(self.read.x > NO_DECAY)

    @property
    def without_loss(self) -> BoolArray:
        """Which trainings diverged, as a mask."""
        return np.isnan(self.losses) & ~self.failed

    @cached_property
    def diverged(self) -> tuple[float, ...]:
        """Ln λ > 0 at which a training diverged.

        A seed that diverged everywhere where others trained shows nothing of λ.
        """
        trained = np.isin(self.seeds, self.read.seeds)
        if not self.design.paired or not trained.any():
            trained[:] = True
        lost = self.without_loss & (self.x > NO_DECAY) & trained
        places = np.unique(self.x[lost])
        return tuple(places.tolist())

    @property
    def walls(self) -> tuple[float | None, float | None]:
        """The ln λ nearest to the window at which a training diverged."""
        first, last = self.window
        under = [x for x in self.diverged if x < first]
        over = [x for x in self.diverged if x > last]
        return (under[-1] if under else None), (over[0] if over else None)

    @property
    def refuted(self) -> tuple[float | None, float | None]:
        """The ln λ below and above which the best λ cannot be, if it is known.

        Trainings diverge there, or their losses are clearly worse than at the best.
        """
        low, high = self.window
        under, over = self.walls
        places = np.sort(np.append(np.linspace(low, high, CURVE_PLACES), self.best))
        above = self.process.standard_errors_above(self.best, places)
        may_be = places[above < CLEARLY_WORSE]
        if low < may_be[0]:
            under = float(may_be[0])
        if may_be[-1] < high:
            over = float(may_be[-1])
        return under, over

    @property
    def window(self) -> tuple[float, float]:
        """The least and the greatest ln λ with a loss."""
        return float(self.decayed.x.min()), float(self.decayed.x.max())

    @cached_property
    def ignores_decay(self) -> bool:
        """Whether every seed has one loss, and one of them for three λ or more.

        A single seed may have been trained only where decay is too weak to be seen.
        """
        y, seeds = self.read.y, self.read.seeds
        _, starts, at, counts = np.unique(seeds, True, True, True)  # noqa: FBT003 numpy's
        most = counts.max(initial=0)
        return bool(most >= POINTS_THAT_DIFFER and (y == y[starts][at]).all())

    @cached_property
    def fit(self) -> FittedProcess:
        """The processes that the trainings allow."""
        scales = {"own_scale": not self.log_scale, "may_pair": self.design.paired}
        found = _fitted(*(column.tobytes() for column in self.read), **scales)
        if self.log_scale and found.processes[0].unit > 1:
            # Losses vary more than ``MEAN_SD`` allows. Where only λ = 0 makes them, too
            # far below the range to be placed, the others give the curve.
            others = _fitted(*(column.tobytes() for column in self.decayed), **scales)
            return others if others.processes[0].unit == 1 else found
        return found

    @property
    def process(self) -> Process:
        """The most likely one."""
        return self.fit.processes[0]

    @cached_property
    def readings(self) -> tuple[Process, Process]:
        """The process, and the one of lower walls: a curve that both read is lowest.

        A smooth curve that follows a wall swings beside it, one that sees less of the
        wall lies in the middle of the pairs: where the dip is far less deep than the
        wall is high the best λ lies between the two.
        """
        return self.process, self.process.flattened()

    @cached_property
    def minima(self) -> tuple[float, float]:
        """Ln λ at which the ``readings`` are lowest."""
        one, other = self.readings
        return one.minimum(), other.minimum()

    @cached_property
    def best(self) -> float:
        """Ln of the best λ."""
        return sum(self.minima) / 2

    @cached_property
    def further(self) -> tuple[int, ...]:
        """Seeds after the first that have a loss with decay."""
        seeds = np.unique(self.decayed.seeds)
        return tuple(seeds[seeds > 0].tolist())

    @cached_property
    def standard_error(self) -> float:
        """Of ``best``, by leaving out further seeds one by one (jackknife).

        Seed 0 holds the bracket and stays.
        """
        m = len(self.further)
        one, other = (each.minima_without(self.further) for each in self.readings)
        places = (one + other) / 2
        return math.sqrt((m - 1) * float(np.var(places)))

    def half_widths(self, seeds: int | None = None) -> tuple[float, float]:
        """Return how far the 90 % interval reaches to the left and right, in ln λ.

        The jackknife does not see that all seeds lean on the bracket of seed 0, and
        the draws do not see that their sizes come from so few seeds: so the wider of
        the two counts, as so many standard errors of Student's t: of as many further
        ``seeds`` as there would be, or as there are now.
        """
        m = len(self.further)
        if m < SEEDS_FOR_AN_INTERVAL:
            return math.inf, math.inf
        n = m if seeds is None else seeds
        t = t_quantile(0.95, degrees_of_freedom=n - 1) * math.sqrt(m / n)
        low, high = (
            t * max(self.standard_error, reach / NORMAL_REACH)
            for reach in self.reach_of_draws
        )
        one, other = self.minima
        floor = max(FLOOR, abs(one - other) / 2)
        return math.hypot(low, floor), math.hypot(high, floor)

    @cached_property
    def reach_of_draws(self) -> tuple[float, float]:
        """From the first reading to the 5 % and 95 % quantiles of its drawn minima."""
        return limits_of(self.fit.drawn_minima - self.minima[0])

    def seeds_needed(self) -> int | None:
        """Return how many more seeds give the interval that is required."""
        # The search goes on for none that does not help, and none closes an open end.
        if self.at_edge is not None or self.effect.matters == "no":
            return None
        m, wanted = len(self.further), math.log(self.design.within)
        if m < SEEDS_FOR_AN_INTERVAL or wanted <= FLOOR:
            return None
        for n in range(m, MOST_SEEDS):
            if max(self.half_widths(n)) <= wanted:
                return (n - m) or None
        return None

    @cached_property
    def at_edge(self) -> Edge | None:
        """At which edge of what was trained the best λ lies; a wall is no edge."""
        (low, high), (under, over) = self.window, self.walls
        if self.best <= low + GRID_STEP and under is None:
            return "low"
        if self.best >= high - GRID_STEP and over is None:
            return "high"
        return None

    @cached_property
    def harms(self) -> tuple[tuple[float, float], ...]:
        """Where decay is clearly worse than none, as (ln λ, y there less y at λ = 0).

        Of the places of the first seed, which lie all over the range; they are compared
        with the best, and that with λ = 0.
        """
        if self.effect.gain is None:
            return ()
        places = self.decayed.x[self.decayed.seeds == 0]
        apart = self.process.standard_errors_above(self.best, places)
        curve = self.process.mean_curve(np.append(places, self.best))
        rises = curve[:-1] - curve[-1] - self.effect.gain
        clear = (apart >= CLEARLY_WORSE) & (rises > 0)
        return tuple(zip(places[clear].tolist(), rises[clear].tolist(), strict=True))

    @cached_property
    def paired(self) -> bool | None:
        """Whether trainings of a seed share their luck; None while that is open.

        An analysis of variance of what lies above the mean curve: that of the seeds'
        means against that within seeds is 1 on average where they share nothing. Yes,
        where chance would make it so large in a tenth of cases; no, where it would make
        it so small in a tenth with a correlation of a half.
        """
        if not self.design.paired:
            return False
        process, names = self.process, np.unique(self.decayed.seeds)
        above = process.values - process.mean_curve(process.x)
        has_decay = np.isin(process.seeds, names)
        at, shown = np.searchsorted(names, process.seeds[has_decay]), above[has_decay]
        sizes, means = np.bincount(at), means_of(shown, at)
        # The curve follows seed 0 too closely to show what varies within a seed.
        is_inner = (names > 0) & (sizes > 1)
        if is_inner.sum() < SEEDS_FOR_AN_INTERVAL:
            return None
        squares = ((shown - means[at]) ** 2)[is_inner[at]].sum()
        freedom = len(names) - 1, int((sizes - 1)[is_inner].sum()) - TAKEN_BY_CURVE
        between = float((sizes * (means - above.mean()) ** 2).sum()) / freedom[0]
        within = float(squares) / freedom[1]
        quantile = scipy_module("scipy.special").fdtri
        if between >= quantile(*freedom, 1 - PAIRING_ERROR_RATE) * within:
            return True
        # With a correlation of a half a mean of k varies 1 + k times as much.
        ratio = 1 + (len(above) - (sizes**2).sum() / len(above)) / freedom[0]
        least = ratio * quantile(*freedom, PAIRING_ERROR_RATE)
        return None if between >= least * within else False

    @cached_property
    def effect(self) -> Effect:
        """Whether decay matters.

        The λ of a further seed were placed by the seeds before it, so its own losses
        there were not chosen for their luck: they are compared with its loss at λ = 0,
        by a one-sided t test. (They lie beside the best λ, so the gain is rather more.)
        Seed 0 chose its own best λ, and is left out.
        """
        names, counts = np.unique(self.decayed.seeds, return_counts=True)
        with_decay = names[(names > 0) & (counts > 1)]
        diverged = self.seeds[self.without_loss & (self.x == NO_DECAY)]
        lost = int(np.isin(with_decay, diverged).sum())
        gains = self._gains(with_decay)
        if not len(gains) and not lost:
            which = "no seed but the first" if self.design.zero else "no seed"
            why = f"{which} was trained without decay"
            return Effect(matters="cannot tell", why=why)
        gain = float(gains.mean()) if len(gains) else None
        won = int((gains > 0).sum()) + lost
        if lost and coin_wins(won, of=len(gains) + lost) <= SIGN_TEST_ERROR_RATE:
            why = f"{counted(lost, 'seed')} diverged only without decay"
            return Effect(matters="yes", why=why, gain=gain)
        if len(gains) < SEEDS_FOR_AN_INTERVAL:
            why = f"{counted(len(gains), 'seed')} gave a loss without decay, too few"
            return Effect(matters="cannot tell", why=why, gain=gain)
        return self._test(gains)

    def _gains(self, seeds: IntArray) -> FloatArray:
        """Return what these seeds, in order, gain, of those that have both."""
        there = self.read.only(np.isin(self.read.seeds, seeds))
        at, has_decay = np.searchsorted(seeds, there.seeds), there.x > NO_DECAY
        # A λ trained to see whether the best is far away is no neighbor of the best.
        away = np.abs(there.x - self.best)
        least = np.full(len(seeds), np.inf)
        np.minimum.at(least, at[has_decay], away[has_decay])
        is_near = has_decay & (away <= np.maximum(NEIGHBORS, least)[at])
        near = means_of(there.y[is_near], at[is_near])
        gains: FloatArray = there.y[~has_decay] - near[at[~has_decay]]
        return gains

    def _test(self, gains: FloatArray) -> Effect:
        n, gain = len(gains), float(gains.mean())
        rate = ERROR_RATE_OF_THREE if n == SEEDS_FOR_AN_INTERVAL else ERROR_RATE / n
        error = half_width(gains, probability=1 - rate)
        within = half_width(gains)
        known = Effect(matters="cannot tell", why="", gain=gain, gain_within=within)
        if gain > error:
            why = f"seeds gain {_gain_text(gain, log_scale=self.log_scale)}"
            return replace(known, matters="yes", why=why)
        low, high = self.window
        # The pair lies beside the minimum, which is deeper by so much.
        beside = np.clip(self.best + np.array([-0.6, 0.6]), low, high)
        curve = self.process.mean_curve(np.append(beside, self.best))
        deeper = max(0.0, float(curve[:2].mean() - curve[2]))
        if self.log_scale:
            negligible = -math.log1p(-NEGLIGIBLE_SHARE)
        else:
            _, at = np.unique(self.decayed.seeds, return_inverse=True)
            levels = means_of(self.decayed.y, at)
            negligible = NEGLIGIBLE_LUCK * float(np.std(levels, ddof=1))
        most = gain + deeper + within
        if most < negligible:
            at_most = _gain_text(most, log_scale=self.log_scale)
            why = (
                f"{at_most} is gained" if most <= 0 else f"at most {at_most} is gained"
            )
            return replace(known, matters="no", why=why)
        # What would show the mean gain, or that it is negligible.
        spread = float(gains.std(ddof=1))
        further = [
            seeds_to_settle(far, spread, have=n)
            for far in (gain, negligible - deeper - gain)
        ]
        needed = min((each for each in further if each is not None), default=None)
        why = f"noise hides gains of {_gain_text(most, log_scale=self.log_scale)}"
        return replace(known, why=why, needed=needed)


# What to train next is requested again after each training, for the same past.
@lru_cache(maxsize=8)
def _fitted(
    x: bytes, y: bytes, seeds: bytes, *, own_scale: bool, may_pair: bool
) -> FittedProcess:
    """Fit processes to columns of :class:`Losses`."""
    return fit_processes(
        np.frombuffer(x),
        np.frombuffer(y),
        np.frombuffer(seeds, dtype=int),
        own_scale=own_scale,
        may_pair=may_pair,
    )


def _gain_text(gain: float, *, log_scale: bool) -> str:
    if gain <= 0:
        return "nothing"
    return (
        f"{-100 * math.expm1(-gain):.1f} % of the loss" if log_scale else f"{gain:.3g}"
    )
