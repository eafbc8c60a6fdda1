"""Curves of loss over λ as small trainings really make them, with a known truth.

Shape: a dip that opens slowly over a few decades of λ, then a wall. Noise between
seeds, all as a share of the loss: most of it is a level that a seed's whole curve
shares; then a part that a seed loses or gains as decay sets in, so that L(λ) and L(0)
part ways slowly (partly smooth: decay helps some seeds more; partly a random walk over
ln λ, so that differences grow with distance); then a little that is fresh at every λ.
"""

from dataclasses import dataclass

import numpy as np

STEP = np.log(10) / 3  # a third of a decade


@dataclass(frozen=True, kw_only=True)
class Population:
    """One kind of cell; shares are of the loss without decay."""

    gain: float  # how deep the dip is
    level_sd: float  # of a seed's whole curve
    apart_sd: float  # of L(0) - L(λ*) within a seed
    fresh_sd: float = 0.008  # of one training, shared with no other λ
    walk_share: float = 0.15  # of the variance of apart_sd
    dip_width: float = 1.6  # in ln λ: how slowly decay sets in
    wall_width: float = 0.9  # in ln λ: how fast too much decay ruins it
    points: int = 13

    @property
    def log_decay(self) -> np.ndarray:
        """The grid in ln λ, a third of a decade apart."""
        return np.arange(self.points) * STEP


# Gains, levels and paired spreads of digits networks, measured over 60-80 seeds.
SGD_WIDE = Population(gain=0.19, level_sd=0.11, apart_sd=0.085)
SGD_NARROW = Population(gain=0.29, level_sd=0.19, apart_sd=0.14)
SGD_FEW_DATA = Population(gain=0.18, level_sd=0.16, apart_sd=0.083)
ADAMW_WIDE = Population(gain=0.09, level_sd=0.10, apart_sd=0.048, fresh_sd=0.004)
ADAMW_MIDDLE = Population(gain=0.036, level_sd=0.10, apart_sd=0.029, fresh_sd=0.003)
POPULATIONS = {
    "sgd wide": SGD_WIDE,
    "sgd narrow": SGD_NARROW,
    "sgd few data": SGD_FEW_DATA,
    "adamw wide": ADAMW_WIDE,
    "adamw middle": ADAMW_MIDDLE,
}


def _raw_shape(kind: Population, log_decay: np.ndarray) -> np.ndarray:
    middle = 5.5 * STEP
    dip = 1.35 / (1 + np.exp(-(log_decay - middle) / kind.dip_width))
    wall = 0.12 * np.exp((log_decay - middle - 3 * STEP) / kind.wall_width)
    return wall - dip


def _fine(kind: Population) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, kind.log_decay[-1], 4001)
    return x, _raw_shape(kind, x)


def true_optimum(kind: Population) -> float:
    """Place of the minimum of the mean curve at shift 0, in ln λ."""
    x, y = _fine(kind)
    return float(x[y.argmin()])


def mean_curve(kind: Population, log_decay: np.ndarray, *, shift: float) -> np.ndarray:
    """Mean loss, 1 without decay and 1 - gain at the minimum."""
    _, y = _fine(kind)
    return 1 + kind.gain * _raw_shape(kind, log_decay - shift) / -y.min()


def draw_curves(
    kind: Population,
    generator: np.random.Generator,
    *,
    seeds: int = 5,
    noise: float = 1.0,
    shift: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses (seeds, points) and losses without decay (seeds,)."""
    mean = mean_curve(kind, kind.log_decay, shift=shift)
    level = kind.level_sd * generator.standard_normal((seeds, 1))
    apart = _apart(kind, generator, seeds=seeds, shift=shift)
    fresh = kind.fresh_sd * generator.standard_normal((seeds, kind.points + 1))
    drift = np.concatenate([np.zeros((seeds, 1)), apart], axis=1)
    deviation = noise * (level + drift + fresh)
    losses = np.concatenate([[1.0], mean]) * np.exp(deviation)
    return losses[:, 1:], losses[:, 0]


def _apart(
    kind: Population, generator: np.random.Generator, *, seeds: int, shift: float
) -> np.ndarray:
    """What parts a seed's curve from its own L(0); sd apart_sd at the optimum."""
    middle = true_optimum(kind) + shift
    grown = 1 / (1 + np.exp(-(kind.log_decay - middle + 2 * STEP) / kind.dip_width))
    grown = grown / np.interp(middle, kind.log_decay, grown)
    helped = generator.standard_normal((seeds, 1)) * grown
    steps = np.sqrt(np.diff(np.concatenate([[0.0], grown])))
    walk = np.cumsum(steps * generator.standard_normal((seeds, kind.points)), axis=1)
    share = kind.walk_share
    return kind.apart_sd * (np.sqrt(1 - share) * helped + np.sqrt(share) * walk)
