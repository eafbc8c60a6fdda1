"""Results that already exist, any table of λ and seeds: which λ, and what is noise.

Nobody planned these trainings: cells are missing, a λ was tried once, seeds differ. So
the mean curve is that of ``process``, with the error that seeds tell which are left out
one by one; and a λ that was chosen for its loss is judged by seeds that did not choose.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Literal

import numpy as np

from dwindle.stats.points import NO_DECAY, Design, Difference, Point, TableOptimum
from dwindle.stats.search import SEEDS_FOR_AN_INTERVAL, Search, seeds_to_settle
from dwindle.stats.student import FloatArray, half_width, t_quantile

SAME_DECAY = 1e-9  # in ln λ: one number that came through two logarithms
# A process of n trainings costs n³: of more trainings, seeds with the same λ are
# averaged in groups.
MOST_TRAININGS = 150
# Trainings that share nothing are "at the best λ" within a factor 2: a miss of a factor
# 2 costs less than half of what decay buys, and one λ alone has too few of them.
NEAR_THE_BEST = math.log(2)
# What a smooth curve takes of the degrees of freedom of its residuals.
_CURVE_PARAMETERS = 4

Rows = Mapping[int, Mapping[float, float]]
_Better = Literal["one", "other"]


def optimum_of_table(
    points: Sequence[Point], *, paired: bool | None = None, within: float = 1.25
) -> TableOptimum:
    """Return the best λ of any results, with its 90 % interval.

    A limit is open (0 or infinity) where the end of the range is not worse than the
    best λ by more than noise: then the optimum may lie there, or nowhere.

    Args:
        points: Trainings; those without decay or that failed are left out.
        paired: False where trainings of a seed share nothing, or have no seeds (number
            the trainings then); else the losses show it.
        within: The factor up to which λ is wanted, for ``needed``.

    Returns:
        The optimum; without limits where fewer than three seeds tell an error.

    Example:
        >>> points = [
        ...     Point(x=x, seed=seed, loss=math.exp(0.1 * x**2 + 0.1 * seed))
        ...     for seed in range(3)
        ...     for x in (-2.0, -1.0, 0.0, 1.0, 2.0)
        ... ]
        >>> best = optimum_of_table(points)
        >>> round(best.value, 2), best.low < 1 < best.high
        (1.0, True)

    """
    search = _table(points, paired=paired, within=within)
    seeds = len({point.seed for point in points if point.loss is not None})
    why_null = None
    if not search.decayed:
        why_null = "no training with decay has a loss"
    elif search.window[0] == search.window[1]:
        why_null = "only one λ was tried"
    elif search.ignores_decay:
        why_null = "every λ gave the same loss"
    if why_null is not None:
        return TableOptimum(seeds=seeds, why_null=why_null)
    low, high = _limits(search)
    return TableOptimum(
        value=math.exp(search.best),
        low=low,
        high=high,
        at_edge=search.at_edge,
        paired=_is_paired(search),
        seeds=seeds,
        needed=search.seeds_needed(),
    )


def compare_decays(
    points: Sequence[Point], *, one: float, other: float, paired: bool | None = None
) -> Difference:
    """Compare two λ that were chosen before looking.

    Between the seeds that have both, by a paired t interval of 90 %; where nothing
    pairs, by Welch's interval.

    Args:
        points: Trainings.
        one: ln λ; -inf is λ = 0.
        other: ln λ.
        paired: False where trainings of a seed share nothing; None: where at least
            one seed has both.

    Returns:
        Whether they differ by more than noise.

    Example:
        >>> points = [
        ...     Point(
        ...         x=x, seed=seed, loss=math.exp(0.3 * seed + x * (0.1 + 0.01 * seed))
        ...     )
        ...     for seed in range(4)
        ...     for x in (0.0, 1.0)
        ... ]
        >>> compare_decays(points, one=0.0, other=1.0).better
        'one'

    """
    search = _table(points, paired=paired, whole=True)
    pairs = [(_at(row, one), _at(row, other)) for row in search.losses.values()]
    both = [a - b for a, b in pairs if a is not None and b is not None]
    if both or paired:
        return _paired_difference(np.array(both), log_scale=search.log_scale)
    ones = np.array([a for a, _ in pairs if a is not None])
    others = np.array([b for _, b in pairs if b is not None])
    return _unpaired_difference(ones, others, log_scale=search.log_scale)


def compare_best(
    points: Sequence[Point], *, other: float, paired: bool | None = None
) -> Difference:
    """Compare the best λ ("one") with another, such as λ = 0 or the range's end.

    The best λ of a seed is chosen by the other seeds, or it would be chosen for its
    luck: the nearest λ that the seed has to where their mean curve is lowest. One-sided
    at 5 %: the best λ is better, or nothing is claimed.

    Args:
        points: Trainings.
        other: ln λ; -inf is λ = 0.
        paired: False where trainings of a seed share nothing; else the table shows it.

    Returns:
        Whether the best λ is better by more than noise.

    Example:
        >>> points = [
        ...     Point(x=x, seed=seed, loss=math.exp(0.1 * x**2 + 0.1 * seed))
        ...     for seed in range(3)
        ...     for x in (-2.0, -1.0, 0.0, 1.0, 2.0)
        ... ]
        >>> compare_best(points, other=2.0).better
        'one'

    """
    search = _table(points, paired=paired)
    seeds = [s for s, row in search.decayed.items() if _has_both(search, s, row, other)]
    if not search.decayed or search.ignores_decay:
        return _paired_difference(np.array([]), log_scale=search.log_scale)
    if seeds and _is_paired(search):
        gains = _left_out_gains(search, seeds, other)
        return _paired_difference(-gains, log_scale=search.log_scale, one_sided=True)
    return _unpaired_best(search, other)


def _table(
    points: Sequence[Point],
    *,
    paired: bool | None,
    within: float = 1.25,
    whole: bool = False,
) -> Search:
    """The trainings as a search whose first seed is like all others.

    Its seeds count from 1, because seed 0 of a search holds its bracket and is never
    left out. Trainings that share nothing are seeds of one λ.
    """
    number = count(1)
    names: dict[int, int] = {}
    trained = [
        Point(
            x=point.x,
            seed=next(number) if paired is False else _numbered(names, point.seed),
            loss=point.loss,
        )
        for point in points
        if not point.failed
    ]
    design = Design(paired=paired is not False, within=within)
    search = Search(design=design, points=tuple(trained))
    if whole or len(trained) <= MOST_TRAININGS:
        return search
    return _condensed(search)


def _numbered(names: dict[int, int], seed: int) -> int:
    return names.setdefault(seed, len(names) + 1)


def _condensed(search: Search) -> Search:
    """Average seeds with the same λ in groups, until few enough trainings are left."""
    alike: dict[tuple[float, ...], list[Mapping[float, float]]] = {}
    for row in search.losses.values():
        alike.setdefault(tuple(row), []).append(row)
    share = MOST_TRAININGS / sum(len(row) for row in search.losses.values())
    number, averaged = count(1), []
    for places, rows in sorted(alike.items(), key=lambda each: -len(each[0])):
        groups = max(1, min(len(rows), round(len(rows) * share)))
        for first in range(groups):
            seed, group = next(number), rows[first::groups]
            for x in places:
                y = sum(row[x] for row in group) / len(group)
                loss = math.exp(y) if search.log_scale else y
                averaged.append(Point(x=x, seed=seed, loss=loss))
    kept = averaged[: 2 * MOST_TRAININGS]
    walls = [p for p in search.points if p.loss is None][:MOST_TRAININGS]
    return Search(design=search.design, points=(*kept, *walls))


def _is_paired(search: Search) -> bool:
    """Whether seeds have several λ, and these something in common."""
    several = sum(len(row) > 1 for row in search.losses.values())
    return several > 0 and search.process.hyper.pairs


def _limits(search: Search) -> tuple[float | None, float | None]:
    left, right = search.half_widths()
    if math.isinf(left):
        return None, None
    (first, last), (under, over) = search.window, search.walls
    low, high = search.best - left, search.best + right
    paired = None if search.design.paired else False
    if low < first or not _beats(search, first, paired=paired):
        low = -math.inf if under is None else under
    if high > last or not _beats(search, last, paired=paired):
        high = math.inf if over is None else over
    return math.exp(low), math.exp(high)


def _beats(search: Search, end: float, *, paired: bool | None) -> bool:
    return compare_best(search.points, other=end, paired=paired).better == "one"


def _at(row: Mapping[float, float], x: float) -> float | None:
    """The loss at a λ; None where there is none."""
    if x == NO_DECAY:
        return row.get(x)
    near = [place for place in row if abs(place - x) <= SAME_DECAY * max(1.0, abs(x))]
    return row[near[0]] if near else None


def _has_both(
    search: Search, seed: int, row: Mapping[float, float], other: float
) -> bool:
    return _at(search.losses[seed], other) is not None and (
        other == NO_DECAY or len(row) > 1
    )


def _left_out_gains(search: Search, seeds: Sequence[int], other: float) -> FloatArray:
    """What each seed gains at the λ that others choose; 0 where they choose none."""
    gains = []
    for seed in seeds:
        if len(search.decayed) == 1:
            break  # nobody else chooses
        best = search.process.without_seed(seed).minimum()
        gained = {s: _gain_near(search, s, best, other) for s in seeds}
        rest = [gain for s, gain in gained.items() if s != seed]
        chosen = not rest or sum(rest) > 0
        gains.append(gained[seed] if chosen else 0.0)
    return np.array(gains)


def _gain_near(search: Search, seed: int, best: float, other: float) -> float:
    row, without = search.decayed[seed], _at(search.losses[seed], other)
    nearest = min(row, key=lambda x: abs(x - best))
    return (without or 0.0) - row[nearest]


def _paired_difference(
    differences: FloatArray, *, log_scale: bool, one_sided: bool = False
) -> Difference:
    n = len(differences)
    mean = float(differences.mean()) if n else None
    low = high = None
    needed: int | None = SEEDS_FOR_AN_INTERVAL - n
    better: _Better | None = None
    if mean is not None and n >= SEEDS_FOR_AN_INTERVAL:
        half = half_width(differences)
        low, high = mean - half, mean + half
        better = "one" if high < 0 else "other" if low > 0 and not one_sided else None
        spread = float(differences.std(ddof=1))
        needed = None if better else seeds_to_settle(mean, spread, have=n)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        better=better,
        paired=True,
        n=n,
        needed=needed,
        log_scale=log_scale,
    )


def _unpaired_difference(
    ones: FloatArray,
    others: FloatArray,
    *,
    log_scale: bool,
    known: tuple[float, int] | None = None,
    one_sided: bool = False,
) -> Difference:
    """Welch's interval; or with a ``known`` spread of one training, and its freedom."""
    n = min(len(ones), len(others))
    mean = float(ones.mean() - others.mean()) if n else None
    variance, degrees = 0.0, 0
    if known is not None and n:
        variance, degrees = known[0] ** 2 * (1 / len(ones) + 1 / len(others)), known[1]
    elif n > 1:
        variance, degrees = _welch(ones, others)
    if mean is None or degrees < 1:
        return Difference(
            mean=mean,
            low=None,
            high=None,
            better=None,
            paired=False,
            n=n,
            needed=SEEDS_FOR_AN_INTERVAL,
            log_scale=log_scale,
        )
    half = t_quantile(0.95, degrees_of_freedom=degrees)
    half *= math.sqrt(variance)
    low, high = mean - half, mean + half
    better: _Better | None = (
        "one" if high < 0 else "other" if low > 0 and not one_sided else None
    )
    # The spread of a difference within a pair is not known here; without pairing:
    apart = math.sqrt(variance * n)
    needed = None if better else seeds_to_settle(mean, apart, have=n)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        better=better,
        paired=False,
        n=n,
        needed=needed,
        log_scale=log_scale,
    )


def _welch(ones: FloatArray, others: FloatArray) -> tuple[float, int]:
    """Variance of the difference of two means, and its degrees of freedom."""
    parts = [float(group.var(ddof=1)) / len(group) for group in (ones, others)]
    freedoms = (len(ones) - 1, len(others) - 1)
    below = sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    variance = sum(parts)
    return variance, int(variance**2 / below) if below else sum(freedoms)


def _unpaired_best(search: Search, other: float) -> Difference:
    """Each half of the trainings is judged near the λ that the other half chooses."""
    rows = [(x, y) for row in search.decayed.values() for x, y in row.items()]
    rows.sort()
    away = np.array(
        [y for row in search.losses.values() if (y := _at(row, other)) is not None]
    )
    near: list[float] = []
    for half, rest in ((rows[::2], rows[1::2]), (rows[1::2], rows[::2])):
        if not half or not rest:
            continue
        best = _chosen(search, half)
        near += [
            y
            for x, y in rest
            if abs(x - best) <= NEAR_THE_BEST and abs(x - other) > SAME_DECAY
        ]
    return _unpaired_difference(
        np.array(near),
        away,
        log_scale=search.log_scale,
        known=_spread(search, rows),
        one_sided=True,
    )


def _chosen(search: Search, rows: Sequence[tuple[float, float]]) -> float:
    points = [
        Point(x=x, seed=seed, loss=math.exp(y) if search.log_scale else y)
        for seed, (x, y) in enumerate(rows)
    ]
    design = Design(paired=False)
    return Search(design=design, points=tuple(points)).best


def _spread(
    search: Search, rows: Sequence[tuple[float, float]]
) -> tuple[float, int] | None:
    """The standard deviation of one training around the mean curve, and its freedom."""
    degrees = len(rows) - _CURVE_PARAMETERS
    if degrees < 1:
        return None
    x, y = (np.array(column) for column in zip(*rows, strict=True))
    residuals = y - search.process.mean_curve(x)
    return math.sqrt(float((residuals**2).sum()) / degrees), degrees
