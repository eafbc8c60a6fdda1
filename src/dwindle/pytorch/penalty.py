"""L2Penalty: the question's second term, λ Σ w², as a term to add to a loss."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dwindle.decay.decay_rate import missing_facts_of
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.penalties import PENALTIES, Penalty
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, UnknownNameError
from dwindle.pytorch.options import check_not_negative
from dwindle.pytorch.penalized.double_decay import (
    ACTIVE_PENALTIES,
    warn_if_decayed,
    watch,
)
from dwindle.pytorch.penalized.squares import (
    ModelState,
    PenalizedWeight,
    weighted_squares,
    weights_of,
)
from dwindle.pytorch.refusals import refused
from dwindle.pytorch.selection import choices_of, coefficients_of
from dwindle.wording import counted, number

Reduction = Literal["mean", "sum"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum")

_CALLER = "L2Penalty"
_NO_WEIGHTS = "Give embeddings=True, or name some with decay=[...]."
# A width of 0 would be a penalty without end.
_NO_PRIOR = "It is the width of a prior, and the wider, the weaker the penalty."
_NOT_TWO = "Leave normalization out, or take the convention without one."


class L2Penalty:
    """A penalty on the squares of a model's weights, to be added to the loss.

    By default it is the question's: ``mean loss + strength · Σ w²``, over the weights
    of matrices and convolutions. A tied weight counts once, as its first layer computes
    it; a frozen one not at all. Under ``weight_norm``, or any parametrization, the
    squares are those of the weight that the layer computes.

    In a distributed program the value is that of the whole model, in every process.
    Where gradients are accumulated, add it to each part of the loss before that is
    divided. Gradient clipping clips it with the rest, and Adam divides it by its
    scale: for a decay that they leave alone, hold one with ``DecayController``.

    A call reads all weights once, and its gradient reads and writes them once more.

    Args:
        model: The model; its weights are read anew at each call: one that is
            frozen, unfrozen or replaced counts as it is then. (In a function that
            ``torch.compile`` has traced, as it was at the last call outside of it.)
        strength: The number in the formula of ``convention``, 0 or more.
        normalization: ``none``, ``layer-mean``, ``global-mean`` or ``fan-in``; None
            takes that of the convention. L and the numbers of weights are those of the
            weights that are penalized.
        convention: What ``strength`` means: a knob that is a penalty (``question.l2``,
            ``bengio2012.l2``, ``keras.regularizers.L2``, ``torch.optim.SGD`` …) or a
            key of :data:`dwindle.decay.penalties.PENALTIES` (``canonical``, with the
            half; ``without-half``; ``batch-sum`` …).
        reduction: How your loss is reduced over the minibatch: ``mean`` or ``sum``, as
            torch's losses call it.
        batch_size: Examples of a minibatch, where the formula needs it. It can also be
            given at the call, for a last batch that is shorter.
        dataset_size: Examples of the training set, where the formula needs it.
        embeddings: Whether embeddings and tokens are penalized.
        decay: Patterns of names that are penalized in any role.
        no_decay: Patterns of names that are not; stronger than ``decay``.
        model_says: Whether ``no_weight_decay()`` of the model counts.
        optimizer: The optimizer of the model: a warning is given at once if it decays
            the same weights. Without it, at its first step after a call.

    Raises:
        RangeError: If the strength is out of range, or there is no weight.
        RefusedError: If the convention is no penalty, or roles or fans are unknown.
        UnknownNameError: If a convention, normalization or reduction is unknown.
        PatternError: If a pattern fits no parameter.

    Example:
        >>> import torch
        >>> model = nn.Linear(2, 1)
        >>> _ = torch.nn.init.constant_(model.weight, 3.0)
        >>> penalty = L2Penalty(model, 0.5)
        >>> penalty().item()  # 0.5 · (3² + 3²)
        9.0
        >>> penalty
        L2Penalty(0.5, question.l2; mean loss; 1 weight, 2 numbers)

    """

    def __init__(  # noqa: PLR0913 - one argument for each decision
        self,
        model: nn.Module,
        strength: float,
        *,
        normalization: str | None = None,
        convention: str = "question.l2",
        reduction: str = "mean",
        batch_size: int | None = None,
        dataset_size: int | None = None,
        embeddings: bool = False,
        decay: str | Sequence[str] = (),
        no_decay: str | Sequence[str] = (),
        model_says: bool = True,
        optimizer: Optimizer | None = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise UnknownNameError.among("reduction", reduction, REDUCTIONS)
        self._record, self._was_called = _record(convention), False
        self.convention, self.reduction = convention, reduction
        self.batch_size, self.dataset_size = batch_size, dataset_size
        self.strength = strength
        own = self._record.normalization
        self.normalization = own if normalization is None else normalization
        if own not in {"none", self.normalization}:
            must = f"{own}, as the convention {self._record.name} has it"
            raise RangeError("normalization", normalization, must, _NOT_TWO)
        self._choices = partial(
            choices_of,
            model,
            embeddings=embeddings,
            decay=decay,
            no_decay=no_decay,
            model_says=model_says,
        )
        self._weights, self._numbers, self._state = self._looked_up(model)
        if not self._weights:
            must = "a model with weights that can be trained"
            raise RangeError("model", type(model).__name__, must, _NO_WEIGHTS)
        self._model = model
        # For an audit, and for optimizers that are built later and decay the same.
        ACTIVE_PENALTIES.add(self)
        if optimizer is None:
            watch(self)
        else:
            warn_if_decayed(self, optimizer, stacklevel=2)

    @property
    def strength(self) -> float:
        """The number in the formula of the convention; it may be set between steps."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        """Set the number; the next call has it."""
        check_not_negative("strength", strength)
        if strength == 0 and self._record.power < 0:
            raise RangeError("strength", strength, "above 0", _NO_PRIOR)
        self._strength = strength
        self._factors: dict[int | None, float] = {}
        with suppress(MissingFactError):  # else the call raises it
            self.factor()

    @property
    def is_on(self) -> bool:
        """Whether it was called, and its strength is above 0."""
        return self._was_called and self.strength > 0

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that are penalized, by name, as the model has them now."""
        return {weight.slot.name: weight.parameter() for weight in self._now()}

    @property
    def coefficients(self) -> dict[str, float]:
        """The factor of the normalization for each penalized parameter, by name."""
        return {weight.slot.name: weight.coefficient for weight in self._now()}

    def factor(self, *, batch_size: int | None = None) -> float:
        """Return what the sum of squares is multiplied by, before normalization.

        For a mean loss that is λ/2, with λ of ``mean loss + λ/2 Σ w²``; for a summed
        one, λ/2 times the batch size.

        Args:
            batch_size: Examples of this minibatch, if other than that of the penalty.

        Raises:
            MissingFactError: If the formula needs a size that was not given.

        """
        size = self.batch_size if batch_size is None else batch_size
        if size not in self._factors:  # kept, since torch.compile cannot trace it
            with missing_facts_of(_CALLER):
                self._factors[size] = self._factor_for(size)
        return self._factors[size]

    def __call__(self, *, batch_size: int | None = None) -> Tensor:
        """Return the term to add to the loss: a tensor of no dimensions, with gradient.

        Args:
            batch_size: Examples of this minibatch, if other than that of the penalty.

        Raises:
            MissingFactError: If the formula needs a size that was not given.

        """
        if not torch.compiler.is_compiling():
            self._was_called = True
        factor, weights = self.factor(batch_size=batch_size), self._now()
        if not weights:  # all are frozen, and the loss still adds a tensor
            some = next(self._model.parameters(), torch.zeros(()))
            return torch.zeros((), device=some.device)
        factors = [factor * weight.coefficient for weight in weights]
        return weighted_squares([weight.tensor() for weight in weights], factors)

    def warn_if_decayed(self, optimizer: Optimizer) -> tuple[str, ...]:
        """Warn where an optimizer decays the same weights; return their names."""
        return warn_if_decayed(self, optimizer, stacklevel=2)

    def __repr__(self) -> str:
        is_own = self.normalization not in ("none", self._record.normalization)
        loss = "mean loss" if self.reduction == "mean" else "summed loss"
        weights = counted(len(self._now()), "weight")
        parts = (
            f"{number(self.strength)}, {self.convention}",
            *((self.normalization,) if is_own else ()),
            loss,
            f"{weights}, {self._numbers:,} numbers",
        )
        return f"L2Penalty({'; '.join(parts)})"

    def _now(self) -> tuple[PenalizedWeight, ...]:
        """Return the weights as the model has them now; chosen anew if it changed."""
        # A trace would break on the walk; its guards see what was frozen.
        if not torch.compiler.is_compiling() and not self._state.is_as_it_was():
            self._weights, self._numbers, self._state = self._looked_up(self._model)
        return self._weights

    def _looked_up(
        self, model: nn.Module
    ) -> tuple[tuple[PenalizedWeight, ...], int, ModelState]:
        chosen = [choice.held for choice in self._choices() if choice.decays]
        factors = coefficients_of(self.normalization, chosen)
        weights = weights_of(model, chosen, factors)
        return weights, sum(held.numbers for held in chosen), ModelState(model)

    def _factor_for(self, size: int | None) -> float:
        if self.reduction == "mean":
            return self._half_of_lambda(size)
        if size is not None:
            return size * self._half_of_lambda(size)
        # A number that is stated for the sum over a minibatch needs no size: then the
        # factor is the same for any two.
        one, two = (size * self._half_of_lambda(size) for size in (1, 2))
        if one != two:
            needed = f"{self.convention} beside a loss that is summed"
            raise MissingFactError("batch_size", needed, "batch_size=...")
        return one

    def _half_of_lambda(self, batch_size: int | None) -> float:
        run = Run(batch_size=batch_size, dataset_size=self.dataset_size)
        return self._record.penalty_from_number(self.strength, run) / 2


def _record(convention: str) -> Penalty:
    """Return the penalty whose number the strength is: by its name, or a knob's."""
    if convention in PENALTIES:
        return PENALTIES[convention]
    knob = resolve_knob(convention)
    if knob.penalty is None:
        raise refused("no-coefficient", knob=knob.name, formula=knob.formula)
    return PENALTIES[knob.penalty]
