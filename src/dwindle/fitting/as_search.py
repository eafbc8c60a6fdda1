"""A cell as a search has it: its trainings as points, and what they show between λ."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from dwindle.fitting.losses import CellLosses
from dwindle.stats.curve import Curve
from dwindle.stats.optimum import Optimum
from dwindle.stats.points import NO_DECAY, Design, Point
from dwindle.stats.student import SEEDS_FOR_AN_INTERVAL
from dwindle.stats.two_point import read_out

MOST_POINTS = 400  # of a Gaussian process that is read once for every seed


def read_between(losses: CellLosses, curve: Curve, optimum: Optimum) -> Optimum:
    """Return an optimum on a coarse grid with the limits that its losses allow."""
    # On such a grid the recipe of a study stops at the neighbors of the lowest λ. The
    # process that reads a search takes curves to be smooth, and pairs seeds.
    if not optimum.coarse:
        return optimum
    # What diverged is a wall, or missing: both are handled elsewhere.
    points = [each for each in seed_points(losses) if each.loss is not None]
    if len(points) > MOST_POINTS:
        # Means of seeds are as good as seeds, where there are plenty.
        count = max(SEEDS_FOR_AN_INTERVAL, MOST_POINTS // len(curve.log_decay))
        groups = np.array_split(curve.log_losses, min(count, curve.n))
        points = [
            Point(x=float(x), seed=at, loss=math.exp(loss))
            for at, group in enumerate(groups)
            for x, loss in zip(curve.log_decay, group.mean(axis=0), strict=True)
        ]
    first, last = losses.positive[0], losses.positive[-1]
    found = read_out(points, Design(low=first, high=last, zero=False))
    if found.value is None or found.low is None or found.high is None:
        return optimum
    return replace(
        optimum,
        log_decay=optimum.log_decay if optimum.at_edge else math.log(found.value),
        # Beyond what was tried a limit is a guess.
        low=math.log(found.low) if found.low >= first else -math.inf,
        high=math.log(found.high) if found.high <= last else math.inf,
    )


def seed_points(losses: CellLosses) -> list[Point]:
    """Return trainings as a search has them."""
    # The seed of most λ holds the bracket, as the first seed of a search does.
    several = Counter(
        seed
        for decay, of_seed in losses.by_decay.items()
        for seed in of_seed
        if decay > 0
    )
    fullest = sorted(several, key=lambda seed: -several[seed])
    seeds = {seed: at for at, seed in enumerate(fullest)}
    return [
        Point(
            x=math.log(decay) if decay else NO_DECAY,
            seed=seeds[seed],
            loss=loss if math.isfinite(loss) else None,
        )
        for decay, of_seed in losses.by_decay.items()
        for seed, each in of_seed.items()
        if seed in seeds
        for loss in each
    ]
