"""Regret: the loss that a given λ loses against the best one, without flattering it.

The minimum of a noisy curve is lower than the truth where it was chosen, and a λ
chosen without a seed is worse than the best for that seed. The two biases stand in
the ratio 1/n : 1/(n-1) with opposite signs, so a weighted pair cancels them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from dwindle.stats.curve import Curve, read_log_losses
from dwindle.stats.optimum import minima_of
from dwindle.stats.student import (
    SEEDS_FOR_AN_INTERVAL,
    FloatArray,
    Interval,
    half_width,
)

# What turns log losses into the unit of a regret: np.exp into nats, np.positive leaves
# them, so that differences are those of ratios.
Unit = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Regret:
    """What is lost, with its 90 % limits; None where there is no spread to see.

    ``by_seed`` has each seed's own regret, whose mean the value is: what two regrets on
    the same seeds have in common is seen there.
    """

    value: float
    low: float | None
    high: float | None
    by_seed: Mapping[int, float] = field(default_factory=dict, hash=False)

    def widened(self, below: float, above: float) -> "Regret":
        """Return it with half widths of 90 % intervals added to each in quadrature."""
        if self.low is None or self.high is None:
            return self
        low = self.value - math.hypot(self.value - self.low, below)
        high = self.value + math.hypot(self.high - self.value, above)
        return replace(self, low=max(0.0, low), high=max(0.0, high))


def limits_of(draws: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Return by how much equally likely errors lie below and above 0, at 5 and 95 %."""
    if not len(draws):
        return 0.0, 0.0
    low, high = np.quantile(draws, (0.05, 0.95))
    return max(0.0, -float(low)), max(0.0, float(high))


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedCurve:
    """A curve and the loss that each of its seeds has under what is judged."""

    curve: Curve
    values: FloatArray


def measure_regret(judged: Sequence[JudgedCurve]) -> Regret | None:
    """Return the regret, averaged over cells that share their seeds.

    Per seed and averaged over cells: plug-in ``p_s = v_s - L_s(x̂)`` and leave-out
    ``c_s = v_s - L_s(x̂ without s)``. Then ``R = (n·P + (n-1)·C) / (2n-1)`` with the
    interval ``max(0, R ± t·S)``, ``S = max(sd(p), sd(c)) / √n``. Averaging inside of a
    seed first keeps what the cells have in common; only seeds that every cell has
    are used. In units of the loss; no limits below three seeds, None without a seed
    that all cells share.
    """
    return _regret_of(judged, np.exp)


def _regret_of(judged: Sequence[JudgedCurve], unit: Unit) -> Regret | None:
    """Return the regret in the unit that log losses are turned into."""
    shared = set.intersection(*(set(one.curve.seeds) for one in judged))
    if not shared:
        return None
    curves = [one.curve.only(sorted(shared)) for one in judged]
    n = len(shared)

    def lost(means: int) -> FloatArray:
        """Per seed, what is lost against the minimum of these means of its cell."""
        losses = []
        for one, curve in zip(judged, curves, strict=True):
            rows = [one.curve.seeds.index(seed) for seed in curve.seeds]
            # A loss of exactly 0 has no logarithm.
            logs = np.log(np.maximum(one.values[rows], np.finfo(float).tiny))
            losses.append(unit(logs) - unit(_log_losses_at_minima(curve)[means]))
        mean: FloatArray = np.mean(losses, axis=0)
        return mean

    plug_in = lost(0)
    if n == 1:
        return Regret(value=float(plug_in[0]), low=None, high=None)
    left_out = lost(1)
    of_seed = (n * plug_in + (n - 1) * left_out) / (2 * n - 1)
    value = float(of_seed.mean())
    if n < SEEDS_FOR_AN_INTERVAL:
        return Regret(value=value, low=None, high=None)
    # The wider of both: either of the two may flatter.
    half = max(half_width(plug_in), half_width(left_out))
    return Regret(
        value=value,
        low=max(0.0, value - half),
        high=max(0.0, value + half),
        by_seed=dict(zip(sorted(shared), of_seed.tolist(), strict=True)),
    )


@lru_cache(maxsize=64)  # every rule is judged by the same cells
def _log_losses_at_minima(curve: Curve) -> tuple[FloatArray, FloatArray]:
    """Per seed, where the mean of all seeds is lowest, and where that of the others."""
    n = curve.n
    others = (curve.log_losses.sum(axis=0) - curve.log_losses) / max(n - 1, 1)
    of_all, of_others = (
        read_log_losses(curve, np.broadcast_to(minima_of(curve, means), (n,)))
        for means in (curve.log_mean[None, :], others)
    )
    return of_all, of_others


def measure_gain(curves: Sequence[Curve]) -> Regret | None:
    """Return what decay buys, in the mean of cells: the regret of training without any.

    Seeds without a finite loss at λ = 0 in one of the cells do not count; without any
    other there is None.
    """
    judged = [_without_decay(curve) for curve in curves]
    return measure_regret(judged) if judged else None


def measure_saved_share(curve: Curve) -> Interval | None:
    """Return what decay saves of a cell's loss without it, as a share below 1.

    The gain of :func:`measure_gain` between log losses, g, as 1 - exp(-g): one seed of
    a huge loss counts as one seed. None where no seed has a loss at λ = 0.
    """
    gain = _regret_of([_without_decay(curve)], np.positive)
    if gain is None:
        return None
    value, low, high = (
        None if limit is None else -math.expm1(-limit)
        for limit in (gain.value, gain.low, gain.high)
    )
    return Interval(value=value or 0.0, low=low, high=high)


def _without_decay(curve: Curve) -> JudgedCurve:
    compared = curve.only(curve.compared)
    values = compared.without_decay
    return JudgedCurve(curve=compared, values=np.empty(0) if values is None else values)
