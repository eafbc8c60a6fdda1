"""Objectives that people write, each as a coefficient λ of ``mean loss + (λ/2) Σ w²``.

A convention is a record: how its number becomes the canonical λ, which facts of the
run that needs, and over which layers it is spread. Everybody who writes a penalty
means a number, a power of it, and a factor: ``λ = factor(run) · number ** power``.
"""

from collections.abc import Callable, Mapping, Sequence

from dwindle.decay.names import nearest_names
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
