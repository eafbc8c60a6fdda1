"""A Gaussian process over few trainings: one mean curve over ln λ, and seeds beside it.

A training's loss is a constant, a smooth mean curve, an offset of its seed, a smooth
deviation of its seed, and noise. So two trainings of one seed inform about the curve
even where their level is far from that of other seeds, and no λ has to be trained by
every seed. Of several sets of hyper-parameters, the one of highest likelihood gives the
curve; all that the trainings allow give its uncertainty.

Seeds share nothing but the constant and the curve, and the curve is a sum of a few
smooth functions (about twenty over four decades). So all that trainings show of it is a
small matrix for each seed, and these add up; a seed is left out by taking its matrix
off. Seeds that were trained at the same λ have one matrix but for their values, of
which the mean and the scatter are enough: the work grows as the number of different
seeds, of which a search of thousands has a hundred.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
DRAWS = 300  # as in ``optimum``
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
    """Functions over ln λ whose sum is the mean curve, for one length of it.

    Its minimum is searched within the ``window``, (least, greatest) ln λ.
    """

    length: float
    window: tuple[float, float]
    knots: FloatArray  # (knots,): ln λ
    mixing: FloatArray  # (knots, functions)

    @classmethod
    def over(cls, x: FloatArray, length: float, window: tuple[float, float]) -> Self:
        """Return the functions for curves between the least and the greatest ln λ."""
        low, high = float(x.min()), float(x.max())
        count = max(_LEAST_KNOTS, math.ceil((high - low) / (_APART * length)) + 1)
        knots = np.linspace(low, high, count)
        values, vectors = np.linalg.eigh(rbf(knots[:, None] - knots, length))
        kept = values > _ROUNDING * values[-1]
        # The sign of a vector is the library's choice, and draws would have it.
        signs = np.where(vectors[0, kept] < 0, -1.0, 1.0)
        mixing = vectors[:, kept] * signs / np.sqrt(values[kept])
        return cls(length=length, window=window, knots=knots, mixing=mixing)

    def at(self, places: FloatArray) -> FloatArray:
        """Return the functions at ln λ of shape (..., places): (..., functions)."""
        among = rbf(places[..., None] - self.knots, self.length)
        found: FloatArray = among @ self.mixing
        return found

    @cached_property
    def fine(self) -> tuple[FloatArray, FloatArray]:
        """Places of the window, and the functions there; one place where it is tiny."""
        low, high = self.window
        count = math.ceil((high - low) / GRID_STEP) + 1
        # A parabola takes three.
        places = np.linspace(low, high, count if count > 2 else 1)  # noqa: PLR2004
        return places, self.at(places)

    def minima(self, weights: FloatArray) -> FloatArray:
        """Return ln λ where curves of weights (curves, functions) are lowest.

        A curve differs from the middle one by at most the product of two lengths, that
        of the functions at a place and that of its weights: so most places of many
        curves that are nearly the same are skipped.
        """
        places, functions = self.fine
        middle = weights.mean(axis=0)
        most = np.linalg.norm(weights - middle, axis=1).max()
        reach = np.linalg.norm(functions, axis=1) * most
        curve = functions @ middle
        near = np.flatnonzero(curve - reach <= (curve + reach).min())
        start, stop = max(near[0] - 1, 0), near[-1] + 2
        places, curves = places[start:stop], weights @ functions[start:stop].T
        best, row, last = curves.argmin(axis=1), np.arange(len(curves)), len(places) - 1
        left, here, right = (
            curves[row, np.clip(best + side, 0, last)] for side in (-1, 0, 1)
        )
        bend = left - 2 * here + right
        is_bowl = (bend > 0) & (best > 0) & (best < last)
        shift = np.where(is_bowl, 0.5 * (left - right) / np.where(is_bowl, bend, 1), 0)
        step = places[1] - places[0] if last else 0.0
        minima: FloatArray = places[best] + shift * step
        return minima


@dataclass(frozen=True, kw_only=True, eq=False)
class Alike:
    """Groups of seeds that were trained at the same λ, all with one count of them.

    ``places`` (groups, trainings) are ln λ; of each group, ``seeds`` are which they
    are, and ``values`` (seeds, trainings) theirs. To fit a process, their ``counts``
    (groups,), ``means`` (groups, trainings) and ``scatter`` (groups, trainings,
    trainings) are enough.
    """

    places: FloatArray
    seeds: Sequence[IntArray]
    values: Sequence[FloatArray]
    counts: IntArray
    means: FloatArray
    scatter: FloatArray

    @classmethod
    def of(cls, x: FloatArray, values: FloatArray, seeds: IntArray) -> Self:
        """Group seeds (seeds,) whose trainings are (seeds, trainings)."""
        places, group = np.unique(x, axis=0, return_inverse=True)
        order, counts = np.argsort(group, kind="stable"), np.bincount(group)
        ends = np.cumsum(counts)[:-1]
        of_groups = np.split(values[order], ends)
        means = np.stack([each.mean(axis=0) for each in of_groups])
        apart = [each - mean for each, mean in zip(of_groups, means, strict=True)]
        return cls(
            places=places,
            seeds=np.split(seeds[order], ends),
            values=of_groups,
            counts=counts,
            means=means,
            scatter=np.stack([each.T @ each for each in apart]),
        )

    def precision(self, besides: Sequence[Beside]) -> tuple[FloatArray, FloatArray]:
        """Return inverses of the covariance beside the curve, and ln determinants.

        Their shapes are (besides, groups, trainings, trainings) and (besides, groups).
        """
        apart = self.places[:, :, None] - self.places[:, None, :]
        offset, deviation, length, noise = np.array(besides).T[:, :, None, None, None]
        kernel = offset**2 + deviation**2 * rbf(apart, length)
        kernel = kernel + noise**2 * np.eye(self.places.shape[1])
        return np.linalg.inv(kernel), np.linalg.slogdet(kernel)[1]

    def terms(self, basis: Basis) -> FloatArray:
        """Return what every place adds to, (groups, trainings, functions + 1)."""
        functions = basis.at(self.places)
        return np.concatenate([functions, np.ones_like(functions[..., :1])], axis=-1)

    def sums(
        self, basis: Basis, precision: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return sums over trainings: [F, 1]' B⁻¹ [F, 1, y], and y' B⁻¹ y.

        Their shapes are (besides, functions + 1, functions + 2) and (besides,), F are
        the functions, and B⁻¹ is the ``precision`` of the trainings of a seed.
        """
        terms = self.terms(basis)
        with_means = np.concatenate([terms, self.means[..., None]], axis=-1)
        weighed = precision * self.counts[:, None, None] @ with_means
        weighed = weighed.reshape(len(precision), -1, with_means.shape[-1])
        sums = terms.reshape(-1, terms.shape[-1]).T @ weighed
        squares = (weighed[..., -1] * self.means.ravel()).sum(axis=-1)
        return sums, squares + (precision * self.scatter).sum(axis=(1, 2, 3))


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """Curves for sums over trainings of shape (..., functions + 1, functions + 1 + m).

    The values of trainings may be m different ones. ``root`` (..., functions,
    functions) gives the covariance of the ``weights`` (..., functions, m) of a curve as
    root' root; ``explained`` (..., m) are the squares of what was trained, in units of
    what was expected, that curve and ``constant`` take off; and ``log_determinant`` is
    the curve's part of that of the covariance of the trainings.
    """

    constant: FloatArray
    weights: FloatArray
    root: FloatArray
    explained: FloatArray
    log_determinant: FloatArray

    @classmethod
    def of(cls, sums: FloatArray, mean_sd: FloatArray) -> Self:
        """Solve for sums of [F, 1]' B⁻¹ [F, 1, y], with the functions F.

        Trainings have the covariance mean_sd² F F' + B, and Woodbury's identity gives
        its inverse from that of B.
        """
        count = sums.shape[-2] - 1
        prior = np.eye(count) / mean_sd[..., None, None] ** 2
        root = np.asarray(
            np.linalg.inv(np.linalg.cholesky(sums[..., :count, :count] + prior)),
            dtype=np.float64,
        )
        half = root @ sums[..., :count, count:]
        one, values = half[..., :1], half[..., 1:]
        left = sums[..., count, count:] - (one * half).sum(axis=-2)
        constant = left[..., 1:] / left[..., :1]
        diagonal = np.diagonal(root, axis1=-2, axis2=-1)
        return cls(
            constant=constant,
            weights=root.swapaxes(-1, -2) @ (values - constant[..., None, :] * one),
            root=root,
            explained=(values**2).sum(axis=-2) + constant * left[..., 1:],
            log_determinant=2 * count * np.log(mean_sd)
            - 2 * np.log(diagonal).sum(axis=-1),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Process:
    """A fitted process: ``x`` (ln λ), ``values`` and ``seeds``, all of shape (n,)."""

    x: FloatArray
    values: FloatArray
    seeds: IntArray
    alike: Sequence[Alike]
    basis: Basis
    mean_sd: float
    beside: Beside
    unit: float  # what a standard deviation of 1 is, in the unit of the values
    constant: float
    weights: FloatArray  # (functions,), and the root of their covariance
    root: FloatArray

    def mean_curve(self, places: FloatArray) -> FloatArray:
        """Return the mean curve at ln λ of shape (places,)."""
        curve: FloatArray = self.constant + self.basis.at(places) @ self.weights
        return curve

    def minimum(self) -> float:
        """Return ln λ where the mean curve is lowest, within what was trained."""
        return float(self.basis.minima(self.weights[None])[0])

    def flattened(self) -> Self:
        """Return the process of the same trainings with walls that are less high.

        A value e above the least of its seed becomes h ln(1 + e / h), h being the
        median e of the first seed, which spans the whole range. That keeps the order of
        values, so that a curve is lowest where it was. Where seeds have no offset the
        height of a value is unknown, and the process stays as it is.
        """
        first = self.values[self.seeds == self.seeds.min()]
        height = float(np.median(first - first.min()))
        if height <= 0 or not self.beside.offset_sd:
            return self
        names, at = np.unique(self.seeds, return_inverse=True)
        least = np.full(len(names), np.inf)
        np.minimum.at(least, at, self.values)
        least = least[at]
        values = least + height * np.log1p((self.values - least) / height)
        level = float(values.mean())
        alike = _alike(self.x, values - level, self.seeds)
        sums, _ = _sums_at(self.basis, self.beside, alike)
        found = Solved.of(sums, np.array(self.mean_sd))
        return replace(
            self,
            values=values,
            alike=alike,
            constant=level + float(found.constant[0]),
            weights=found.weights[:, 0],
            root=found.root,
        )

    def minima_without(self, left_out: Sequence[int]) -> FloatArray:
        """Return the minimum without each of some seeds, all else being the same."""
        whole, precisions = _sums_at(self.basis, self.beside, self.alike)
        mean_sd = np.array(self.mean_sd)
        weights: dict[int, FloatArray] = {}
        for each, (precision,) in zip(self.alike, precisions, strict=True):
            weighed = each.terms(self.basis).swapaxes(-1, -2) @ precision
            own = weighed @ each.terms(self.basis)
            # Most groups of a small search are of one seed.
            for count in np.unique(each.counts):
                groups = np.flatnonzero(each.counts == count).tolist()
                values = np.stack([each.values[group] for group in groups])
                rest = whole[:, -1:] - weighed[groups] @ values.swapaxes(-1, -2)
                kept = whole[:, :-1] - own[groups]
                found = Solved.of(np.concatenate([kept, rest], axis=-1), mean_sd)
                names = np.concatenate([each.seeds[group] for group in groups])
                of_seeds = found.weights.swapaxes(-1, -2).reshape(len(names), -1)
                weights.update(zip(names.tolist(), of_seeds, strict=True))
        return self.basis.minima(np.stack([weights[seed] for seed in left_out]))

    def draw_minima(self, normal: FloatArray) -> FloatArray:
        """Return where curves drawn by normal (draws, functions or more) are lowest."""
        around = normal[:, : len(self.root)] @ self.root
        return self.basis.minima(self.weights + self.unit * around)

    def standard_errors_above(self, best: float, places: FloatArray) -> FloatArray:
        """Return by how many standard errors curves are higher at places than there."""
        apart = self.basis.at(places) - self.basis.at(np.array([best]))
        spread = self.unit * np.linalg.norm(apart @ self.root.T, axis=1)
        # At the best itself nothing varies but the last digits.
        above: FloatArray = apart @ self.weights
        above /= np.maximum(spread, _LAST_DIGITS * self.unit)
        return above


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedProcess:
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
        most = max(len(each.weights) for each in self.processes)
        normal = np.random.default_rng(0).standard_normal((DRAWS, most))
        ends = np.rint(np.cumsum(self.shares) / self.shares.sum() * DRAWS)
        parts = np.split(normal, ends[:-1].astype(int))
        drawn = zip(self.processes, parts, strict=True)
        return np.concatenate([p.draw_minima(part) for p, part in drawn if len(part)])


def fit_processes(
    x: FloatArray,
    values: FloatArray,
    seeds: IntArray,
    *,
    own_scale: bool = False,
    may_pair: bool = True,
) -> FittedProcess:
    """Fit processes to trainings (n,); a seed may have any number of λ.

    ``x`` is ln λ, -inf for λ = 0, but not of all: a training without decay stands a
    little below the least λ, so that every seed that has one shows how the curve ends
    there. ``values`` are log losses; or any others, with ``own_scale``: then the
    standard deviations only set the ratios between the parts, and the values set the
    size of all.

    Example:
        >>> x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, -0.5, 0.7])
        >>> seeds = np.array([0, 0, 0, 0, 0, 1, 1])
        >>> fit = fit_processes(x, 0.1 * x**2 + 0.3 * seeds, seeds)
        >>> abs(fit.processes[0].minimum()) < 0.1
        True

    """
    window = float(x[np.isfinite(x)].min()), float(x.max())
    zero = min(window[0], window[1] - LEAST_RANGE) - BELOW
    x = np.where(np.isfinite(x), x, zero)
    besides = (PAIRED if may_pair else ()) + UNPAIRED
    bases = [Basis.over(x, length, window) for length in MEAN_LENGTH]
    # Squares keep their digits where the level of all values is no part of them.
    level = float(values.mean())
    alike = _alike(x, values - level, seeds)
    precisions = [each.precision(besides) for each in alike]
    log_determinants = sum(
        (each[1] * same.counts).sum(axis=-1)
        for each, same in zip(precisions, alike, strict=True)
    )
    solved, doubts, units = [], [], []
    for basis in bases:
        parts = [
            each.sums(basis, precision)
            for each, (precision, _) in zip(alike, precisions, strict=True)
        ]
        sums, squares = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
        found = Solved.of(sums[:, None], np.array(MEAN_SD))  # (besides, mean_sds)
        misfit = squares[:, None] - found.explained[..., 0]
        square = np.maximum(misfit / len(x), 1e-300 if own_scale else 1.0)
        determinants = found.log_determinant + log_determinants[:, None]
        doubts.append((misfit / square + len(x) * np.log(square) + determinants) / 2)
        units.append(np.sqrt(square))
        solved.append(found)
    doubt = np.stack(doubts)
    likeliest = np.argsort(doubt, axis=None, kind="stable")[:MOST_SETS]
    chosen = [*zip(*np.unravel_index(likeliest, doubt.shape), strict=True)]
    return FittedProcess(
        processes=tuple(
            Process(
                x=x,
                values=values,
                seeds=seeds,
                alike=alike,
                basis=bases[length],
                mean_sd=MEAN_SD[mean],
                beside=besides[beside],
                unit=float(units[length][beside, mean]),
                constant=level + float(solved[length].constant[beside, mean, 0]),
                weights=solved[length].weights[beside, mean, :, 0],
                root=solved[length].root[beside, mean],
            )
            for length, beside, mean in chosen
        ),
        shares=np.exp(doubt.min() - doubt.ravel()[likeliest]),
    )


def rbf(apart: FloatArray, length: FloatArray | float) -> FloatArray:
    """Return how alike a smooth curve of sd 1 is at places in ln λ so far apart."""
    kernel: FloatArray = np.exp(-0.5 * (apart / length) ** 2)
    return kernel


def _alike(x: FloatArray, values: FloatArray, seeds: IntArray) -> list[Alike]:
    """Return groups of all seeds, by how many trainings they have."""
    order = np.lexsort((x, seeds))
    _, starts, counts = np.unique(seeds[order], return_index=True, return_counts=True)
    found = []
    for size in np.unique(counts):
        rows = order[starts[counts == size][:, None] + np.arange(size)]
        found.append(Alike.of(x[rows], values[rows], seeds[rows[:, 0]]))
    return found


def _sums_at(
    basis: Basis, beside: Beside, alike: Sequence[Alike]
) -> tuple[FloatArray, list[FloatArray]]:
    """Return sums over all trainings of [F, 1]' B⁻¹ [F, 1, y], and B⁻¹ by groups."""
    precisions = [each.precision((beside,))[0] for each in alike]
    pairs = zip(alike, precisions, strict=True)
    sums = [each.sums(basis, precision)[0][0] for each, precision in pairs]
    return np.sum(sums, axis=0), precisions
