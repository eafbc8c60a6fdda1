"""A Gaussian process over few trainings: one mean curve over ln λ, and seeds beside it.

A training's loss is a constant, a smooth mean curve, an offset of its seed, a smooth
deviation of its seed, and noise. So two trainings of one seed inform about the curve
even where their level is far from that of other seeds, and no λ has to be trained by
every seed. Of several sets of hyper-parameters, the one of highest likelihood gives the
curve; all that the trainings allow give its uncertainty.

Seeds share nothing but the constant and the curve, and the curve is a sum of a few
smooth functions (about twenty over four decades). So all that trainings show of it is a
small matrix for each seed, and these add up: the work grows as the number of trainings,
and a seed is left out by taking its matrix off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dwindle.stats.student import FloatArray

IntArray = npt.NDArray[np.int_]

# Standard deviations of log loss and lengths in ln λ, wide enough for dips of 1 to 40 %
# and seeds that differ by 2 to 30 %. They were chosen on networks on digits (SGD and
# AdamW), the smallest deviation and noise on a network that predicts letters, whose
# decay gains 2 %; what they do on other data is in the tests of this room.
MEAN_SD = (0.15, 0.4, 1.0)
MEAN_LENGTH = (1.5, 2.2)
OFFSET_SD = (0.06, 0.14)
DEVIATION_SD = (0.005, 0.02, 0.05, 0.12)
DEVIATION_LENGTH = (2.0, 4.0)
# Of one training: rounding and the order of sums alone, or what a GPU and a small
# validation set add. Without the last, the curve follows the noise of seed 0.
NOISE_SD = (0.0015, 0.006, 0.03)
# Where trainings share no seed, what seeds differ by is noise as well.
UNPAIRED_SD = (0.02, 0.06, 0.14)
# As many draws as in ``optimum``, at places .08 apart in four decades: below ``FLOOR``.
DRAWS, DRAWN_PLACES = 300, 120
# Sets of hyper-parameters that curves are drawn of: the rest has 1 % of the draws.
MOST_SETS = 12
# How far below the least λ of the window a training without decay stands, in ln λ: a
# fifth of what decay does there is left, so that the losses are nearly the same. That
# is so below a range as people search, three decades or more. Around a guess, a fifth
# of the best λ still does most of it: λ = 0 as near as that would bend the curve.
BELOW, LEAST_RANGE = 1.5, math.log(1e3)
GRID_STEP = 0.02  # in ln λ: a fifth of the smallest error that anybody sees
# The curve is a sum of as many functions as there are knots, so far apart in lengths
# of the curve: from .3 on its covariances are right to 1e-8 of the largest, a two
# hundredth of the variance of the least noise.
_APART, _LEAST_KNOTS, _ROUNDING = 0.3, 9, 1e-13
_LAST_DIGITS = 1e-6  # of a standard deviation


class Beside(NamedTuple):
    """What trainings differ by beside the mean curve: sd of each, length in ln λ."""

    offset_sd: float
    deviation_sd: float
    deviation_length: float
    noise_sd: float


PAIRED = tuple(
    Beside(*each)
    for each in product(OFFSET_SD, DEVIATION_SD, DEVIATION_LENGTH, NOISE_SD)
)
# Trainings that share nothing: all of what differs between trainings is noise.
UNPAIRED = tuple(Beside(0.0, 0.0, DEVIATION_LENGTH[0], noise) for noise in UNPAIRED_SD)


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Functions over ln λ whose sum is the mean curve, for one length of it."""

    length: float
    knots: FloatArray  # (knots,): ln λ
    mixing: FloatArray  # (knots, functions)

    @classmethod
    def over(cls, x: FloatArray, length: float) -> Self:
        """Return the functions for curves between the least and the greatest ln λ."""
        low, high = float(x.min()), float(x.max())
        count = max(_LEAST_KNOTS, math.ceil((high - low) / (_APART * length)) + 1)
        knots = np.linspace(low, high, count)
        values, vectors = np.linalg.eigh(_rbf(knots[:, None] - knots, length))
        kept = values > _ROUNDING * values[-1]
        mixing = vectors[:, kept] / np.sqrt(values[kept])
        return cls(length=length, knots=knots, mixing=mixing)

    def at(self, places: FloatArray) -> FloatArray:
        """Return the functions at ln λ of shape (places,): (places, functions)."""
        among = _rbf(places[:, None] - self.knots, self.length)
        found: FloatArray = among @ self.mixing
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """Curves for sums over trainings that have the shape (..., terms, terms).

    ``covariance`` is that of the ``weights`` (..., functions) of a curve; ``misfit``
    the squares of what was trained, in units of what was expected; and
    ``log_determinant`` the curve's part of that of the covariance of the trainings.
    """

    constant: FloatArray
    weights: FloatArray
    covariance: FloatArray
    misfit: FloatArray
    log_determinant: FloatArray

    @classmethod
    def of(cls, sums: FloatArray, mean_sd: FloatArray) -> Self:
        """Solve for sums of [F, 1, y]' B⁻¹ [F, 1, y], with the functions F.

        Trainings have the covariance mean_sd² F F' + B, and Woodbury's identity gives
        its inverse from that of B.
        """
        count = sums.shape[-1] - 2
        prior = np.eye(count) / mean_sd[..., None, None] ** 2
        precision = sums[..., :count, :count] + prior
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        beside = sums[..., :count, count:]
        left = sums[..., count:, count:] - beside.swapaxes(-1, -2) @ covariance @ beside
        constant = left[..., 0, 1] / left[..., 0, 0]
        residual = beside[..., 1] - constant[..., None] * beside[..., 0]
        return cls(
            constant=constant,
            weights=(covariance @ residual[..., None])[..., 0],
            covariance=covariance,
            misfit=left[..., 1, 1] - constant * left[..., 0, 1],
            log_determinant=np.linalg.slogdet(precision)[1]
            + 2 * count * np.log(mean_sd),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Process:
    """A fitted process: ``x`` (ln λ), ``values`` and ``seeds``, all of shape (n,).

    The minimum is looked for within the ``window``, (least, greatest) ln λ.
    """

    x: FloatArray
    values: FloatArray
    seeds: IntArray
    window: tuple[float, float]
    basis: Basis
    mean_sd: float
    beside: Beside
    unit: float  # what a standard deviation of 1 is, in the unit of the values
    constant: float
    weights: FloatArray  # (functions,), and their covariance
    covariance: FloatArray

    def mean_curve(self, places: FloatArray) -> FloatArray:
        """Return the mean curve at ln λ of shape (places,)."""
        curve: FloatArray = self.constant + self.basis.at(places) @ self.weights
        return curve

    def minimum(self) -> float:
        """Return ln λ where the mean curve is lowest, within what was trained."""
        return float(self._minima(self.weights[None])[0])

    def minima_without(self, left_out: Sequence[int]) -> FloatArray:
        """Return the minimum without each of some seeds, all else being the same."""
        terms = _terms(self.basis, self.x, self.values)
        parts: dict[int, FloatArray] = {}
        for rows in _seeds_by_size(self.seeds):
            inverse, _ = _beside(self.x, rows, (self.beside,))
            sums = terms[rows].swapaxes(-1, -2) @ inverse[0] @ terms[rows]
            parts.update(zip(self.seeds[rows[:, 0]], sums, strict=True))
        whole = np.sum([*parts.values()], axis=0)
        others = whole - np.stack([parts[seed] for seed in left_out])
        return self._minima(Solved.of(others, np.array(self.mean_sd)).weights)

    def _minima(self, weights: FloatArray) -> FloatArray:
        """Return where curves of weights (curves, functions) are lowest."""
        low, high = self.window
        count = math.ceil((high - low) / GRID_STEP) + 1
        if count < 3:  # noqa: PLR2004 - a parabola
            return np.full(len(weights), low)
        places = np.linspace(low, high, count)
        curves = weights @ self.basis.at(places).T
        best = curves.argmin(axis=1)
        inner, row = np.clip(best, 1, count - 2), np.arange(len(curves))
        left, here, right = (curves[row, inner + side] for side in (-1, 0, 1))
        bend = left - 2 * here + right
        is_bowl = (bend > 0) & (inner == best)
        shift = np.where(is_bowl, 0.5 * (left - right) / np.where(is_bowl, bend, 1), 0)
        minima: FloatArray = places[best] + shift * (places[1] - places[0])
        return minima

    def draw_minima(self, normal: FloatArray) -> FloatArray:
        """Return where curves of this process are lowest, shape (draws,).

        Args:
            normal: Standard normal numbers, shape (places, draws).

        """
        places = np.linspace(*self.window, len(normal))
        values, vectors = np.linalg.eigh(self._covariance(places))
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = self.mean_curve(places)[:, None] + root @ normal
        minima: FloatArray = places[drawn.argmin(axis=0)]
        return minima

    def standard_errors_above(self, best: float, places: FloatArray) -> FloatArray:
        """Return by how many standard errors curves are higher at places than there."""
        at = np.append(places, best)
        curve, covariance = self.mean_curve(at), self._covariance(at)
        own = np.diag(covariance)
        spread = own[:-1] + own[-1] - 2 * covariance[:-1, -1]
        # At the best itself nothing varies but the last digits.
        least = (_LAST_DIGITS * self.unit) ** 2
        above: FloatArray = (curve[:-1] - curve[-1]) / np.sqrt(
            np.maximum(spread, least)
        )
        return above

    def _covariance(self, places: FloatArray) -> FloatArray:
        """Return that of the mean curve at places, shape (places, places)."""
        functions = self.basis.at(places)
        covariance: FloatArray = functions @ self.covariance @ functions.T
        return covariance * self.unit**2


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """The processes that trainings allow, the most likely one first.

    ``shares`` are how likely each is beside the others, shape (processes,).
    """

    processes: tuple[Process, ...]
    shares: FloatArray

    @cached_property
    def drawn_minima(self) -> FloatArray:
        """Where curves that the trainings allow are lowest, shape (draws,).

        The random numbers are fixed: the same trainings give the same draws.
        """
        normal = np.random.default_rng(0).standard_normal((DRAWN_PLACES, DRAWS))
        ends = np.rint(np.cumsum(self.shares) / self.shares.sum() * DRAWS)
        parts = np.split(normal, ends[:-1].astype(int), axis=1)
        drawn = zip(self.processes, parts, strict=True)
        return np.concatenate([p.draw_minima(part) for p, part in drawn if part.size])


def fit_processes(
    x: FloatArray,
    values: FloatArray,
    seeds: IntArray,
    *,
    own_scale: bool = False,
    may_pair: bool = True,
) -> Fit:
    """Fit processes to trainings; a seed may have any number of λ.

    Args:
        x: ln λ of every training, shape (n,), n at least 1; -inf for λ = 0, but not of
            all. A training without decay stands a little below the least λ, so that
            every seed that has one tells how the curve ends there.
        values: Log losses; or any others, with ``own_scale``.
        seeds: Whose training it is, shape (n,).
        own_scale: Whether the values have a unit of their own: then the standard
            deviations only tell how large the parts are beside each other, and the
            values tell how large all of them are.
        may_pair: Whether trainings of a seed may have something in common.

    Returns:
        The processes, with a minimum between the least and the greatest λ.

    Example:
        >>> x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, -0.5, 0.7])
        >>> seeds = np.array([0, 0, 0, 0, 0, 1, 1])
        >>> fit = fit_processes(x, 0.1 * x**2 + 0.3 * seeds, seeds)
        >>> abs(fit.processes[0].minimum()) < 0.1
        True

    """
    decayed = x[np.isfinite(x)]
    window = (float(decayed.min()), float(decayed.max()))
    zero = min(window[0], window[1] - LEAST_RANGE) - BELOW
    x = np.where(np.isfinite(x), x, zero)
    besides, mean_sds = (PAIRED if may_pair else ()) + UNPAIRED, np.array(MEAN_SD)
    bases = [Basis.over(x, length) for length in MEAN_LENGTH]
    # Squares keep their digits where the level of all values is no part of them.
    level = float(values.mean())
    solved, doubts, units = [], [], []
    for basis in bases:
        terms = _terms(basis, x, values - level)
        sums, log_determinants = _sums(terms, x, seeds, besides)
        found = Solved.of(sums[:, None], mean_sds)  # (besides, mean_sds)
        square = np.maximum(found.misfit / len(x), 1e-300 if own_scale else 1.0)
        fits = found.misfit / square + len(x) * np.log(square)
        doubts.append((fits + found.log_determinant + log_determinants[:, None]) / 2)
        units.append(np.sqrt(square))
        solved.append(found)
    doubt = np.stack(doubts)
    likeliest = np.argsort(doubt, axis=None, kind="stable")[:MOST_SETS]
    chosen = [*zip(*np.unravel_index(likeliest, doubt.shape), strict=True)]
    return Fit(
        processes=tuple(
            Process(
                x=x,
                values=values,
                seeds=seeds,
                window=window,
                basis=bases[length],
                mean_sd=MEAN_SD[mean],
                beside=besides[beside],
                unit=float(units[length][beside, mean]),
                constant=level + float(solved[length].constant[beside, mean]),
                weights=solved[length].weights[beside, mean],
                covariance=solved[length].covariance[beside, mean],
            )
            for length, beside, mean in chosen
        ),
        shares=np.exp(doubt.min() - doubt.ravel()[likeliest]),
    )


def _rbf(apart: FloatArray, length: FloatArray | float) -> FloatArray:
    kernel: FloatArray = np.exp(-0.5 * (apart / length) ** 2)
    return kernel


def _terms(basis: Basis, x: FloatArray, values: FloatArray) -> FloatArray:
    """Return what every training adds to, (n, functions + 2): [F, 1, y]."""
    return np.column_stack([basis.at(x), np.ones_like(x), values])


def _seeds_by_size(seeds: IntArray) -> list[IntArray]:
    """Return the rows of all seeds with one count of trainings: (seeds, trainings)."""
    order = np.argsort(seeds, kind="stable")
    _, counts = np.unique(seeds, return_counts=True)
    rows = np.split(order, np.cumsum(counts)[:-1])
    return [
        np.stack([each for each in rows if len(each) == size])
        for size in sorted({*counts.tolist()})
    ]


def _beside(
    x: FloatArray, rows: IntArray, besides: Sequence[Beside]
) -> tuple[FloatArray, FloatArray]:
    """Return inverses of what seeds have beside the curve, and ln determinants.

    Their shapes are (besides, seeds, trainings, trainings) and (besides,).
    """
    apart = x[rows][:, :, None] - x[rows][:, None, :]
    offset, deviation, length, noise = np.array(besides).T[:, :, None, None, None]
    kernel = offset**2 + deviation**2 * _rbf(apart, length)
    kernel = kernel + noise**2 * np.eye(rows.shape[1])
    return np.linalg.inv(kernel), np.linalg.slogdet(kernel)[1].sum(axis=1)


def _sums(
    terms: FloatArray, x: FloatArray, seeds: IntArray, besides: Sequence[Beside]
) -> tuple[FloatArray, FloatArray]:
    """Return sums over trainings (besides, terms, terms), and ln determinants."""
    sums = np.zeros((len(besides), *2 * terms.shape[1:]))
    log_determinants = np.zeros(len(besides))
    for rows in _seeds_by_size(seeds):
        inverse, log_determinant = _beside(x, rows, besides)
        of_seeds = terms[rows]
        weighed = (inverse @ of_seeds).reshape(len(besides), -1, terms.shape[1])
        sums += of_seeds.reshape(-1, terms.shape[1]).T @ weighed
        log_determinants += log_determinant
    return sums, log_determinants
