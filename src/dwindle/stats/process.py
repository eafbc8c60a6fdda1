"""A Gaussian process over few trainings: one mean curve over ln λ, and seeds beside it.

A training's loss is a constant, a smooth mean curve, an offset of its seed, a smooth
deviation of its seed, and noise. So two trainings of one seed inform about the curve
even where their level is far from that of other seeds, and no λ has to be trained by
every seed. Of several sets of hyper-parameters, the one of highest likelihood gives the
curve; all that the trainings allow give its uncertainty.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Self

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
# fifth of what decay does there is left, so that the losses are nearly the same.
BELOW = 1.5
GRID_STEP = 0.02  # in ln λ: a fifth of the smallest error that anybody sees


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """Standard deviations (in units of ``Process.scale``) and lengths (in ln λ)."""

    mean_sd: float
    mean_length: float
    offset_sd: float
    deviation_sd: float
    deviation_length: float
    noise_sd: float

    @property
    def pairs(self) -> bool:
        """Whether trainings of one seed share anything."""
        return self.offset_sd > 0


def _every(**values: tuple[float, ...]) -> tuple[Hyper, ...]:
    """Return the sets of all combinations of these values."""
    sets = product(*values.values())
    return tuple(Hyper(**dict(zip(values, each, strict=True))) for each in sets)


PAIRED = _every(
    mean_sd=MEAN_SD,
    mean_length=MEAN_LENGTH,
    offset_sd=OFFSET_SD,
    deviation_sd=DEVIATION_SD,
    deviation_length=DEVIATION_LENGTH,
    noise_sd=NOISE_SD,
)
# Trainings that share nothing: all of what differs between trainings is noise.
UNPAIRED = _every(
    mean_sd=MEAN_SD,
    mean_length=MEAN_LENGTH,
    offset_sd=(0.0,),
    deviation_sd=(0.0,),
    deviation_length=DEVIATION_LENGTH[:1],
    noise_sd=UNPAIRED_SD,
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
    hyper: Hyper
    unit: float  # what a standard deviation of 1 is, in the unit of the values
    constant: float
    weights: FloatArray  # (n,): the mean curve is their sum over the trainings

    def mean_curve(self, places: FloatArray) -> FloatArray:
        """Return the mean curve at ln λ of shape (places,)."""
        hyper = self.hyper
        kernel = hyper.mean_sd**2 * _rbf(places, self.x, hyper.mean_length)
        curve: FloatArray = self.constant + kernel @ self.weights
        return curve

    def minimum(self) -> float:
        """Return ln λ where the mean curve is lowest, within what was trained."""
        low, high = self.window
        if low == high:
            return low
        places = np.linspace(low, high, math.ceil((high - low) / GRID_STEP) + 1)
        curve = self.mean_curve(places)
        best = int(curve.argmin())
        if best in (0, len(places) - 1):
            return float(places[best])
        left, here, right = curve[best - 1 : best + 2]
        bend = left - 2 * here + right
        shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
        return float(places[best] + shift * (places[1] - places[0]))

    def draw_minima(self, normal: FloatArray) -> FloatArray:
        """Return where curves of this process are lowest, shape (draws,).

        Args:
            normal: Standard normal numbers, shape (places, draws).

        """
        places = np.linspace(*self.window, len(normal))
        hyper, length = self.hyper, self.hyper.mean_length
        lengths = (length, hyper.deviation_length)
        smooth = {each: _rbf(self.x, self.x, each) for each in lengths}
        kernel = _kernel(smooth, self.seeds, hyper)
        scale = hyper.mean_sd**2
        beside = scale * _rbf(places, self.x, length)
        spread = scale * _rbf(places, places, length)
        spread -= beside @ np.linalg.solve(kernel, beside.T)
        values, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(np.maximum(values, 0.0)) * self.unit
        drawn = self.mean_curve(places)[:, None] + root @ normal
        minima: FloatArray = places[drawn.argmin(axis=0)]
        return minima

    def without_seed(self, seed: int) -> Self:
        """Return the process with the same hyper-parameters and one seed less."""
        kept = self.seeds != seed
        x, values, seeds = self.x[kept], self.values[kept], self.seeds[kept]
        constant, weights, *_ = _solve(x, values, seeds, (self.hyper,))
        return replace(
            self,
            x=x,
            values=values,
            seeds=seeds,
            constant=float(constant[0]),
            weights=weights[0],
        )


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
    x = np.where(np.isfinite(x), x, window[0] - BELOW)
    candidates = (PAIRED if may_pair else ()) + UNPAIRED
    constants, weights, misfits, log_determinants = _solve(x, values, seeds, candidates)
    fits = len(x) * np.log(np.maximum(misfits, 1e-300)) if own_scale else misfits
    doubts = (fits + log_determinants) / 2
    likeliest = np.argsort(doubts, kind="stable")[:MOST_SETS]
    return Fit(
        processes=tuple(
            Process(
                x=x,
                values=values,
                seeds=seeds,
                window=window,
                hyper=candidates[at],
                unit=math.sqrt(misfits[at] / len(x)) if own_scale else 1.0,
                constant=float(constants[at]),
                weights=weights[at],
            )
            for at in likeliest
        ),
        shares=np.exp(doubts.min() - doubts[likeliest]),
    )


def _rbf(ones: FloatArray, others: FloatArray, length: float) -> FloatArray:
    kernel: FloatArray = np.exp(
        -0.5 * ((ones[:, None] - others[None, :]) / length) ** 2
    )
    return kernel


def _kernel(
    smooth: Mapping[float, FloatArray], seeds: IntArray, hyper: Hyper
) -> FloatArray:
    """Covariance of the trainings; ``smooth`` is the kernel (n, n) of each length."""
    deviation = hyper.deviation_sd**2 * smooth[hyper.deviation_length]
    same_seed = seeds[:, None] == seeds[None, :]
    kernel: FloatArray = (
        hyper.mean_sd**2 * smooth[hyper.mean_length]
        + same_seed * (hyper.offset_sd**2 + deviation)
        + hyper.noise_sd**2 * np.eye(len(seeds))
    )
    return kernel


def _solve(
    x: FloatArray, values: FloatArray, seeds: IntArray, hypers: tuple[Hyper, ...]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Constants (h,), weights K⁻¹(y - constant) (h, n), misfits and ln determinants."""
    lengths = {h.mean_length for h in hypers} | {h.deviation_length for h in hypers}
    smooth = {length: _rbf(x, x, length) for length in lengths}
    kernels = np.stack([_kernel(smooth, seeds, hyper) for hyper in hypers])  # (h, n, n)
    inverse = np.linalg.inv(kernels)
    _, log_determinants = np.linalg.slogdet(kernels)
    column_sums = inverse.sum(axis=1)  # (h, n)
    constants = column_sums @ values / column_sums.sum(axis=1)
    residuals = values - constants[:, None]  # (h, n)
    weights = np.einsum("hij,hj->hi", inverse, residuals)
    misfits = (residuals * weights).sum(axis=1)
    return constants, weights, misfits, log_determinants
