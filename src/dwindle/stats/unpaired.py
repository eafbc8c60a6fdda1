"""The best λ of trainings that share no seed: a smooth curve, and its noise.

The noise of trainings is independent: what a smooth curve leaves over measures it. The
curve is a Gaussian process over ln λ, averaged over its hyper-parameters; whether its
lowest place is lower than an end of the range, or than training without decay, is
compared with what the same reading makes of noise around a flat line. That comparison
pays for the choice of the lowest place.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dwindle.stats.optimum import DRAWS, INTERPOLATION_FLOOR, Edge, Optimum
from dwindle.stats.process import rbf
from dwindle.stats.student import FloatArray, means_of, seeds_to_settle

# An end of the 90 % interval is drawn to .11 standard deviations; a chance of 4 %, as
# it is compared with an error rate, to .6 %.
_CURVES = 400
_NULL_DRAWS = 1000
_MOST_PLACES = 60  # trainings at more different λ are averaged over neighbors
_FINE = 121  # points at which the curve is read
_LENGTHS = (1.0, 1.6, 2.5, 4.0)  # in ln λ, as curves of real trainings have them
_SIGNALS = (0.3, 1.0, 3.0, 10.0, 30.0)  # sd of the curve in units of the noise
# The reading that is compared with a flat line: of a signal that is worth finding.
_TEST_LENGTH, _TEST_SIGNAL = 1.6, 3.0
_LEAST_DEGREES = 3  # of freedom: fewer hardly show how large the noise is
_JITTER = 1e-9  # on the diagonal: equal places would make it singular


@dataclass(frozen=True, kw_only=True, eq=False)
class Unpaired:
    """What unpaired trainings show.

    The ``optimum`` has no limits, and ``noise``, the sd of one training, is None where
    nothing measures it. ``chances`` has, for ``"low"`` and ``"high"`` (the ends
    of the range) and ``"zero"``, how often noise around a flat line would make the best
    λ beat that one so clearly; ``gains`` by how much it does.
    """

    optimum: Optimum
    noise: float | None
    chances: dict[str, float]
    gains: dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Means:
    """Means at places: ln λ, mean and count, shape (places,), and what is within."""

    places: FloatArray
    means: FloatArray
    counts: FloatArray
    within: float  # sum of squares around the means
    degrees: int  # of freedom of that sum

    @classmethod
    def of(cls, log_decay: FloatArray, values: FloatArray) -> Self:
        """Average equal places, and neighbors where there are too many others."""
        rounded = np.round(log_decay, 9)
        places = np.unique(rounded)
        if len(places) > _MOST_PLACES:
            width = (places[-1] - places[0]) / _MOST_PLACES
            index = np.minimum(
                ((rounded - places[0]) / width).astype(int), _MOST_PLACES - 1
            )
            _, index = np.unique(index, return_inverse=True)
        else:
            index = np.searchsorted(places, rounded)
        counts, means = np.bincount(index).astype(float), means_of(values, index)
        return cls(
            places=means_of(rounded, index),
            means=means,
            counts=counts,
            within=float(((values - means[index]) ** 2).sum()),
            degrees=len(values) - len(counts),
        )


def read_unpaired(
    log_decay: FloatArray,
    values: FloatArray,
    without: FloatArray,
    *,
    generator_seed: int = 0,
) -> Unpaired:
    """Read the lowest place of unpaired trainings off a smooth curve.

    ``values`` are losses or log losses, on the scale on which noise is even, at ln λ of
    two places or more; ``without`` are those without decay, if there are any. Cells
    that share no training have another ``generator_seed`` each: with one for all their
    draws would move together, and an exponent would seem to be known exactly.
    """
    cell = _Means.of(log_decay, values)
    fine = np.linspace(cell.places[0], cell.places[-1], _FINE)
    spare = len(cell.places) - 2 + cell.degrees + max(len(without) - 1, 0)
    if spare < _LEAST_DEGREES or len(cell.places) < 3:  # noqa: PLR2004 - a bowl
        lowest = float(cell.places[cell.means.argmin()])
        optimum = _optimum(lowest, cell.places, np.empty(0))
        return Unpaired(optimum=optimum, noise=None, chances={}, gains={})
    drawn, place = _minima(cell, fine)
    low, high = _limits(fine, place, drawn)
    # As many as those of seeds, with which they may make a slope.
    draws = np.quantile(drawn, (np.arange(DRAWS) + 0.5) / DRAWS)
    np.random.default_rng(generator_seed).shuffle(draws)
    optimum = replace(_optimum(place, cell.places, draws), low=low, high=high)
    noise, chances, gains = _against_a_flat_line(cell, without)
    return Unpaired(optimum=optimum, noise=noise, chances=chances, gains=gains)


def _optimum(place: float, places: FloatArray, draws: FloatArray) -> Optimum:
    edge: Edge | None = "high" if place >= places[-1] else None
    return Optimum(
        log_decay=place,
        low=None,
        high=None,
        at_edge="low" if place <= places[0] else edge,
        draws=draws,
    )


def trainings_needed(*, gain: float, noise: float) -> int | None:
    """Return how many trainings of each λ would show a gain, were it the true one.

    The smallest n with ``gain ≥ 2 · t(0.95, n-1) · noise · √(2/n)``.

    Example:
        >>> trainings_needed(gain=0.1, noise=0.1)
        24
    """
    fewest = 2  # so that the count begins at three
    more = seeds_to_settle(gain, noise * math.sqrt(2), have=fewest)
    return None if more is None else fewest + more


def _smoother(
    cell: _Means, at: FloatArray, length: float, signal: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the rows that read the curve at places, its covariance, and V⁻¹."""
    # The mean of the process is free (generalized least squares); all in units of the
    # noise of one training.
    places = cell.places
    among = signal**2 * rbf(places[:, None] - places, length)
    across = signal**2 * rbf(at[:, None] - places, length)
    inverse = np.asarray(
        np.linalg.inv(among + np.diag(1 / cell.counts + _JITTER)), dtype=np.float64
    )
    ones = np.ones(len(places))
    weight = inverse @ ones / (ones @ inverse @ ones)
    gain = across @ inverse
    rest = 1 - gain @ ones
    rows = gain + np.outer(rest, weight)
    spread = signal**2 * rbf(at[:, None] - at, length) - gain @ across.T
    spread += np.outer(rest, rest) / (ones @ inverse @ ones)
    return rows, spread, inverse


def _minima(cell: _Means, fine: FloatArray) -> tuple[FloatArray, float]:
    """Return the lowest places of plausible curves, and that of the mean curve."""
    generator = np.random.default_rng(0)
    found: list[tuple[float, FloatArray, FloatArray, float]] = []
    degrees = len(cell.places) - 1 + cell.degrees
    for length in _LENGTHS:
        for signal in _SIGNALS:
            rows, spread, inverse = _smoother(cell, fine, length, signal)
            # The mean and the size of the noise are integrated out: the degrees of
            # freedom are one fewer, and the tails those of Student's t.
            ones = np.ones(len(cell.places))
            bend = ones @ inverse @ ones
            left = cell.means - (ones @ inverse @ cell.means) / bend
            squares = float(left @ inverse @ left) + cell.within
            _, log_det = np.linalg.slogdet(inverse)
            likelihood = 0.5 * (
                log_det - math.log(bend) - degrees * math.log(max(squares, 1e-300))
            )
            found.append((likelihood, rows @ cell.means, spread, squares / degrees))
    # Likelihoods underflow; their ratios to the best do not.
    best = max(each[0] for each in found)
    weights = np.exp([each[0] - best for each in found])
    weights /= weights.sum()
    mean = np.sum([w * each[1] for w, each in zip(weights, found, strict=True)], axis=0)
    drawn = []
    for weight, (_, curve, spread, variance) in zip(weights, found, strict=True):
        count = round(weight * _CURVES)
        if not count:
            continue
        eigenvalues, vectors = np.linalg.eigh(spread)
        # Places that lie close make eigenvalues of 0, and rounding negative ones.
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0))
        noise = generator.standard_normal((count, len(fine))) @ root.T
        heavy = np.sqrt(variance * degrees / generator.chisquare(degrees, count))
        drawn.append(fine[(curve + heavy[:, None] * noise).argmin(axis=1)])
    return np.concatenate(drawn), float(fine[mean.argmin()])


def _limits(fine: FloatArray, place: float, draws: FloatArray) -> tuple[float, float]:
    q05, q95 = np.quantile(draws, (0.05, 0.95))
    low = place - math.hypot(min(q05 - place, 0), INTERPOLATION_FLOOR)
    high = place + math.hypot(max(q95 - place, 0), INTERPOLATION_FLOOR)
    return (
        low if q05 > fine[0] and low >= fine[0] else -math.inf,
        high if q95 < fine[-1] and high <= fine[-1] else math.inf,
    )


def _against_a_flat_line(
    cell: _Means, without: FloatArray
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Compare the depth of the curve with the depth that noise alone would show."""
    rows, _, _ = _smoother(cell, cell.places, _TEST_LENGTH, _TEST_SIGNAL)
    zeros = len(without)
    contrasts = {"low": rows[0] - rows, "high": rows[-1] - rows}
    if zeros:
        contrasts["zero"] = -rows
    free = len(cell.places) - float(2 * np.trace(rows) - (rows * rows).sum())
    # Where λ repeat, they alone measure the noise; else what the curve leaves over.
    own = cell.degrees + max(zeros - 1, 0)
    by_repeats = own >= 2 * _LEAST_DEGREES
    generator = np.random.default_rng(1)
    blank = generator.standard_normal((_NULL_DRAWS, len(cell.places)))
    means = np.vstack([cell.means, blank / np.sqrt(cell.counts)])
    zero_mean = np.append(
        without.mean() if zeros else 0.0,
        generator.standard_normal(_NULL_DRAWS) / math.sqrt(max(zeros, 1)),
    )
    squares = np.append(
        cell.within + (float(without.var() * zeros) if zeros else 0.0),
        generator.chisquare(own, _NULL_DRAWS) if own else np.zeros(_NULL_DRAWS),
    )
    if not by_repeats:
        left = means - means @ rows.T
        squares = squares + (left**2 * cell.counts).sum(axis=1)
    noise = np.sqrt(squares / (own if by_repeats else own + max(free, 1.0)))
    noise = np.maximum(noise, 1e-12)
    chances, gains = {}, {}
    for name, contrast in contrasts.items():
        is_zero = name == "zero"
        variance = (contrast**2 / cell.counts).sum(axis=1) + is_zero / max(zeros, 1)
        depth = means @ contrast.T + is_zero * zero_mean[:, None]
        usable = variance > _JITTER
        scores = (depth[:, usable] / np.sqrt(variance[usable])).max(axis=1) / noise
        above = int((scores[1:] >= scores[0]).sum())
        chances[name] = max(above, 1) / _NULL_DRAWS
        gains[name] = float(depth[0].max())
    return float(noise[0]), chances, gains
