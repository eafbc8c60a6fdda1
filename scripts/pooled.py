"""Exponents measured in many settings, pooled: what to expect in a new setting.

A normal model in three levels. A base exponent has a mean over everything; a cell (a
class of trainings and a family of optimizers) deviates from it, and a setting (one
network with its data) from its cell. Both deviations have one standard deviation for
all exponents, up to known scales: two records per cell could not tell more apart. A
record is a linear form of the exponents of its setting, plus noise of a known size:

    y = f·(μ + a_cell + b_setting) + e,   μ ~ N(m, p²),  a ~ N(0, τ²),  b ~ N(0, σ²)

Given τ and σ everything is normal, so the records are one normal vector and a new
setting is a conditional of it (Rasmussen & Williams 2006, equations 2.25 and 2.26);
over τ and σ, both half-normal, one sums on a grid.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Scale of the half-normal priors of both spreads (design, before the data were pooled).
SPREAD_PRIOR = 0.5
# To 3.2 prior scales; a quarter of the step moves no mean by .0001.
_GRID = np.arange(0.04, 1.6, 0.08)


@dataclass(frozen=True, eq=False)
class Measured:
    """Records of exponents, as arrays.

    Args:
        values: Exponents.  # (records,)
        forms: Weights of the base exponents.  # (records, bases)
        noise: Covariance of the errors.  # (records, records)
        cells: Cell of each record.
        settings: Setting of each record.
        spreads: Whether the record counts for the spreads; all do for the means.

    """

    values: Floats
    forms: Floats
    noise: Floats
    cells: Sequence[Hashable]
    settings: Sequence[Hashable]
    spreads: NDArray[np.bool_]

    def without(self, left_out: NDArray[np.bool_]) -> "Measured":
        """Return the records that are not left out."""
        kept = [at for at, out in enumerate(left_out) if not out]
        return Measured(
            self.values[kept],
            self.forms[kept],
            self.noise[np.ix_(kept, kept)],
            [self.cells[each] for each in kept],
            [self.settings[each] for each in kept],
            self.spreads[kept],
        )


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normal distributions of the base exponents, over the grid.

    Args:
        weights: Posterior of the grid points.  # (points,)
        means: Mean at each.  # (points, bases)
        covariances: Covariance at each.  # (points, bases, bases)

    """

    weights: Floats
    means: Floats
    covariances: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Return mean and covariance of the mixture.

        Returns:
            The mean, (bases,), and the covariance, (bases, bases).

        """
        mean = self.weights @ self.means
        apart = self.means - mean
        within = np.einsum("g,gij->ij", self.weights, self.covariances)
        return mean, within + np.einsum("g,gi,gj->ij", self.weights, apart, apart)

    def of(self, form: Floats, noise: float = 0.0) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of a form, at each grid point.

        Args:
            form: Weights of the base exponents.  # (bases,)
            noise: Variance of an error to be added.

        """
        variances = np.einsum("i,gij,j->g", form, self.covariances, form) + noise
        return self.means @ form, np.sqrt(variances)

    def below(self, value: float, form: Floats, noise: float = 0.0) -> float:
        """Return the probability that a form lies below a value."""
        means, sds = self.of(form, noise)
        shares = [
            0.5 * (1 + erf((value - m) / (s * sqrt(2))))
            for m, s in zip(means, sds, strict=True)
        ]
        return float(self.weights @ np.array(shares))

    def log_density(self, value: float, form: Floats, noise: float = 0.0) -> float:
        """Return the logarithm of the density of a form at a value."""
        means, sds = self.of(form, noise)
        z = (value - means) / sds
        density = np.exp(-0.5 * z**2) / (sds * np.sqrt(2 * np.pi))
        return float(np.log(self.weights @ density))


class Pooled:
    """The posterior of the model, given records.

    Args:
        measured: The records.
        mean: Prior mean of the base exponents.  # (bases,)
        sd: Prior standard deviation of each.
        scales: By what the spreads of each are multiplied.  # (bases,)

    """

    def __init__(
        self, measured: Measured, *, mean: Floats, sd: float, scales: Floats
    ) -> None:
        self._measured, self._mean = measured, mean
        self._prior, self._scaled = np.eye(len(mean)) * sd**2, np.diag(scales**2)
        forms = measured.forms
        same_cell = _same(measured.cells)
        shared = (forms @ self._scaled @ forms.T) * same_cell
        # One covariance of the records at each pair of spreads.
        self.between, self.within = (each.ravel() for each in np.meshgrid(_GRID, _GRID))
        covariances = (
            forms @ self._prior @ forms.T
            + measured.noise
            + self.between[:, None, None] ** 2 * shared
            + self.within[:, None, None] ** 2 * shared * _same(measured.settings)
        )
        residuals = measured.values - forms @ mean
        self._inverses = np.linalg.inv(covariances)
        self._gained = self._inverses @ residuals
        (counting,) = np.nonzero(measured.spreads)
        covariances = covariances[:, counting[:, None], counting]
        residuals = residuals[counting]
        columns = np.broadcast_to(residuals, covariances.shape[:2])[..., None]
        whole = np.linalg.solve(covariances, columns)[..., 0] @ residuals
        _, log_determinants = np.linalg.slogdet(covariances)
        priors = (self.between**2 + self.within**2) / SPREAD_PRIOR**2
        logs = -0.5 * (whole + log_determinants + priors)
        likelihood = np.exp(logs - logs.max())
        self.weights: Floats = likelihood / likelihood.sum()

    def spreads(self) -> tuple[float, float]:
        """Return the mean spread between cells, and that within one."""
        return float(self.weights @ self.between), float(self.weights @ self.within)

    def in_a_new_setting(self, cell: Hashable) -> Mixture:
        """Return the base exponents to expect in a new setting of a cell."""
        forms = self._measured.forms
        here = np.array([each == cell for each in self._measured.cells], dtype=float)
        between = self.between[:, None, None] ** 2
        within = self.within[:, None, None] ** 2
        cross = self._prior @ forms.T + between * (self._scaled @ forms.T * here)
        own = self._prior + (between + within) * self._scaled
        means = self._mean + np.einsum("gin,gn->gi", cross, self._gained)
        explained = cross @ self._inverses @ cross.transpose(0, 2, 1)
        return Mixture(self.weights, means, own - explained)


def _same(labels: Sequence[Hashable]) -> NDArray[np.bool_]:
    return np.array([[one == other for other in labels] for one in labels])
