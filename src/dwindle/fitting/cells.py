"""One cell of results: its best weight decay, and whether that is more than noise.

Where seeds share their λ, losses are compared within a seed and the recipes of a study
apply. Where they do not, the noise of each training is independent, and a smooth curve
is read. The rows show which of the two holds.
"""

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dwindle.fitting.as_search import MOST_POINTS, read_between, seed_points
from dwindle.fitting.compared import Compared, compare_decays, where_none_is_lowest
from dwindle.fitting.losses import CellLosses
from dwindle.fitting.seed_table import SeedTable, seed_table
from dwindle.fitting.trainings import CellRows
from dwindle.stats.curve import Curve
from dwindle.stats.matters import (
    NEGLIGIBLE_SHARE,
    Matters,
    judge_whether_decay_matters,
    seeds_needed,
)
from dwindle.stats.optimum import OTHER_EDGE, Edge, Optimum, measure_optimum
from dwindle.stats.points import Design
from dwindle.stats.student import SEEDS_FOR_AN_INTERVAL, FloatArray, half_width
from dwindle.stats.two_point import read_out
from dwindle.stats.unpaired import Unpaired, read_unpaired, trainings_needed
from dwindle.wording import counted, gained, number

Walls = tuple[float | None, float | None]  # decays below and above that diverge
Verdict = Literal[
    "optimum", "at most", "at least", "does not matter", "does not help", "cannot tell"
]

_BOUNDS: Mapping[Edge | None, Verdict] = {
    "low": "at most",
    "high": "at least",
    None: "optimum",
}
# Where there is no λ = 0, both ends of the range are tried: together below 10 %.
_ERROR_AT_ENDS = 0.03
_ERROR_AT_ZERO = 0.05  # one-sided, as in ``stats.matters``
_UNPAIRED_ERROR_AT_ENDS = 0.04  # by a null distribution that is simulated: no t tails
_BEATS_ZERO = "the best λ beats training without decay"
_SPARSE = "seeds share few λ, and λ = 0 was not trained: whether it gains is open"
_SHOWN = 2  # digits of a gain, whose interval is wider than a tenth of it
_ALIKE = "all λ gave the same loss: they may never have reached the training"
_HIDDEN = "the noise hides whether decay gains anything"


@dataclass(frozen=True, kw_only=True)
class FittedCell:
    """What the trainings of one cell show.

    ``value`` is the weight decay with the lowest loss, as typed (no decay, where every
    other one has a higher loss), ``low`` and ``high`` its 90 % limits: None where they
    are open or where nothing measures the noise. ``verdict`` is what may be claimed of
    it: "does not help" where decay costs for sure, which is more than to gain nothing.
    ``needed`` is how many further seeds with both λ would settle a "cannot tell" (None
    where no number is known; the fewest that show any noise where ``noise_known`` is
    false). ``seeds_lost`` counts the seeds that are left out: they diverged at most of
    their λ, even where others trained. ``compared`` is the best λ that was trained
    beside the second best, or the two that were chosen.
    """

    scale: Mapping[str, float]
    settings: Mapping[str, str]
    value: float | None
    low: float | None = None
    high: float | None = None
    at_edge: Edge | None = None
    matters: Matters = "cannot tell"
    verdict: Verdict = "cannot tell"
    why: str
    trainings: int
    diverged: int = 0
    seeds: int | None = None
    seeds_lost: int = 0
    paired: bool
    needed: int | None = None
    noise_known: bool = True
    curve: tuple[tuple[float, float | None, int], ...] = ()
    compared: Compared | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A cell with the arrays behind it; ``optimum`` is in ln of the decay."""

    cell: FittedCell
    curve: Curve | None = None
    optimum: Optimum | None = None


def fit_cell(
    rows: CellRows,
    *,
    log_scale: bool,
    is_reversed: bool = False,
    compare: Sequence[float] = (),
) -> Fitted:
    """Fit one cell: its best weight decay, and what may be claimed of it.

    Nothing is claimed that noise makes more often than once in ten. ``is_reversed`` is
    whether a larger number is less decay; ``compare`` has two decays as typed, or none.
    """
    losses = CellLosses(rows=rows, log_scale=log_scale, is_reversed=is_reversed)
    shared = losses.seeds_of_several()
    sizes = Counter(
        seed
        for of_decay in losses.by_decay.values()
        for seed, each in of_decay.items()
        for _ in each
    )
    paired = 2 * sum(sizes[seed] for seed in shared) > sizes.total()
    cell = FittedCell(
        scale=rows.scale,
        settings=rows.settings,
        value=None,
        why="",
        trainings=len(rows.trainings),
        diverged=sum(math.isinf(each.loss) for each in rows.trainings),
        seeds=len({each.seed for each in rows.trainings} - {None, *losses.lost})
        or None,
        seeds_lost=len(losses.lost),
        paired=paired,
        curve=losses.means(),
        compared=compare_decays(losses, compare),
    )
    if len(losses.by_decay) < 2 or not losses.positive:  # noqa: PLR2004 - to compare
        found = losses.by_decay or {math.nan: {}}
        which = "that ended " if losses.lost else ""
        one = losses.typed(next(iter(found)))
        why = f"all trainings {which}have one weight decay, {one:g}"
        return Fitted(cell=replace(cell, why=why))
    if not any(ended for _, _, ended in cell.curve):
        return Fitted(cell=replace(cell, why="every training diverged"))
    if all(losses.share_diverged(decay) == 1 for decay in losses.positive):
        why = "without decay these train, and every λ > 0 diverged"
        return Fitted(cell=replace(cell, why=why))
    if paired and losses.are_alike(shared):
        return Fitted(cell=replace(cell, why=_ALIKE, compared=None))
    fitted = (
        _fit_paired(cell, losses, shared) if paired else _fit_unpaired(cell, losses)
    )
    return replace(fitted, cell=_where_none_is_lowest(fitted.cell, losses))


def _fit_paired(cell: FittedCell, losses: CellLosses, shared: Sequence[str]) -> Fitted:
    table = seed_table(losses, shared)
    used = table.seeds if table else 0
    # Where most seeds fall out of the table, the λ of each seed are others. But where
    # one λ has half of the seeds, losses are missing, not λ.
    together = (of_seed.keys() & set(shared) for of_seed in losses.by_decay.values())
    is_full = table is None and 2 * max(map(len, together)) >= len(shared)
    is_sparse = len(shared) >= SEEDS_FOR_AN_INTERVAL and 2 * used < len(shared)
    if is_sparse and not is_full:
        return Fitted(cell=_fit_sparse(cell, losses))
    if table is None:
        why = "no λ > 0 has a finite loss from every seed that was trained there"
        return Fitted(cell=replace(cell, why=why))
    curve = table.curve
    optimum = measure_optimum(curve, generator_seed=_generator_seed(cell))
    walls = losses.walls(optimum.log_decay, curve.log_decay.tolist())
    read = read_between(losses, curve, optimum) if curve.has_spread else optimum
    cell = _placed(replace(cell, seeds=table.seeds), losses, read, walls)
    if not curve.has_spread:
        have = counted(curve.n, "seed")
        why = f"{have} cannot show the noise between seeds, {SEEDS_FOR_AN_INTERVAL} can"
        needed = SEEDS_FOR_AN_INTERVAL - curve.n
        cell = replace(cell, why=why, needed=needed, noise_known=False)
        return Fitted(cell=cell, curve=curve)
    if curve.without_decay is not None:
        cell = _judged_by_zero(cell, losses, table)
    else:
        gains = {"low": table.gains_over(0), "high": table.gains_over(-1)}
        beaten = {end: _passes(each, _ERROR_AT_ENDS) for end, each in gains.items()}
        # Both ends must be beaten: the smaller gain decides how many more seeds.
        weaker = min(gains.values(), key=lambda each: each.mean() if len(each) else 0.0)
        cell = _judged_by_ends(cell, losses, beaten, walls, _further(weaker, table))
    return Fitted(cell=cell, curve=curve, optimum=optimum)


def _generator_seed(cell: FittedCell) -> int:
    # By the cell, not by its place in a file: more rows elsewhere change no interval.
    return zlib.crc32(repr(sorted(cell.scale.items())).encode())


def _fit_sparse(cell: FittedCell, losses: CellLosses) -> FittedCell:
    """Read seeds that share few λ, such as those that dwindle find trained."""
    # Their read-out needs two trainings for a seed's level. It compares no λ with an
    # end of the range, so that without λ = 0 nothing is claimed.
    points = seed_points(losses)
    if len(points) > MOST_POINTS:
        why = f"seeds share few λ, and more than {MOST_POINTS} trainings are too many"
        return replace(cell, why=why)
    low, high = min(losses.positive), max(losses.positive)
    found = read_out(points, Design(low=low, high=high, zero=0.0 in losses.by_decay))
    if found.value is None:
        return replace(cell, why=found.why_null or "")
    ends = [math.log(end) if end else None for end in (found.low, found.high)]
    optimum = Optimum(
        log_decay=math.log(found.value),
        low=ends[0],
        high=ends[1],
        at_edge=found.at_edge,
        draws=np.empty(0),
    )
    return _by_matters(
        _placed(replace(cell, seeds=found.seeds), losses, optimum, (None, None)),
        losses,
        matters=found.matters,
        why=found.matters_why if 0.0 in losses.by_decay else _SPARSE,
        needed=found.matters_needed,
    )


def _passes(gains: FloatArray, error: float) -> bool:
    """Whether gains are above 0 by a one-sided t test."""
    if len(gains) < SEEDS_FOR_AN_INTERVAL:
        return False
    return bool(gains.mean() > half_width(gains, probability=1 - error))


def _further(gains: FloatArray, table: SeedTable) -> int | None:
    """Return how many further seeds would show the mean gain of these."""
    if len(gains) < SEEDS_FOR_AN_INTERVAL:
        return SEEDS_FOR_AN_INTERVAL - len(gains)
    more = seeds_needed(gains)
    return None if more is None else (more - len(gains)) * table.block


def _placed(
    cell: FittedCell, losses: CellLosses, optimum: Optimum, walls: Walls
) -> FittedCell:
    """Return the cell with value, limits and edge of an optimum, as typed."""
    low, high = (
        None if end is None or math.isinf(end) else losses.tried_near(math.exp(end))
        for end in (optimum.low, optimum.high)
    )
    edge, best = optimum.at_edge, losses.tried_near(math.exp(optimum.log_decay))
    if edge:
        low = low if edge == "high" else None
        high = high if edge == "low" else None
    under, over = walls
    # What diverges is no candidate: it closes the range, and there is no edge.
    if over is not None and (high is None or high > over):
        high, edge = over, None if edge == "high" else edge
    if under is not None and (low is None or low < under):
        low, edge = under, None if edge == "low" else edge
    ends = [each and losses.typed(each) for each in (low, high)]
    if losses.is_reversed:
        ends, edge = ends[::-1], OTHER_EDGE[edge]
    return replace(
        cell, value=losses.typed(best), low=ends[0], high=ends[1], at_edge=edge
    )


def _judged_by_zero(
    cell: FittedCell, losses: CellLosses, table: SeedTable
) -> FittedCell:
    """Judge a cell with trainings without decay: does decay matter?"""
    curve, gains = table.curve, table.gains_over(None)
    found = judge_whether_decay_matters(curve)
    matters, why = found.matters, found.why
    # Where all trained, held-out gains over neighbors are the sharper comparison.
    if len(curve.compared) == curve.n:
        passes = _passes(gains, _ERROR_AT_ZERO)
        if passes or matters == "yes":
            matters = "yes" if passes else "cannot tell"
            why = _beats_zero(gains, losses) if passes else _HIDDEN
    if not losses.log_scale and matters != "yes":
        # Shares of a loss that may be negative mean nothing, so neither does a little.
        matters, why = "cannot tell", _HIDDEN
    needed = _further(gains, table)
    return _by_matters(cell, losses, matters=matters, why=why, needed=needed)


def _beats_zero(gains: FloatArray, losses: CellLosses) -> str:
    """Return by how much, with 90 % limits, and whether that is next to nothing."""
    if not losses.log_scale:
        return _BEATS_ZERO
    half = half_width(gains)
    logs = (gains.mean(), gains.mean() - half, gains.mean() + half)
    by, low, high = (-math.expm1(-each) for each in logs)
    little = f": less than {100 * NEGLIGIBLE_SHARE:.0f} %, so a little"
    return gained(by, low, high) + (little if high < NEGLIGIBLE_SHARE else "")


def _by_matters(
    cell: FittedCell,
    losses: CellLosses,
    *,
    matters: Matters,
    why: str,
    needed: int | None,
) -> FittedCell:
    """Return the cell with what may be claimed once it is known if decay matters."""
    cell = replace(cell, matters=matters, why=why)
    if matters == "cannot tell":
        return replace(cell, needed=needed)
    if matters == "no":
        return replace(cell, verdict="does not matter")
    if len(losses.positive) == 1:
        # It is the lowest and the highest: the best one may lie on both sides.
        why = f"{cell.why}, and no other λ above 0 was trained"
        return replace(cell, low=None, high=None, at_edge=None, why=why)
    return replace(cell, verdict=_BOUNDS[cell.at_edge])


def _where_none_is_lowest(cell: FittedCell, losses: CellLosses) -> FittedCell:
    """Return the cell with no decay as its best one, where nothing else is claimed."""
    if cell.value is None or cell.verdict in _BOUNDS.values():
        return cell
    found = where_none_is_lowest(losses)
    if found is None:
        return cell
    cell = replace(cell, value=losses.typed(0.0), low=None, high=None, at_edge=None)
    if not found.is_sure:
        return cell
    unit, of = (100, " % of the loss without decay") if losses.log_scale else (1, "")
    ends = [number(unit * each, digits=_SHOWN) for each in (found.least, found.most)]
    costs = " to ".join(dict.fromkeys(ends))
    which = "every λ" if found.tried > 1 else "the one λ"
    return replace(
        cell,
        matters="no",
        verdict="does not help",
        why=f"{which} that was tried costs {costs}{of}",
        needed=None,
    )


def _judged_by_ends(
    cell: FittedCell,
    losses: CellLosses,
    beaten: Mapping[str, bool],
    walls: Walls,
    needed: int | None,
) -> FittedCell:
    """Judge a cell without λ = 0: is the best λ better than the ends of the range?"""
    low, high = beaten["low"], beaten["high"]
    under, over = (wall is not None for wall in walls)
    if losses.is_reversed:
        low, high, under, over = high, low, over, under
    if low and high:
        verdict: Verdict = "at most" if cell.at_edge == "low" else "optimum"
        why = "the best λ beats both ends of the range"
    elif (low and over) or (high and under):
        # An end that is no candidate needs no test; both of them would show nothing.
        ends = ("low", "high") if low else ("high", "low")
        why = "the best λ beats the {} end of the range, and the {} end diverged"
        verdict, why = "optimum", why.format(*ends)
    elif low:
        verdict, why = "at least", "the best λ beats only the low end of the range"
    elif high:
        verdict, why = "at most", "the best λ beats only the high end of the range"
    else:
        verdict, why = "cannot tell", "the noise hides whether any λ is better"
    return replace(
        cell,
        verdict=verdict,
        why=why,
        needed=needed if verdict == "cannot tell" else None,
    )


def _fit_unpaired(cell: FittedCell, losses: CellLosses) -> Fitted:
    places, values = [], []
    for decay in losses.positive:
        ended = [x for each in losses.by_decay[decay].values() for x in each]
        finite = [x for x in ended if math.isfinite(x)]
        # Means of those that survived would be means of lucky ones.
        if 2 * len(finite) > len(ended):
            places += [math.log(decay)] * len(finite)
            values += finite
    zeros = [x for each in losses.by_decay.get(0.0, {}).values() for x in each]
    without = [x for x in zeros if math.isfinite(x)]
    if not places:
        return Fitted(cell=replace(cell, why="no λ > 0 has a finite loss"))
    scaled = np.log if losses.log_scale else np.asarray
    found = read_unpaired(
        np.array(places),
        scaled(np.array(values)),
        scaled(np.array(without)),
        generator_seed=_generator_seed(cell),
    )
    optimum = found.optimum
    walls = losses.walls(optimum.log_decay, places)
    cell = _placed(cell, losses, optimum, walls)
    if found.noise is None:
        why = "too few trainings to measure their noise"
        cell = replace(cell, why=why, needed=SEEDS_FOR_AN_INTERVAL, noise_known=False)
        return Fitted(cell=cell)
    if "zero" in found.chances:
        return Fitted(cell=_unpaired_by_zero(cell, losses, found), optimum=optimum)
    beaten = {
        end: found.chances.get(end, 1.0) <= _UNPAIRED_ERROR_AT_ENDS
        for end in ("low", "high")
    }
    gain = min(found.gains.get(end, 0.0) for end in ("low", "high"))
    needed = trainings_needed(gain=gain, noise=found.noise)
    cell = _judged_by_ends(cell, losses, beaten, walls, needed)
    return Fitted(cell=cell, optimum=optimum)


def _unpaired_by_zero(
    cell: FittedCell, losses: CellLosses, found: Unpaired
) -> FittedCell:
    gain, noise = found.gains["zero"], found.noise or 0.0
    zeros = sum(len(each) for each in losses.by_decay[0.0].values())
    upper = gain + 2 * noise * math.sqrt(2 / zeros)
    matters: Matters = "cannot tell"
    why = _HIDDEN
    if found.chances["zero"] <= _ERROR_AT_ZERO:
        matters, why = "yes", _BEATS_ZERO
    elif losses.log_scale and upper < NEGLIGIBLE_SHARE:
        share = f"{100 * NEGLIGIBLE_SHARE:.0f} % of the loss"
        matters, why = "no", f"it gains less than {share}"
    needed = trainings_needed(gain=gain, noise=noise)
    return _by_matters(cell, losses, matters=matters, why=why, needed=needed)
