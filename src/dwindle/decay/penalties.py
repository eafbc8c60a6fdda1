"""Objectives in use, each as a coefficient λ of ``mean loss + (λ/2) Σ w²``.

A convention is a record: how its number becomes the canonical λ, which facts of the
run that needs, and over which layers it is spread. Every penalty in use has the form
``λ = factor(run) · number ** power``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from dwindle.decay.run import Run
from dwindle.errors import RangeError, UnknownNameError
from dwindle.plain import table_beside

# None, the question's two readings, and Neal's.
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

    """
    if normalization not in NORMALIZATIONS:
        raise UnknownNameError.among("normalization", normalization, NORMALIZATIONS)
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
# Remarks on the loss, where that is more than its sum.
_NOTES = {
    "half-squared": "{name} has half the squared error; λ stands beside the whole one, "
    "as torch.nn.MSELoss has it.",
    "likelihood": "{name}: the loss is a negative log-likelihood, of {dataset_size} "
    "examples.",
}

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
    are what a sum over the batch makes of a mean. ``loss_note`` names a remark on the
    loss, where that is more than its sum.
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
        """Return the loss that the number is meant for, where that is no plain mean."""
        note = _NOTES.get(self.loss_note) or _SUMS[self._over(run)]
        return note.format(
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
        """Return the canonical λ, before normalization, of a number."""
        written = self.factor * math.pow(number, self.power)
        return (written + self.extra) / self._divisor(run)

    def number_from_penalty(self, penalty: float, run: Run) -> float:
        """Return the number to write for a canonical λ, before normalization.

        Raises:
            MissingFactError: If the formula needs a fact that the run does not have.
            RangeError: If λ is below the penalty that is always on.

        """
        written = penalty * self._divisor(run) - self.extra
        if written < 0:
            must = f"at least {self.extra:g}, which is always on here"
            raise RangeError("penalty", penalty, must, ALWAYS_ON)
        if written == 0:
            return 0.0 if self.power > 0 else math.inf
        return math.pow(written / self.factor, 1 / self.power)


PENALTIES: Mapping[str, Penalty] = MappingProxyType(
    {cells["name"]: Penalty(**cells) for cells in table_beside(__file__)["penalty"]}
)
