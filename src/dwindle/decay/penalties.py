"""Objectives that people write, each as a coefficient λ of ``mean loss + (λ/2) Σ w²``.

A convention is a record: how its number becomes the canonical λ, which facts of the
run that needs, and over which layers it is spread. Everybody who writes a penalty
means a number, a power of it, and a factor: ``λ = factor(run) · number ** power``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from dwindle.decay.run import Run
from dwindle.errors import RangeError, UnknownNameError
from dwindle.errors.nearest import nearest_names

# The question's two readings, Neal's, and none of them.
NORMALIZATIONS = ("none", "layer-mean", "global-mean", "fan-in")

ALWAYS_ON = "Switch that other decay off first."


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


# What a sum over a minibatch, or over all the data, is divided by to be a mean.
_NEEDS = {
    "batch_size": "A penalty stated for a summed minibatch",
    "dataset_size": "A penalty stated for the whole training set",
}
_SUMS = {
    "": "",
    "batch_size": "{name}: the losses of a minibatch of {batch_size} are summed.",
    "dataset_size": "{name}: the losses of all {dataset_size} examples are summed.",
}
_HALF_SQUARED = (
    "{name} has half the squared error; λ stands beside the whole one, as "
    "torch.nn.MSELoss has it."
)
_LIKELIHOOD = (
    "{name}: the loss is a negative log-likelihood, of {dataset_size} examples."
)


_Over = Literal["", "batch_size", "dataset_size"]


class WrittenPenalty(NamedTuple):
    """An objective in formulas: the whole, and to λ and back."""

    objective: str
    forward: str
    inverse: str


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """One way to write a penalty: ``λ = (factor · number ** power + extra) / over``.

    ``over`` is a fact of the run, whose examples the losses are summed over; empty
    where their mean is meant, unless the loss of the run is a sum over the batch.
    ``normalization`` spreads that λ over the layers
    (:func:`layer_coefficients`); ``extra`` is a penalty that is always on.
    ``formula`` is the objective, ``forward`` and ``inverse`` are the conversion,
    templates in which ``{x}`` is the number, and ``{loss}``, ``{over}`` and ``{times}``
    are what a sum over the batch makes of a mean. ``loss_note`` is a template of what
    to know about the loss, where that is more than its sum.
    """

    name: str
    formula: str
    forward: str
    inverse: str
    factor: float = 1.0
    over: _Over = ""
    power: float = 1.0
    normalization: str = "none"
    extra: float = 0.0
    loss_note: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is the same for all layers, batches and data sets."""
        return not self.over and self.normalization == "none" and not self.extra

    def note_on_loss(self, name: str, run: Run) -> str:
        """Return what the number takes the loss to be, where it is no plain mean."""
        return (self.loss_note or _SUMS[self._over(run)]).format(
            name=name, batch_size=run.batch_size, dataset_size=run.dataset_size
        )

    def written(self, x: str, run: Run) -> "WrittenPenalty":
        """Return the objective and both conversions in formulas, x being the number."""
        parts = {"x": x, "loss": "mean loss", "over": "", "times": ""}
        if self._over(run) != self.over:
            loss = "Σ of the losses of a minibatch of B"
            parts |= {"loss": loss, "over": "/B", "times": "·B"}
        texts = (self.formula, self.forward, self.inverse)
        return WrittenPenalty(*(text.format(**parts) for text in texts))

    def _over(self, run: Run) -> _Over:
        return "batch_size" if run.loss == "sum" and not self.over else self.over

    def _divisor(self, run: Run) -> float:
        over = self._over(run)
        return run.require(over, _NEEDS[over]) if over else 1.0

    def penalty_from_number(self, number: float, run: Run) -> float:
        """Return the canonical λ, before normalization, of the number that is written.

        Raises:
            MissingFactError: If the formula needs a fact that the run does not have.

        Example:
            >>> PENALTIES["prior"].penalty_from_number(0.5, Run(dataset_size=1000))
            0.004

        """
        written = self.factor * math.pow(number, self.power)
        return (written + self.extra) / self._divisor(run)

    def number_from_penalty(self, penalty: float, run: Run) -> float:
        """Return the number to write for a canonical λ, before normalization.

        Returns:
            Infinity where λ is 0 and the formula divides by the number.

        Raises:
            MissingFactError: If the formula needs a fact that the run does not have.
            RangeError: If λ is below the penalty that is always on.

        Example:
            >>> PENALTIES["prior"].number_from_penalty(0.004, Run(dataset_size=1000))
            0.5

        """
        written = penalty * self._divisor(run) - self.extra
        if written < 0:
            must = f"at least {self.extra:g}, which is always on here"
            raise RangeError("penalty", penalty, must, ALWAYS_ON)
        if written == 0:
            return 0.0 if self.power > 0 else math.inf
        return math.pow(written / self.factor, 1 / self.power)


_RECORDS = (
    Penalty(
        name="canonical",
        formula="{loss} + ({x}/2)·Σw²",
        forward="λ = {x}{over}",
        inverse="{x} = λ{times}",
    ),
    Penalty(
        name="without-half",
        formula="{loss} + {x}·Σw²",
        factor=2.0,
        forward="λ = 2·{x}{over}",
        inverse="{x} = λ{times}/2",
    ),
    Penalty(
        name="without-half:layer-mean",
        formula="{loss} + Σ_j {x}/(L·n_j·n_{{j+1}})·Σw²",
        factor=2.0,
        forward="λ_j = 2·{x}/(L·n_j·n_{{j+1}}){over}",
        inverse="{x} = λ_j{times}·L·n_j·n_{{j+1}}/2",
        normalization="layer-mean",
    ),
    Penalty(
        name="without-half:global-mean",
        formula="{loss} + {x}/(number of weights)·Σw²",
        factor=2.0,
        forward="λ = 2·{x}/(number of weights){over}",
        inverse="{x} = λ{times}·(number of weights)/2",
        normalization="global-mean",
    ),
    Penalty(
        name="batch-sum",
        formula="Σ of the losses of a minibatch of B + {x}·Σw²",
        factor=2.0,
        over="batch_size",
        forward="λ = 2·{x}/B",
        inverse="{x} = λ·B/2",
    ),
    Penalty(
        name="data-sum",
        formula="Σ of all N losses + {x}·Σw², of which a minibatch of B takes B/N",
        factor=2.0,
        over="dataset_size",
        forward="λ = 2·{x}/N",
        inverse="{x} = λ·N/2",
    ),
    Penalty(
        name="half-batch-sum",
        formula="Σ of the losses of a minibatch of B + ({x}/2)·Σw²",
        over="batch_size",
        forward="λ = {x}/B",
        inverse="{x} = λ·B",
    ),
    Penalty(
        name="half-data-sum",
        formula="Σ of all N losses + ({x}/2)·Σw²",
        over="dataset_size",
        forward="λ = {x}/N",
        inverse="{x} = λ·N",
    ),
    Penalty(
        name="half-squared",
        formula="half the mean squared error + ({x}/2)·Σw²",
        factor=2.0,
        forward="λ = 2·{x}{over}",
        inverse="{x} = λ{times}/2",
        loss_note=_HALF_SQUARED,
    ),
    Penalty(
        name="half-squared:batch-sum",
        formula="half the squared errors of a minibatch of B + ({x}/2)·Σw²",
        factor=2.0,
        over="batch_size",
        forward="λ = 2·{x}/B",
        inverse="{x} = λ·B/2",
        loss_note=_HALF_SQUARED,
    ),
    Penalty(
        name="half-squared:data-sum",
        formula="half of all N squared errors + ({x}/2)·Σw²",
        factor=2.0,
        over="dataset_size",
        forward="λ = 2·{x}/N",
        inverse="{x} = λ·N/2",
        loss_note=_HALF_SQUARED,
    ),
    Penalty(
        name="prior",
        formula="Σ of all N losses + Σw²/(2·{x}²)",
        over="dataset_size",
        forward="λ = 1/({x}²·N)",
        inverse="{x} = 1/√(λ·N)",
        power=-2.0,
        loss_note=_LIKELIHOOD,
    ),
    Penalty(
        name="prior:fan-in",
        formula="Σ of all N losses + Σ_j fan_in_j/(2·{x}²)·Σw²",
        over="dataset_size",
        forward="λ_j = fan_in_j/({x}²·N)",
        inverse="{x} = √(fan_in_j/(λ_j·N))",
        power=-2.0,
        normalization="fan-in",
        loss_note=_LIKELIHOOD,
    ),
    Penalty(
        name="inverse-data-sum",
        formula="{x}·Σ of all N losses + (1/2)·Σw²",
        over="dataset_size",
        forward="λ = 1/({x}·N)",
        inverse="{x} = 1/(λ·N)",
        power=-1.0,
    ),
    Penalty(
        name="canonical:from-start",
        formula="{loss} + ({x}/2)·Σ(w − w⁰)²",
        forward="λ = {x}{over}",
        inverse="{x} = λ{times}",
    ),
    Penalty(
        name="canonical:asgd",
        formula="{loss} + (({x} + 1e-4)/2)·Σw²",
        forward="λ = {x}{over} + 1e-4{over}",
        inverse="{x} = λ{times} - 1e-4",
        extra=1e-4,
    ),
)
PENALTIES: Mapping[str, Penalty] = MappingProxyType({r.name: r for r in _RECORDS})
