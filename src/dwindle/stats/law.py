"""How the best λ moves with scale: a power law through cells, and what it predicts.

``ln λ* = a + Σ e_k ln(scale_k)`` over the cells that show a best λ, each with its own
error, and a spread around the law that no number of seeds removes. Wide priors keep an
exponent of two cells, or of none, from seeming certain.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dwindle.stats.student import FloatArray, scipy_module

# The prior of ln λ at the centre of the cells: as good as none.
_LEVEL_SD = 10.0
# The spread of cells around their own power law: a half-normal of this scale. On the
# studies of small networks .06 to .15 was seen, .04 to .1 on Fashion-MNIST.
SPREAD = 0.12
# Beyond the cells the exponent may be another one: its sd, for each axis. From 1,000 to
# 8,000 images the local exponent of AdamW's moved by .2 with each doubling.
BEND = 0.15
# A grid in place of an integral: the posterior is smooth in it.
_SPREADS = np.linspace(0.0, 4.0 * SPREAD, 33)
# Quantiles of a mixture are searched over so many standard deviations, by halving.
_REACH, _HALVINGS = 12.0, 60
_TAIL = 0.05  # on each side of a 90 % interval


@dataclass(frozen=True, kw_only=True)
class LawCell:
    """The best λ of one scale: ln λ, and the standard error of that."""

    scale: Mapping[str, float]
    log_decay: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is believed of an exponent before any training."""

    mean: float = 0.0
    sd: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Median and 90 % limits; of ln λ, or of an exponent."""

    value: float
    low: float
    high: float

    @property
    def sd(self) -> float:
        """The standard deviation of a normal with these limits."""
        return (self.high - self.low) / (2 * 1.6449)


@dataclass(frozen=True, kw_only=True)
class Law:
    """A law that was fitted to cells, for every spread that they may have.

    ``priors`` are by axis, in the order of the exponents.
    """

    priors: Mapping[str, Prior]
    cells: Sequence[LawCell]

    def at(self, scale: Mapping[str, float]) -> Predicted:
        """Return ln λ of a scale: the law, its own deviation from it, and a bend."""
        row = np.array([1.0, *self._offsets(scale)])
        bend = sum((BEND * math.log(far)) ** 2 for far in self.beyond(scale).values())
        weights, means, covariances = self._fits
        variances = np.einsum("i,tij,j->t", row, covariances, row)
        return _quantiles(weights, means @ row, variances + _SPREADS**2 + bend)

    def exponent(self, axis: str) -> Predicted:
        """Return the exponent of an axis."""
        at = 1 + list(self.priors).index(axis)
        weights, means, covariances = self._fits
        return _quantiles(weights, means[:, at], covariances[:, at, at])

    def beyond(self, scale: Mapping[str, float]) -> dict[str, float]:
        """Return by what factor a scale lies outside of the cells, by axis."""
        found = {}
        for axis in self.priors:
            known = [cell.scale[axis] for cell in self.cells]
            low, high = min(known), max(known)
            outside = max(scale[axis] / high, low / scale[axis])
            if outside > 1:
                found[axis] = scale[axis] / (high if scale[axis] > high else low)
        return found

    def _offsets(self, scale: Mapping[str, float]) -> list[float]:
        return [math.log(scale[k] / self._center[k]) for k in self.priors]

    @cached_property
    def _center(self) -> dict[str, float]:
        """The middle of the cells: there the level is known best."""
        return {
            axis: math.exp(np.mean([math.log(cell.scale[axis]) for cell in self.cells]))
            for axis in self.priors
        }

    @cached_property
    def _fits(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Posterior weight, means and covariances of the law, one for each spread."""
        rows = np.array([[1.0, *self._offsets(cell.scale)] for cell in self.cells])
        logs = np.array([cell.log_decay for cell in self.cells])
        level = float(logs.mean())
        before = np.array([level, *(prior.mean for prior in self.priors.values())])
        sds = np.array([_LEVEL_SD, *(prior.sd for prior in self.priors.values())])
        evidence, means, covariances = [], [], []
        errors = np.array([cell.sd for cell in self.cells])
        for spread in _SPREADS:
            noise = errors**2 + spread**2
            # Of the cells themselves, before they were seen: law and noise together.
            total = (rows * sds**2) @ rows.T + np.diag(noise)
            gain = np.linalg.solve(total, rows * sds**2).T
            off = logs - rows @ before
            means.append(before + gain @ off)
            covariances.append(np.diag(sds**2) - gain @ rows * sds**2)
            log_likelihood = -0.5 * (
                off @ np.linalg.solve(total, off) + np.linalg.slogdet(total)[1]
            )
            evidence.append(log_likelihood - 0.5 * (spread / SPREAD) ** 2)
        weights = np.exp(np.array(evidence) - max(evidence))
        return weights / weights.sum(), np.array(means), np.array(covariances)


def _quantiles(
    weights: FloatArray, means: FloatArray, variances: FloatArray
) -> Predicted:
    """Return median and limits of a mixture of normals."""
    ndtr = scipy_module("scipy.special").ndtr

    sds = np.sqrt(np.maximum(variances, 1e-12))
    ends = float((means - _REACH * sds).min()), float((means + _REACH * sds).max())

    def quantile(share: float) -> float:
        low, high = ends
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if float(weights @ ndtr((middle - means) / sds)) < share:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    return Predicted(
        value=quantile(0.5), low=quantile(_TAIL), high=quantile(1.0 - _TAIL)
    )
