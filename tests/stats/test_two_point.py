"""The two-point design: what it trains next, when it stops, what it reads out."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dwindle.stats.points import NO_DECAY, Design, Point
from dwindle.stats.search import FLOOR, Search
from dwindle.stats.two_point import next_points, read_out

RANGE = Design(low=1e-4, high=1.0, trainings=60)

NOISE = 1.15  # one draw in ten lies outside of its interval, if not far


def bowl(x, seed, *, best=0.02):
    """A dip of 20 % with a wall to its right; seeds differ in level and place."""
    luck = np.random.default_rng(seed).standard_normal(3)
    if x == NO_DECAY:
        return math.exp(0.1 * luck[0] + 0.05 * luck[2])
    away = x - math.log(best) - 0.2 * luck[1]
    return math.exp(0.1 * luck[0] + 0.02 * away**2 + 0.02 * max(0, away) ** 2 - 0.2)


def run(loss, design=RANGE, *, points=(), at_once=None):
    """Search to the end; with ``at_once``, so many trainings of each proposal run."""
    points = list(points)
    while not (proposal := next_points(points, design)).stopped_because:
        for x, seed in proposal.points[:at_once]:
            points.append(Point(x=x, seed=seed, loss=loss(x, seed)))
    return points, proposal.stopped_because


@pytest.fixture(scope="module")
def ended():
    """A search that went to its end, and why it stopped."""
    return run(bowl)


def test_it_ends_near_the_best_decay_with_the_required_interval(ended):
    """In any order of the trainings' ends, and wherever the search was interrupted."""
    points, stopped = ended
    found = read_out(points, RANGE)
    assert stopped == "within"
    assert found.low / NOISE < 0.02 < found.high * NOISE
    assert found.high / found.low <= 1.25**2 * 1.000001
    assert (found.matters, found.paired, found.needed) == ("yes", True, None)
    shuffled = [*reversed(points[::2]), *points[1::2]]
    assert read_out(shuffled, RANGE) == found
    assert next_points(shuffled[:-3], RANGE).points
    for at_once in (1, 2, 5):
        assert set(run(bowl, at_once=at_once)[0]) == set(points)
    fewer, why = run(bowl, replace(RANGE, trainings=13))
    assert (len(fewer), why) == (13, "trainings")


def test_seeds_together_are_placed_by_the_seeds_before_all_of_them():
    """Three seeds at a time have one pair, and are proposed at once."""
    design = replace(RANGE, seeds_together=3)
    points, _ = run(bowl, design)
    pair = {s: sorted(p.x for p in points if p.seed == s)[1:] for s in (1, 2, 3)}
    assert pair[1] == pair[2] == pair[3]
    first = [point for point in points if point.seed == 0]
    assert len(next_points(first, design).points) == 9


def test_a_range_is_extended_to_either_side_and_no_further_than_allowed():
    """Before it is a bound: where seed 0 was trained, and where its pairs go."""
    for best in (1e-5, 9.0):
        points, _ = run(lambda x, s, b=best: bowl(x, s, best=b))
        found = read_out(points, RANGE)
        assert found.at_edge is None
        assert found.low / NOISE < best < found.high * NOISE
    bounded = replace(RANGE, most=1.0)
    points, stopped = run(lambda x, s: bowl(x, s, best=8.0), bounded)
    found = read_out(points, bounded)
    assert max(point.x for point in points) <= 0
    assert (stopped, found.at_edge, found.high) == ("edge", "high", math.inf)
    design = Design(low=1e-3, high=1.0, trainings=60)
    for side in (-1, 1):

        def loss(x, seed, side=side):
            luck = np.random.default_rng(seed).standard_normal(2)
            slope = 0.0 if x == NO_DECAY else -0.05 * side * (x - math.log(0.03))
            return math.exp(0.1 * luck[0] + slope)

        points, stopped = run(loss, design)
        found = read_out(points, design)
        assert (stopped, found.at_edge) == ("edge", "low" if side < 0 else "high")
        tried = [side * p.x for p in points if p.x > NO_DECAY]
        # Three steps of the grid of seven beyond the end of the range.
        end = max(side * math.log(design.low), side * math.log(design.high))
        assert max(tried) - end > 3 * math.log(1e3) / 6


def test_a_seed_that_diverged_everywhere_is_no_wall():
    """Beyond the best λ at the edge it diverged, but so it did among the others."""
    points = [
        Point(x=x, seed=seed, loss=bowl(x, seed, best=1.0))
        for seed, places in enumerate([range(-9, -3), *([(-5, -4)] * 5)])
        for x in places
    ]
    lost = [Point(x=x, seed=6, loss=None) for x in (-5, -3)]
    alone, found = (read_out(each, RANGE) for each in (points, [*points, *lost]))
    assert (alone.at_edge, alone.high) == ("high", math.inf)
    assert replace(found, trainings=alone.trainings) == alone
    # Where nobody pairs trainings both are evidence; so is a seed that trained once.
    once = [replace(lost[0], loss=1.0), lost[1]]
    for more, design in ((lost, replace(RANGE, paired=False)), (once, RANGE)):
        bounded = read_out([*points, *more], design)
        assert bounded.at_edge is None
        assert bounded.high <= math.exp(-3)


def test_a_wall_of_divergence_bounds_the_range_and_is_no_edge():
    """Nothing is read beyond it; without decay it is a reason for decay."""

    def loss(x, seed):
        return None if x > math.log(0.05) else bowl(x, seed, best=0.5)

    points, stopped = run(loss)
    found = read_out(points, RANGE)
    diverged = [point for point in points if point.loss is None]
    assert len(diverged) < len(points) / 2
    assert found.value <= 0.05
    assert (found.at_edge, found.high > 0.05, stopped) == (None, True, "within")
    points, _ = run(lambda x, s: None if x == NO_DECAY else bowl(x, s))
    assert read_out(points, RANGE).matters == "yes"


def test_where_no_curve_is_there_is_no_optimum():
    """All losses alike, all diverged, nothing trained: each has its reason."""
    nothing = {1.0: "every λ gave the same loss", None: "every training diverged"}
    for loss, why in nothing.items():
        points, stopped = run(lambda x, s, loss=loss: loss and loss + s)  # noqa: ARG005
        found = read_out(points, RANGE)
        assert (stopped, found.value, found.why_null) == ("no optimum", None, why)
        assert len(points) <= 10
    assert read_out([], RANGE).value is None


def test_failed_trainings_are_not_tried_again_and_are_no_evidence(ended):
    """A seed that failed is none, and no training of it is proposed."""
    points, _ = ended
    lost = [replace(p, loss=None, failed=True) if p.seed == 2 else p for p in points]
    assert all(seed != 2 for _, seed in next_points(lost, RANGE).points)
    assert read_out(lost, RANGE).seeds == read_out(points, RANGE).seeds - 1


@pytest.mark.parametrize("guess", [0.02, 0.04, 0.09])
def test_a_loss_without_decay_does_not_bend_the_curve_around_a_guess(guess):
    """Where decay halves the loss, a guess needs fewer trainings all the same."""

    def loss(x, seed):
        luck = np.random.default_rng(seed).standard_normal(2)
        decay = 0.0 if x == NO_DECAY else math.exp(x)
        away = math.log((decay + 0.046 / 50) / 0.046) - 0.1 * luck[0]
        return math.exp(0.05 * luck[1] + 0.05 * away**2)

    design = Design(guess=guess, trainings=25)
    points, stopped = run(loss, design)
    found = read_out(points, design)
    assert (stopped, len(points) <= 21) == ("within", True)
    # Seven over a range, two around the best, and the one without decay.
    assert len([point for point in points if point.seed == 0]) < 7 + 2 + 1
    assert found.low < 0.046 < found.high


@pytest.mark.parametrize("number", [3, 6, 8])
def test_seeds_with_an_optimum_each_widen_the_interval(number):
    """Folds that differ by a half in level and place: it holds, and has both ends."""

    def loss(x, seed):
        luck = np.random.default_rng([number, seed]).standard_normal(2)
        away = x - 0.8 * luck[1]
        return 0.08 * math.exp(0.4 * luck[0]) * (1 + 0.15 * away**2)

    design = Design(low=1e-3, high=1e3, trainings=29, zero=False)
    found = read_out(run(loss, design)[0], design)
    assert found.low < 1 < found.high
    assert found.high / found.low < 6


def trained_as_pairs(loss, first):
    """Seed 0 at the places of a grid, four at a pair, and all without decay."""
    rows = {0: (*first, NO_DECAY)}
    rows |= dict.fromkeys((1, 2, 3, 4), (-3.5, -2.3, NO_DECAY))
    return [
        Point(x=x, seed=seed, loss=loss(x, seed))
        for seed, places in rows.items()
        for x in places
    ]


def test_an_end_that_is_clearly_worse_is_outside_of_the_interval():
    """The best λ lies at the low end or below it, not at the other one."""

    def loss(x, seed):
        luck = np.random.default_rng(seed).standard_normal(2)
        return math.exp(0.1 * luck[0] + (0.3 + 0.03 * luck[1]) * max(-5, x))

    points = trained_as_pairs(loss, range(-4, 3))
    found = read_out(points, Design(low=math.exp(-4), high=math.exp(2)))
    assert (found.at_edge, found.low) == ("low", 0)
    assert found.high < 0.2


def test_a_gain_has_its_interval_by_the_seeds_that_trained_both():
    """Student's t of the seeds' differences between λ = 0 and the λ beside the best."""
    points = trained_as_pairs(lambda x, seed: bowl(x, seed, best=0.06), range(-7, 1))
    losses = {(point.seed, point.x): math.log(point.loss) for point in points}
    gains = [
        losses[seed, NO_DECAY] - (losses[seed, -3.5] + losses[seed, -2.3]) / 2
        for seed in (1, 2, 3, 4)
    ]
    found = read_out(points, RANGE)
    assert found.gain == pytest.approx(np.mean(gains))
    half = stats.t.ppf(0.95, len(gains) - 1) * stats.sem(gains)
    assert found.gain_within == pytest.approx(half)


@pytest.mark.parametrize("shift", [0.0, -10.0])
def test_decay_that_only_hurts_is_found_to_hurt_as_much_as_it_does(shift):
    """Against a planted rise, as a share and in units of a metric below zero."""

    def rise(x):
        return 0.3 / (1 + 0.003 * math.exp(-x))

    def loss(x, seed):
        level, noise = np.random.default_rng([seed, hash(x) % 997]), seed
        luck = 0.05 * np.random.default_rng(noise).standard_normal()
        return 1 + luck + shift + rise(x) * (x > NO_DECAY) + 1e-3 * level.normal()

    design = Design(low=1e-3, high=1.0)
    points, stopped = run(loss, design)
    found = read_out(points, design)
    assert (stopped, found.matters) == ("no effect", "no")
    # No further seed would be trained, and none makes an end a factor.
    assert (found.at_edge, found.needed, found.matters_needed) == ("low", None, None)
    harms = {round(math.log10(decay), 2): worse for decay, worse in found.harms}
    for place in (-3, -2, -1, 0):
        true = rise(place * math.log(10))
        if not shift:
            true = math.log1p(true / loss(NO_DECAY, 0))
        assert harms[place] == pytest.approx(true, abs=0.015)
    assert len(harms) == len(found.harms)


def flat(k, spread):
    """A loss that decay does nothing to, and seeds do not share."""

    def loss(x, seed):
        place = random.Random(f"{k}/{seed}/{x:.9g}")  # noqa: S311 no secret
        return 1 + place.gauss(0, spread)

    return loss


def test_where_nothing_is_ruled_out_no_end_is_named_and_the_search_goes_on():
    """With flat losses none ends at an edge; undecided searches use all trainings."""
    design = Design(low=1e-3, high=1.0, trainings=40)
    faults, undecided = [], 0
    for k, spread in [(k, spread) for k in range(6, 10) for spread in (0.01, 0.04)]:
        points, stopped = run(flat(k, spread), design)
        found = read_out(points, design)
        is_open = (found.low, found.high) == (0, math.inf)
        if stopped == "edge" or (is_open and found.at_edge):
            faults.append((k, spread, stopped, found.at_edge))
        if is_open and found.matters == "cannot tell":
            undecided += 1
            if (stopped, len(points)) != ("trainings", 40):
                faults.append((k, spread, stopped, len(points)))
    assert not faults
    assert undecided


def test_the_seeds_needed_are_about_those_that_decide():
    """With as many further seeds as are needed, a real gain of 3 % is mostly seen."""
    design, ended = Design(low=1e-3, high=1.0, trainings=25, within=1.15), []
    for k in range(9):

        def loss(x, seed, noise=flat(k, 0.03)):  # noqa: B008 of this k
            return noise(x, seed) + 0.03 * (x == NO_DECAY)

        points, _ = run(loss, design)
        needed = read_out(points, design).matters_needed
        if needed is not None and needed <= 25:  # more take long
            longer = replace(design, trainings=25 + 3 * needed)
            points, _ = run(loss, longer, points=points)
            ended.append((needed, read_out(points, longer).matters))
    seen = [matters for _, matters in ended].count("yes")
    assert len(ended) >= 3, ended
    assert seen >= 0.6 * len(ended), ended


def test_noise_keeps_no_search_from_extending_its_range():
    """At an edge pairs go on beyond it before they search a second minimum inside."""
    design = Design(low=1e-3, high=1.0, trainings=40)
    for side in (-1, 1):

        def loss(x, seed, side=side):
            noise = random.Random(f"{x:.4f} {seed}").gauss(0, 0.2)  # noqa: S311 luck
            level = np.random.default_rng(seed).normal(0, 0.1)
            slope = 0.0 if x == NO_DECAY else -0.05 * side * (x - math.log(0.03))
            return math.exp(level + slope + noise)

        points, _ = run(loss, design)
        tried = [side * p.x for p in points if p.x > NO_DECAY]
        end = max(side * math.log(design.low), side * math.log(design.high))
        assert max(tried) - end > math.log(1e3) / 6  # a step of the grid of seven


def test_an_interval_holds_the_minima_of_both_readings():
    """Beside a steep wall they lie apart, further from the value than the floor."""

    def walled(x, seed):
        level = np.random.default_rng(seed).normal(0, 0.1)
        away = x - math.log(0.02)
        dip = 0.0 if x == NO_DECAY else 0.05 * math.exp(-(away**2) / 4)
        wall = 0.0 if x == NO_DECAY else max(0.0, away - 0.5) ** 2
        return math.exp(level - dip + wall)

    points, _ = run(walled, replace(RANGE, trainings=20))
    search = Search.of(points, RANGE)
    low, high = (
        search.best - search.half_widths()[0],
        search.best + search.half_widths()[1],
    )
    assert max(search.minima) - min(search.minima) > 2 * FLOOR
    assert low <= min(search.minima) <= search.best <= max(search.minima) <= high


def test_losses_that_are_not_positive_are_read_on_their_own_scale():
    """As an accuracy that is to be minimized, below zero."""
    points, _ = run(lambda x, seed: 100 * (bowl(x, seed) - 1.9))
    found = read_out(points, RANGE)
    assert not found.log_scale
    assert found.low / NOISE < 0.02 < found.high * NOISE


def test_trainings_that_share_nothing_are_replicates():
    """They are not paired; pairs lie wider apart, for noise is all there is."""
    design = Design(low=1e-4, high=1.0, paired=False, trainings=60)
    noise = np.random.default_rng(3)
    points, _ = run(
        lambda x, s: bowl(x, 0) * math.exp(0.03 * noise.standard_normal()),  # noqa: ARG005
        design,
    )
    found = read_out(points, design)
    assert found.paired is False
    assert found.low < 0.02 * math.exp(0.2 * 0.2) < found.high
    last = points[-1].seed - 1  # the first ones search a second minimum
    pairs = [sorted(p.x for p in points if p.seed == last - n)[-2:] for n in range(3)]
    assert np.diff(pairs) == pytest.approx(2.4)
