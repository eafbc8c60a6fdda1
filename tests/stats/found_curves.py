"""Searches on curves of real trainings; most of the design was chosen on others.

The far pairs, the place of λ = 0, Student's t and the least noise of the process were
chosen on these, with other draws of the seeds.

``tests/data/find_curves.npz`` has losses of seeds (rows) at λ = 0 and 13 to 21 λ of six
cells, trained by ``bench/find_curves.py``: MLPs on Fashion-MNIST (SGD and AdamW, 400
and 1,000 images), a CNN on it, a network that predicts letters. A replicate has the
mean curve (a spline of log losses), shifted by up to half a decade, and seeds that
are random combinations of the real seeds' deviations: so the noise keeps its size and
its correlation over λ.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from dwindle.stats.points import NO_DECAY, Design, Point
from dwindle.stats.two_point import next_points, read_out

FILE = Path(__file__).parents[1] / "data" / "find_curves.npz"
DECADES = 3.75  # of the range that a user gives
MOST = 80


@dataclass(frozen=True)
class Cell:
    """A kind of training: ln λ (points,), log losses (seeds, points), at 0 (seeds,)."""

    name: str
    x: np.ndarray
    logs: np.ndarray
    without: np.ndarray
    share: float = 1.0  # of what decay gained, see ``shallower``

    @cached_property
    def spline(self):
        return CubicSpline(self.x, self.logs.mean(axis=0))

    def mean(self, places):
        """Return the mean log loss at ln λ."""
        gain = self.without.mean() - self.spline(places)
        return self.without.mean() - np.where(gain > 0, self.share * gain, gain)

    @cached_property
    def deviations(self):
        return CubicSpline(self.x, self.logs - self.logs.mean(axis=0), axis=1)

    @cached_property
    def best(self):
        places = np.linspace(self.x[0], self.x[-1], 4001)
        return float(places[self.mean(places).argmin()])

    def shallower(self, share):
        """Return the cell with a share of what decay gains; seeds differ as before.

        Above the loss without decay the curve stays as it is, and the best λ is that
        of the whole curve: what is scaled is the curve, since a spline through scaled
        points swings where the wall begins, by more than a shallow dip is deep.
        """
        return replace(self, share=share)

    def replicate(self, number, *, noise=1.0, shares_seed=True):
        """Return loss(ln λ, seed) and the true best ln λ."""
        shift = np.random.default_rng([number, 0]).uniform(-0.5, 0.5) * math.log(10)
        first, last = self.x[0], self.x[-1]
        slope = float(self.mean(last) - self.mean(last - 0.01)) / 0.01

        def loss(x, seed):
            own = () if shares_seed else (abs(hash(x)) % 2**32,)
            weights = np.random.default_rng([number, 1, seed, *own]).standard_normal(
                len(self.logs)
            )
            weights *= noise / math.sqrt(len(weights) - 1)
            if x == NO_DECAY:
                deviations = self.without - self.without.mean()
                return math.exp(self.without.mean() + weights @ deviations)
            inside = min(max(x - shift, first), last)
            beyond = slope * max(0.0, x - shift - last)
            deviation = weights @ self.deviations(inside)
            return math.exp(float(self.mean(inside)) + beyond + deviation)

        return loss, self.best + shift

    def design(self, **changes):
        """Return the design of a user who expects the best λ within two decades."""
        half = DECADES / 2 * math.log(10)
        low, high = math.exp(self.best - half), math.exp(self.best + half)
        return Design(**({"low": low, "high": high, "trainings": MOST} | changes))


def _cells():
    with np.load(FILE) as file:
        names = sorted({key.rpartition(".")[0] for key in file})
        tables = [(n, file[f"{n}.decay"], file[f"{n}.losses"]) for n in names]
    for name, decay, losses in tables:
        logs = np.log(losses.astype(float))
        yield Cell(name, np.log(decay[1:]), logs[:, 1:], logs[:, 0])


CELLS = tuple(_cells())


class Searched(NamedTuple):
    """How a search went; the error is in ln λ."""

    trainings: int
    error: float
    covered: bool
    matters: str
    paired: bool | None


def search(loss, truth, design):
    """Search to the end."""
    points = []
    while proposed := next_points(points, design).points:
        points += [Point(x=x, seed=s, loss=loss(x, s)) for x, s in proposed]
    found = read_out(points, design)
    return Searched(
        trainings=len(points),
        error=math.log(found.value) - truth,
        covered=found.low is None or found.low <= math.exp(truth) <= found.high,
        matters=found.matters,
        paired=found.paired,
    )
