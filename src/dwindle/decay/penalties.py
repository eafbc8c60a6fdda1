"""Objectives that people write, each as a coefficient λ of ``mean loss + (λ/2) Σ w²``.

A convention is a record: how its number becomes the canonical λ, which facts of the
run that needs, and over which layers it is spread. Everybody who writes a penalty
means a number, a power of it, and a factor: ``λ = factor(run) · number ** power``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dwindle.decay.names import nearest_names
from dwindle.decay.run import Run
from dwindle.errors import RangeError, UnknownNameError

NORMALIZATIONS = ("none", "layer-mean", "global-mean", "fan-in")


def layer_coefficients(
    normalization: str, layers: Sequence[tuple[int, int]]
) -> tuple[float, ...]:
    """Return the factor on λ of each layer under a normalization.

    ``none`` is 1; ``layer-mean`` is 1/(L · fan_in · fan_out), L the number of layers;
    ``global-mean`` is 1/(number of weights); ``fan-in`` is fan_in.

    Args:
        normalization: One of ``NORMALIZATIONS``.
        layers: (fan_in, fan_out) of every weight matrix, in order.

    Returns:
        One factor per layer. Under ``layer-mean`` and ``global-mean`` their average
        over all weights is the same, 1/(number of weights).

    Raises:
        UnknownNameError: If the normalization is not one of the four.
        RangeError: If there is no layer, or a layer has no weights.

    Example:
        >>> layer_coefficients("layer-mean", [(2, 5), (5, 1)])
        (0.05, 0.1)
        >>> layer_coefficients("fan-in", [(2, 5), (5, 1)])
        (2.0, 5.0)

    """
    if normalization not in NORMALIZATIONS:
        near = nearest_names(normalization, NORMALIZATIONS)
        raise UnknownNameError("normalization", normalization, near)
    if not layers or any(min(layer) < 1 for layer in layers):
        must = "one or more (fan_in, fan_out) pairs of positive numbers"
        raise RangeError("layers", tuple(layers), must)
    weights = sum(fan_in * fan_out for fan_in, fan_out in layers)
    spread: Mapping[str, Callable[[int, int], float]] = {
        "none": lambda _in, _out: 1.0,
        "layer-mean": lambda fan_in, fan_out: 1.0 / (len(layers) * fan_in * fan_out),
        "global-mean": lambda _in, _out: 1.0 / weights,
        "fan-in": lambda fan_in, _out: float(fan_in),
    }
    return tuple(spread[normalization](*layer) for layer in layers)


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """One way to write a penalty: ``λ = factor(run) · number ** power``.

    ``normalization`` spreads that λ over the layers (:func:`layer_coefficients`).
    """

    name: str
    formula: str
    factor: Callable[[Run], float]
    power: float = 1.0
    normalization: str = "none"

    def penalty_from_number(self, number: float, run: Run) -> float:
        """Return the canonical λ, before normalization, of the number that is written.

        Raises:
            MissingFactError: If the formula needs a fact that the run does not have.

        Example:
            >>> PENALTIES["prior"].penalty_from_number(0.5, Run(dataset_size=1000))
            0.004

        """
        return self.factor(run) * math.pow(number, self.power)

    def number_from_penalty(self, penalty: float, run: Run) -> float:
        """Return the number to write for a canonical λ, before normalization.

        Returns:
            Infinity where λ is 0 and the formula divides by the number.

        Raises:
            MissingFactError: If the formula needs a fact that the run does not have.

        Example:
            >>> PENALTIES["prior"].number_from_penalty(0.004, Run(dataset_size=1000))
            0.5

        """
        if penalty == 0:
            return 0.0 if self.power > 0 else math.inf
        return math.pow(penalty / self.factor(run), 1 / self.power)


def _data(run: Run) -> float:
    return run.require("dataset_size", "A penalty stated for the whole training set")


def _batch(run: Run) -> float:
    return run.require("batch_size", "A penalty stated for a summed minibatch")


_RECORDS = (
    Penalty(
        name="canonical",
        formula="mean loss + (λ/2)·Σw²; adds λ·w to the gradient",
        factor=lambda _: 1.0,
    ),
    Penalty(
        name="without-half",
        formula="mean loss + λ·Σw²; adds 2λ·w to the gradient",
        factor=lambda _: 2.0,
    ),
    Penalty(
        name="without-half:layer-mean",
        formula="mean loss + Σ_j λ/(L·n_j·n_{j+1})·Σw²",
        factor=lambda _: 2.0,
        normalization="layer-mean",
    ),
    Penalty(
        name="without-half:global-mean",
        formula="mean loss + λ/(number of weights)·Σw²",
        factor=lambda _: 2.0,
        normalization="global-mean",
    ),
    Penalty(
        name="batch-sum",
        formula="Σ of the losses of a minibatch + λ·Σw²",
        factor=lambda run: 2.0 / _batch(run),
    ),
    Penalty(
        name="data-sum",
        formula="Σ of all N losses + λ·Σw², of which a minibatch of B takes B/N",
        factor=lambda run: 2.0 / _data(run),
    ),
    Penalty(
        name="prior",
        formula="Σ of all N losses + Σw²/(2σ²)",
        factor=lambda run: 1.0 / _data(run),
        power=-2.0,
    ),
    Penalty(
        name="prior:fan-in",
        formula="Σ of all N losses + Σ_j fan_in_j/(2ω²)·Σw²",
        factor=lambda run: 1.0 / _data(run),
        power=-2.0,
        normalization="fan-in",
    ),
    Penalty(
        name="inverse-data-sum",
        formula="C·Σ of all N losses + (1/2)·Σw²",
        factor=lambda run: 1.0 / _data(run),
        power=-1.0,
    ),
)
PENALTIES: Mapping[str, Penalty] = {record.name: record for record in _RECORDS}
