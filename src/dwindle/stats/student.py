"""Student's t: the spread of a mean of few seeds; SciPy, where it is needed."""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from dwindle.errors import MissingLibraryError

FloatArray = npt.NDArray[np.float64]

# Of two seeds t(0.95, 1) is 6.3: their interval would rule out next to nothing.
SEEDS_FOR_AN_INTERVAL = 3
MOST_SEEDS = 1000  # nobody trains more of one setting


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its 90 % limits; they are None where there is no spread to see."""

    value: float
    low: float | None
    high: float | None


def scipy_module(name: str) -> Any:  # a module; scipy ships no types
    """Import a part of SciPy: slow to load, and in the extra ``report`` only."""
    try:
        return import_module(name)
    except ImportError as absent:
        raise MissingLibraryError(
            library="scipy", needed_for="Reporting what a study found", extra="report"
        ) from absent


def t_quantile(probability: float, *, degrees_of_freedom: int) -> float:
    """Return the quantile of Student's t; that of 0.95 bounds a 90 % interval."""
    # scipy.special alone loads in a fraction of the time of scipy.stats.
    special = scipy_module("scipy.special")
    return float(special.stdtrit(degrees_of_freedom, probability))


def mean_interval(values: FloatArray) -> Interval:
    """Return the mean of independent values and its 90 % t interval.

    Formula: ``mean ± t(0.95, n-1) · sd / √n``. A single value has no spread, and so no
    limits.
    """
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(value=mean, low=None, high=None)
    half = half_width(values)
    return Interval(value=mean, low=mean - half, high=mean + half)


def half_width(values: FloatArray, *, probability: float = 0.95) -> float:
    """Return ``t(probability, n-1) · sd / √n`` of at least two values."""
    n = len(values)
    t = t_quantile(probability, degrees_of_freedom=n - 1)
    return t * float(values.std(ddof=1)) / math.sqrt(n)


def seeds_to_settle(mean: float, spread: float, *, have: int) -> int | None:
    """Return how many more seeds would show a difference, were it what it seems.

    The smallest number with ``mean ≥ 2 · t · spread / √n``, of paired differences with
    that mean and standard deviation: the test then passes about 19 times in 20. At
    least 1; None where the mean is not above 0, and above 1,000 seeds.
    """
    if mean <= 0:
        return None
    for n in range(max(have + 1, SEEDS_FOR_AN_INTERVAL), MOST_SEEDS + 1):
        t = t_quantile(0.95, degrees_of_freedom=n - 1)
        if mean >= 2 * t * spread / math.sqrt(n):
            return n - have
    return None


def means_of(values: FloatArray, at: npt.NDArray[np.int_]) -> FloatArray:
    """Return the mean of the values at each of 0, 1, ..., which all have one."""
    means: FloatArray = np.bincount(at, weights=values) / np.bincount(at)
    return means


def coin_wins(wins: int, *, of: int) -> float:
    """Return how likely a coin wins at least so many times: a one-sided sign test."""
    return sum(math.comb(of, k) for k in range(wins, of + 1)) / (1 << of)
