"""The two-point design: what to train next to find the best λ, and when to stop.

Seed 0 spans the range with seven λ and refines around the best. Every further seed is
trained at two λ only, on both sides of the best λ so far: the better of the two shows
on which side the optimum lies, and the seed's level cancels, because both have it. All
functions are pure: the same trainings give the same answer, so that a search that was
killed goes on as if nothing had happened.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dwindle.stats.points import (
    NO_DECAY,
    Design,
    Point,
    Proposal,
    ReadOut,
    StoppedBecause,
)
from dwindle.stats.process import GRID_STEP
from dwindle.stats.search import Search

POINTS = 7  # of seed 0: 0.6 decades apart in a range of 3.5 to 4
# Two λ a factor 3.3 apart: at 0.6 and 0.8 in ln λ the search ends equally soon, at 1.2
# later (the steep side hides the minimum).
HALF_PAIR = 0.6
# Without a shared seed the difference of two trainings has all of their noise, and a
# wider pair has more of a difference to set against it.
HALF_PAIR_UNPAIRED = 1.2
# If curves that the trainings allow are lowest as far away as this, in ln λ, the next
# seed compares that place with the best: one or two seeds settle whether a second
# minimum is there, which ten placed elsewhere do not.
FAR = 1.2
EXTENSIONS = 2  # then the answer is "at least" or "at most"
EXTENSIONS_OF_A_GUESS = 4  # which is no range that somebody chose
# Three λ around a guess reach 1.5 of its standard deviations to both sides, and at
# least so far that the two λ between them are not closer than the pairs.
GUESS_REACH, LEAST_GUESS_REACH = 1.5, 1.2
# The jackknife of three seeds has t quantiles of 2.9; four are the fewest that stop.
LEAST_FURTHER_SEEDS = 4
# Further seeds that train without decay in any case: three differences are the fewest
# that a t test takes. Then as many as it takes.
SEEDS_WITHOUT_DECAY = 3
PAIR = 2  # one λ on each side of the best: the lowest price of a slope
UNDECIDED = "cannot tell"
EVERYTHING = 0.0, math.inf  # an interval that rules nothing out
# Beyond 32 seeds a further one moves little: a sixteenth of those so far is placed at a
# time, so that a search of thousands of trainings is read about a hundred times.
SHARE_PLACED = 16
SAME_PLACE = 0.25  # of a grid step: then a place of the grid is trained already
CURVE_POINTS = 61  # of the drawn curve: no corner is seen in a figure


def next_points(points: Sequence[Point], design: Design) -> Proposal:
    """Return the trainings to run next.

    All of them may run at the same time. Call again when they have come to an end; if
    sooner, the same trainings less those that came are returned: a seed is placed by
    the seeds before it (with ``seeds_together``, by those before its batch), never by
    its own losses. A training that failed counts as run.

    ``points`` are all trainings that came to an end, in any order. Where the search is
    over there are none, and why: ``within`` (as exact as required), ``trainings`` (none
    are left), ``edge`` (the best λ is beyond all that was tried), ``no effect`` (decay
    does not matter), ``no optimum`` (all trainings diverged, or all λ gave one loss).

    Example:
        >>> proposal = next_points([], Design(low=1e-3, high=1.0))
        >>> [round(math.exp(x), 4) for x, seed in proposal.points]
        [0.001, 0.0032, 0.01, 0.0316, 0.1, 0.3162, 1.0, 0.0]

    """
    planned = _plan(Search.of(points, design))
    left = design.trainings - len(points)
    if planned.stopped_because is None and left <= 0:
        return _stop("trainings", f"all {design.trainings} trainings are done")
    return replace(planned, points=planned.points[: max(left, 0)])


def read_out(points: Sequence[Point], design: Design) -> ReadOut:
    """Return what the trainings that came to an end, in any order, show so far.

    Example:
        >>> points = [
        ...     Point(x=x, seed=seed, loss=math.exp(0.1 * (x + 4) ** 2 + 0.1 * seed))
        ...     for seed, places in enumerate([range(-8, 1), (-5, -3), (-5, -3)])
        ...     for x in places
        ... ]
        >>> found = read_out(points, Design(low=3e-4, high=1.0))
        >>> round(found.value, 3), found.low, found.needed  # two seeds have no spread
        (0.018, None, None)

    """
    search = Search.of(points, design)
    seeds = len(np.unique(search.read.seeds))
    found = ReadOut(trainings=len(points), seeds=seeds, log_scale=search.log_scale)
    if not len(search.decayed.x):
        tried = "every training diverged" if search.diverged else "nothing was trained"
        return replace(found, why_null=tried)
    if search.ignores_decay:
        return replace(found, why_null="every λ gave the same loss")
    low, high = _limits(search)
    effect = search.effect
    return replace(
        found,
        value=math.exp(search.best),
        low=low,
        high=high,
        # Where nothing is ruled out the best of what was tried bounds nothing.
        at_edge=None if (low, high) == EVERYTHING else search.at_edge,
        matters=effect.matters,
        matters_why=effect.why,
        gain=effect.gain,
        gain_within=effect.gain_within,
        harms=tuple((math.exp(x), rise) for x, rise in search.harms),
        paired=search.paired,
        needed=search.seeds_needed(),
        matters_needed=effect.needed,
        curve=_curve(search),
    )


def _limits(search: Search) -> tuple[float | None, float | None]:
    left, right = search.half_widths()
    if math.isinf(left):
        return None, None
    (first, last), best = search.window, search.best
    low, high = best - left, best + right
    # Where trainings diverged or were clearly worse the optimum is not; where none was,
    # anything may be.
    under, over = search.refuted
    if low < first or search.at_edge == "low":
        low = -math.inf if under is None else max(low, under)
    if high > last or search.at_edge == "high":
        high = math.inf if over is None else min(high, over)
    return math.exp(low), math.exp(high)


def _curve(search: Search) -> tuple[tuple[float, float], ...]:
    places = np.linspace(*search.window, CURVE_POINTS)
    curve = search.process.mean_curve(places)
    losses = np.exp(curve) if search.log_scale else curve
    pairs = zip(np.exp(places), losses, strict=True)
    return tuple((float(decay), float(loss)) for decay, loss in pairs)


def _stop(because: StoppedBecause, why: str) -> Proposal:
    return Proposal(points=(), why=why, stopped_because=because)


def _plan(search: Search) -> Proposal:
    if search.ignores_decay:
        return _stop("no optimum", "every λ gave the same loss")
    places, why = _places_of_first_seed(search.before(1))
    if places:
        return Proposal(points=tuple((x, 0) for x in places), why=why)
    if not len(search.decayed.x):
        return _stop("no optimum", "every training diverged")
    batch = _batch(1, search.design)
    before = search.before(batch.start)
    while not (missing := _missing(search, before, batch)):
        batch = _batch(batch.stop, search.design)
        before = search.before(batch.start)
    why = "on both sides of the best λ so far"
    return _stopped(before) or Proposal(points=tuple(missing), why=why)


def _batch(first: int, design: Design) -> range:
    """Return the seeds from a first one on that are placed at a time."""
    return range(first, first + max(1, design.seeds_together, first // SHARE_PLACED))


def _grid(design: Design) -> tuple[list[float], float]:
    """Where seed 0 starts, in ln λ, and the step between."""
    if design.guess is not None:
        middle = math.log(design.guess)
        step = max(LEAST_GUESS_REACH, GUESS_REACH * design.guess_spread)
        return [middle - step, middle, middle + step], step
    if design.low is None or design.high is None:
        raise ValueError("a design needs low and high, or a guess")  # noqa: TRY003
    low, high = math.log(design.low), math.log(design.high)
    return [float(x) for x in np.linspace(low, high, POINTS)], (high - low) / (
        POINTS - 1
    )


def _places_of_first_seed(first: Search) -> tuple[list[float], str]:
    """What seed 0 still needs: the grid, what extends it, two λ around the best."""
    # Each is decided by what came before it only, so that a search that was interrupted
    # places the rest as it would have.
    grid, step = _grid(first.design)
    tried = first.x[first.x > NO_DECAY].tolist()
    missing = [x for x in grid if not _near(x, tried, step)]
    if first.design.zero and NO_DECAY not in first.x:
        missing.append(NO_DECAY)
    if missing:
        return missing, "the first pass over the range"
    while (beyond := _beyond(_only(first, grid), grid, step)) is not None:
        if not _near(beyond, tried, step):
            return [beyond], "the best λ lies at an edge of what was tried"
        grid = sorted([*grid, beyond])
    on_grid = _only(first, grid)
    if not len(on_grid.decayed.x):
        return [], ""
    around = [_inside(on_grid, on_grid.best + side * step / 2) for side in (-1, 1)]
    missing = [x for x in around if not _near(x, tried, step / 2)]
    return missing, "between the best λ and its neighbors"


def _near(x: float, places: Sequence[float], step: float) -> bool:
    return any(abs(x - place) <= SAME_PLACE * step for place in places)


def _only(first: Search, grid: Sequence[float]) -> Search:
    """Seed 0 as it was when only the places of this grid were trained."""
    tried = np.flatnonzero(first.x > NO_DECAY)
    nearest = {int(tried[np.abs(first.x[tried] - x).argmin()]) for x in grid}
    return first.only(np.array(sorted(nearest)))


def _beyond(on_grid: Search, grid: Sequence[float], step: float) -> float | None:
    """The λ that extends the grid, if the lowest loss is at its end."""
    low, high = _bounds(on_grid.design, pairs=False)
    row = on_grid.decayed
    # Where all of them diverged, less decay may mend it.
    at_low, at_high = True, False
    if len(row.x):
        best = row.x[row.y.argmin()]
        at_low, at_high = best <= on_grid.x[0], best >= on_grid.x[-1]
    if at_low and grid[0] - step >= low:
        return grid[0] - step
    if at_high and grid[-1] + step <= high:
        return grid[-1] + step
    return None


def _bounds(design: Design, *, pairs: bool) -> tuple[float, float]:
    """The ln λ beyond which nothing is trained; a pair needs room on both sides."""
    grid, step = _grid(design)
    extensions = EXTENSIONS if design.guess is None else EXTENSIONS_OF_A_GUESS
    reach = (extensions + pairs + SAME_PLACE) * step
    low = math.log(design.least) if design.least > 0 else -math.inf
    high = math.log(design.most) if math.isfinite(design.most) else math.inf
    return max(low, grid[0] - reach), min(high, grid[-1] + reach)


def _inside(search: Search, x: float) -> float:
    """Move ln λ to where it may be trained, short of where trainings diverged."""
    low, high = _bounds(search.design, pairs=True)
    under, over = search.walls
    first, last = search.window
    if under is not None:
        low = max(low, (under + first) / 2)
    if over is not None:
        high = min(high, (over + last) / 2)
    return min(max(x, low), high)


def _missing(search: Search, before: Search, batch: range) -> list[tuple[float, int]]:
    """What the seeds of a batch still need; those before it decide where."""
    ends = np.searchsorted(search.seeds, (batch.start, batch.stop))
    own = search.only(slice(*ends.tolist()))
    is_zero = own.x == NO_DECAY
    # Where a later batch was begun, this one had all that was to be decided.
    is_last = search.seeds[-1] < batch.stop
    last = batch.stop if is_last else min(batch.stop, SEEDS_WITHOUT_DECAY + 1)
    without = {*range(batch.start, last)} - {*own.seeds[is_zero].tolist()}
    tried = np.bincount(own.seeds[~is_zero] - batch.start, minlength=len(batch))
    if not without and (tried >= PAIR).all():
        return []
    zeros, missing = before.failed[before.x == NO_DECAY], []
    # Some cannot train without any penalty at all (C = inf): one try shows it.
    zero = search.design.zero and not (len(zeros) and zeros.all())
    for seed in batch:
        tried_there = own.x[~is_zero & (own.seeds == seed)]
        if len(tried_there) < PAIR:
            pair = _pair(before)
            if len(tried_there):
                pair = [max(pair, key=lambda x: abs(x - tried_there[0]))]
            missing += [(x, seed) for x in pair]
        if zero and seed in without:
            is_open = before.effect.matters == UNDECIDED
            missing += [(NO_DECAY, seed)] * (seed <= SEEDS_WITHOUT_DECAY or is_open)
    return missing


def _pair(before: Search) -> list[float]:
    half = HALF_PAIR_UNPAIRED if before.paired is False else HALF_PAIR
    left, right = before.reach_of_draws
    steps = (-half, half)
    # At an edge the range is extended first.
    if max(left, right) > FAR and not _may_extend(before):
        steps = (-left, 0.0) if left > right else (0.0, right)
    return [_inside(before, before.best + step) for step in steps]


def _may_extend(search: Search) -> bool:
    """Whether the best λ lies at an edge beyond which something may be trained yet."""
    low, high = _bounds(search.design, pairs=True)
    tried = search.x[search.x > NO_DECAY]
    room = {"low": tried.min() - low, "high": high - tried.max(), None: 0.0}
    return bool(room[search.at_edge] > GRID_STEP)


def _stopped(search: Search) -> Proposal | None:
    if len(search.further) < LEAST_FURTHER_SEEDS:
        return None
    if search.effect.matters == "no":
        return _stop("no effect", search.effect.why)
    if (
        search.at_edge is not None
        and not _may_extend(search)
        and _limits(search) != EVERYTHING
    ):
        return _stop("edge", "the best λ lies beyond all that were tried")
    if max(search.half_widths()) <= math.log(search.design.within):
        return _stop("within", f"λ is known within a factor {search.design.within:g}")
    return None
