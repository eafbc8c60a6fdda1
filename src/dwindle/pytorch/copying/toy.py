"""Toy: a copy of an optimizer on a few weights of its own, to see what it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dwindle.errors import RefusedError
from dwindle.pytorch.copying.copies import Twins, copied, rebuilt
from dwindle.pytorch.copying.quiet import random_kept, undisturbed

__all__ = ["Mould", "Toy", "random_kept", "unwrapped"]

START = (1.0, -0.5, 0.25, 2.0)

# Wrappers that only pass ``step`` on, and where they keep the optimizer. Others (a
# Lookahead, a SAM) do something of their own and are copied whole.
_WRAPPERS = {
    "AcceleratedOptimizer": "optimizer",
    "LightningOptimizer": "_optimizer",
    "_FabricOptimizer": "_optimizer",
}
# No number can be read from these, or float64 does not exist there.
_DEVICES_WITHOUT_NUMBERS = ("meta", "mps")
_BUILDERS: tuple[Callable[[Optimizer, Twins], Optimizer], ...] = (copied, rebuilt)


def unwrapped(optimizer: object) -> Optimizer:
    """Return the torch optimizer inside of an Accelerate or Lightning wrapper.

    Raises:
        RefusedError: If there is no torch optimizer.

    Example:
        >>> adamw = torch.optim.AdamW([nn.Parameter(torch.ones(2))])
        >>> unwrapped(adamw) is adamw
        True

    """
    inner = _WRAPPERS.get(type(optimizer).__name__)
    if inner is not None and hasattr(optimizer, inner):
        return unwrapped(getattr(optimizer, inner))
    if not isinstance(optimizer, Optimizer):
        asked = f"The decay of a {type(optimizer).__name__}"
        why = "It is no torch.optim.Optimizer."
        raise RefusedError(asked, why, "Give the optimizer itself.")
    return optimizer


# Entries of a weight after 0, 1, … steps.
Walk = list[list[float]]


def _change_nothing(_step: int, _at: int, _group: dict[str, Any]) -> None:
    """Leave the options as they are."""


def _numbers(walk: list[Tensor]) -> Walk:
    # At once: on a GPU each reading would wait for the device.
    values: Walk = torch.stack(walk).double().flatten(start_dim=1).tolist()
    return values


@dataclass(frozen=True, kw_only=True)
class Mould:
    """How an optimizer can be copied and stepped; casts as many toys as asked.

    Args:
        optimizer: The user's; it is read, never touched.
        build: Makes the copy.
        dtype: Number format of the toys; None for that of the parameters.
        closure: Whether ``step`` wants one.
        sparse: Whether it takes sparse gradients only.

    """

    optimizer: Optimizer
    dtype: torch.dtype | None = None
    build: Callable[[Optimizer, Twins], Optimizer] = copied
    closure: bool = False
    sparse: bool = False

    @classmethod
    def of(cls, optimizer: object, *, dtype: torch.dtype | None = None) -> Self:
        """Find a way to copy and step the optimizer, by trying.

        Args:
            optimizer: A torch optimizer, or a wrapper around one.
            dtype: Number format that the toys shall have; None for their own.

        Raises:
            RefusedError: If no copy of it makes a step.

        """
        bare = unwrapped(optimizer)
        said: list[str] = []
        for build, closure, sparse in product(_BUILDERS, (False, True), (False, True)):
            mould = cls(
                optimizer=bare,
                dtype=dtype,
                build=build,
                closure=closure,
                sparse=sparse,
            )
            trouble = mould._trouble()
            if not trouble:
                return mould
            said.append(trouble)
        asked = f"What {type(bare).__name__} does to a weight"
        why = f"No copy of it makes a step: {said[0]} (built anew: {said[4]})."
        instead = "A copy must be possible: options in param_groups, state in state."
        raise RefusedError(asked, why, instead)

    def _trouble(self) -> str:
        """Tell what goes wrong in one step with a gradient; nothing if it works."""
        try:
            self.toy().step(gradient=0.5)
        except Exception as error:  # noqa: BLE001  (other people's code: anything)
            return f"{type(error).__name__}: {error}"
        return ""

    def toy(
        self,
        *,
        start: Sequence[float] = START,
        groups: Sequence[int] | None = None,
    ) -> "Toy":
        """Cast a toy with fresh state.

        Args:
            start: Values of each weight; two to the power of something are rounded
                alike, so take others to look at rounding.
            groups: Which parameter groups it has; None for all.

        """
        with undisturbed():
            twins = _twins_of(self.optimizer, self.dtype, start)
            copy = self.build(self.optimizer, twins)
            _set_training(copy)
            if groups is not None:
                copy.param_groups[:] = [copy.param_groups[at] for at in groups]
        return Toy(optimizer=copy, closure=self.closure, sparse=self.sparse)


class Toy:
    """A copy of an optimizer, as configured, on weights of its own.

    Args:
        optimizer: The copy; its groups are those of the original, in their order.
        closure: Whether its ``step`` wants a closure.
        sparse: Whether it takes sparse gradients only.

    Example:
        >>> adamw = torch.optim.AdamW([nn.Parameter(torch.ones(3))], lr=0.1)
        >>> toy = Toy.of(adamw)
        >>> toy.step()
        >>> toy.weights[0][0].tolist()[0]  # 1 - 0.1·0.01
        0.9990000128746033
        >>> adamw.param_groups[0]["params"][0].tolist()[0]
        1.0

    """

    def __init__(
        self, *, optimizer: Optimizer, closure: bool = False, sparse: bool = False
    ) -> None:
        self.optimizer = optimizer
        self.weights: list[list[Tensor]] = [
            list(group["params"]) for group in optimizer.param_groups
        ]
        self._closure = closure
        self._sparse = sparse
        self._no_penalties = [0.0] * len(self.weights)

    @classmethod
    def of(
        cls,
        optimizer: object,
        *,
        dtype: torch.dtype | None = None,
        start: Sequence[float] = START,
    ) -> "Toy":
        """Copy an optimizer; :class:`Mould` where many copies are wanted.

        Args:
            optimizer: A torch optimizer, or a wrapper around one; stays untouched.
            dtype: Number format of the weights; None for that of the parameters.
            start: Values that each weight starts with.

        Raises:
            RefusedError: If no copy of it makes a step.

        """
        return Mould.of(optimizer, dtype=dtype).toy(start=start)

    def step(self, *, gradient: float | None = 0.0) -> None:
        """Fill the gradients and make a step; hooks of the copy are called.

        Args:
            gradient: Value of every entry; None leaves the weights without one.

        """
        with undisturbed():
            self._move(gradient, self._no_penalties)

    def watch(
        self,
        steps: int,
        *,
        before: Callable[[int, int, dict[str, Any]], None] = _change_nothing,
        gradients: Sequence[float | None] = (0.0,),
        penalties: Sequence[float] | None = None,
    ) -> list[list[Walk]]:
        """Make some steps and write down where every weight was.

        Args:
            steps: How many.
            before: Called before each step with its number, the number of the group
                and the group, whose options it may set.
            gradients: Value of every entry, step by step, over and over.
            penalties: For each group, how much of a weight its gradient gets on top.

        Returns:
            For each group, for each of its weights: the entries after 0, 1, … steps.

        """
        seen = [[self._entries(each) for each in group] for group in self.weights]
        walks = [[[entries] for entries in group] for group in seen]
        added = self._no_penalties if penalties is None else penalties
        with undisturbed():
            for step in range(steps):
                for at, options in enumerate(self.optimizer.param_groups):
                    before(step, at, options)
                self._move(gradients[step % len(gradients)], added)
                for group, group_walks in zip(self.weights, walks, strict=True):
                    for weight, walk in zip(group, group_walks, strict=True):
                        walk.append(self._entries(weight))
        return [[_numbers(walk) for walk in group] for group in walks]

    def _move(self, gradient: float | None, penalties: Sequence[float]) -> None:
        def pulled() -> Tensor:
            for group, penalty in zip(self.weights, penalties, strict=True):
                for weight in group:
                    weight.grad = None
                    if gradient is not None:
                        weight.grad = self._gradient(weight, gradient, penalty)
            return torch.zeros(())

        pulled()
        step: Any = self.optimizer.step  # Any: steps differ in what they return
        step(pulled) if self._closure else step()

    def _entries(self, weight: Tensor) -> Tensor:
        bare = weight.detach()
        return (torch.view_as_real(bare) if bare.is_complex() else bare).clone()

    def _gradient(self, weight: Tensor, value: float, penalty: float) -> Tensor:
        bare = weight.detach()
        gradient = torch.full_like(bare, value)
        if penalty:
            gradient += penalty * bare
        return gradient.to_sparse(1) if self._sparse and bare.ndim else gradient


def _set_training(copy: Optimizer) -> None:
    """Put those that know evaluation and training, as schedule-free does, into it."""
    train = getattr(copy, "train", None)
    if callable(train):
        train()


@dataclass(frozen=True)
class _Kind:
    """What parameters must have in common to be told by one toy weight."""

    ndim: int
    dtype: torch.dtype
    device: torch.device
    is_leaf: bool

    def weight(self, start: Sequence[float]) -> nn.Parameter:
        """Make the toy weight: of shape (n), (n/2, 2), (n/2, 2, 1) and so on."""
        shape = _shape(len(start), self.ndim)
        values = torch.tensor(start[: prod(shape)], dtype=self.dtype).reshape(shape)
        if self.dtype.is_complex:  # optimizers see two numbers, and none may be 0
            values = values + 1j * values
        return nn.Parameter(values.to(self.device), requires_grad=self.is_leaf)


def _shape(values: int, ndim: int) -> tuple[int, ...]:
    if ndim <= 1:
        return (values,) * ndim
    return (values // 2, 2, *(1,) * (ndim - 2))


def _twins_of(
    optimizer: Optimizer, dtype: torch.dtype | None, start: Sequence[float]
) -> dict[int, Tensor]:
    """One toy weight for each kind of parameter in each group."""
    twins: dict[int, Tensor] = {}
    for group in optimizer.param_groups:
        made: dict[_Kind, Tensor] = {}
        for parameter in group["params"]:
            kind = _kind_of(parameter)
            if kind not in made:
                own = kind if dtype is None else replace(kind, dtype=_like(kind, dtype))
                made[kind] = own.weight(start)
            twins.setdefault(id(parameter), made[kind])
    return twins


def _kind_of(parameter: Tensor) -> _Kind:
    """Tell the kind; a DTensor is told by what it is as a whole."""
    device = parameter.device
    if device.type in _DEVICES_WITHOUT_NUMBERS:
        device = torch.device("cpu")
    return _Kind(parameter.ndim, parameter.dtype, device, parameter.is_leaf)


def _like(kind: _Kind, dtype: torch.dtype) -> torch.dtype:
    return dtype.to_complex() if kind.dtype.is_complex else dtype
