"""A Gaussian process over few trainings: one mean curve over ln λ, and seeds beside it.

A training's loss is a constant, a smooth mean curve, an offset of its seed, a smooth
deviation of its seed, and noise. So two trainings of one seed inform about the curve
even where their level is far from that of other seeds, and no λ has to be trained by
every seed. Of several sets of hyper-parameters, the one of highest likelihood counts.
"""

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Self

import numpy as np
import numpy.typing as npt

from dwindle.stats.student import FloatArray

IntArray = npt.NDArray[np.int_]

# Standard deviations of log loss and lengths in ln λ, wide enough for dips of 1 to 40 %
# and seeds that differ by 2 to 30 %. They were chosen on networks on digits (SGD and
# AdamW); what they do on other data is in the tests of this room.
MEAN_SD = (0.15, 0.4, 1.0)
MEAN_LENGTH = (1.5, 2.2)
OFFSET_SD = (0.06, 0.14)
DEVIATION_SD = (0.02, 0.05, 0.12)
DEVIATION_LENGTH = (2.0, 4.0)
NOISE_SD = 0.004
UNPAIRED_SD = (0.02, 0.06, 0.14)
GRID_STEP = 0.02  # in ln λ: a fifth of the smallest error that anybody sees


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """Standard deviations (in units of ``Process.scale``) and lengths (in ln λ)."""

    mean_sd: float
    mean_length: float
    offset_sd: float
    deviation_sd: float
    deviation_length: float
    noise_sd: float = NOISE_SD
    pairs: bool = True


PAIRED = tuple(
    Hyper(
        mean_sd=mean_sd,
        mean_length=mean_length,
        offset_sd=offset_sd,
        deviation_sd=deviation_sd,
        deviation_length=deviation_length,
    )
    for mean_sd, mean_length, offset_sd, deviation_sd, deviation_length in product(
        MEAN_SD, MEAN_LENGTH, OFFSET_SD, DEVIATION_SD, DEVIATION_LENGTH
    )
)
# Seeds that share nothing: all of what differs between trainings is noise.
UNPAIRED = tuple(
    Hyper(
        mean_sd=mean_sd,
        mean_length=mean_length,
        offset_sd=0.0,
        deviation_sd=0.0,
        deviation_length=DEVIATION_LENGTH[0],
        noise_sd=noise_sd,
        pairs=False,
    )
    for mean_sd, mean_length, noise_sd in product(MEAN_SD, MEAN_LENGTH, UNPAIRED_SD)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Process:
    """A fitted process: ``x`` (ln λ), ``values`` and ``seeds``, all of shape (n,)."""

    x: FloatArray
    values: FloatArray
    seeds: IntArray
    hyper: Hyper
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
        low, high = float(self.x.min()), float(self.x.max())
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


def fit_process(
    x: FloatArray,
    values: FloatArray,
    seeds: IntArray,
    *,
    own_scale: bool = False,
    may_pair: bool = True,
) -> Process:
    """Fit the process to trainings; a seed may have any number of λ.

    Args:
        x: ln λ of every training, finite, shape (n,), n at least 1.
        values: Log losses; or any others, with ``own_scale``.
        seeds: Whose training it is, shape (n,).
        own_scale: Whether the values have a unit of their own: then the standard
            deviations only tell how large the parts are beside each other, and the
            values tell how large all of them are.
        may_pair: Whether trainings of a seed may have something in common.

    Returns:
        The process of the hyper-parameters with the highest likelihood.

    Example:
        >>> x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, -0.5, 0.7])
        >>> seeds = np.array([0, 0, 0, 0, 0, 1, 1])
        >>> process = fit_process(x, 0.1 * x**2 + 0.3 * seeds, seeds)
        >>> abs(process.minimum()) < 0.1
        True

    """
    candidates = (PAIRED if may_pair else ()) + UNPAIRED
    constants, weights, misfits, log_determinants = _solve(x, values, seeds, candidates)
    fits = len(x) * np.log(np.maximum(misfits, 1e-300)) if own_scale else misfits
    best = int((fits + log_determinants).argmin())
    return Process(
        x=x,
        values=values,
        seeds=seeds,
        hyper=candidates[best],
        constant=float(constants[best]),
        weights=weights[best],
    )


def _rbf(ones: FloatArray, others: FloatArray, length: float) -> FloatArray:
    kernel: FloatArray = np.exp(
        -0.5 * ((ones[:, None] - others[None, :]) / length) ** 2
    )
    return kernel


def _solve(
    x: FloatArray, values: FloatArray, seeds: IntArray, hypers: tuple[Hyper, ...]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Constants (h,), weights K⁻¹(y - constant) (h, n), misfits and ln determinants."""
    same = seeds[:, None] == seeds[None, :]
    eye = np.eye(len(x))
    lengths = {h.mean_length for h in hypers} | {h.deviation_length for h in hypers}
    smooth = {length: _rbf(x, x, length) for length in lengths}
    kernels = np.stack(
        [
            h.mean_sd**2 * smooth[h.mean_length]
            + same * (h.offset_sd**2 + h.deviation_sd**2 * smooth[h.deviation_length])
            + h.noise_sd**2 * eye
            for h in hypers
        ]
    )  # (h, n, n)
    inverse = np.linalg.inv(kernels)
    _, log_determinants = np.linalg.slogdet(kernels)
    column_sums = inverse.sum(axis=1)  # (h, n)
    constants = column_sums @ values / column_sums.sum(axis=1)
    residuals = values - constants[:, None]  # (h, n)
    weights = np.einsum("hij,hj->hi", inverse, residuals)
    misfits = (residuals * weights).sum(axis=1)
    return constants, weights, misfits, log_determinants
