"""Toy: a copy of an optimizer on a few separate weights, to see what it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dwindle.pytorch.copying.copies import (
    Twins,
    copied,
    rebuilt,
    tensors_kept,
    undisturbed,
)
from dwindle.pytorch.options import KNOB, check_not_negative
from dwindle.pytorch.refusals import refused
from dwindle.wording import with_article

# Of both signs and several sizes: a decay by sign, or by size, shows on them.
START = (1.0, -0.5, 0.25, 2.0)

# Wrappers that only pass ``step`` on, and where they keep the optimizer. Others (a
# Lookahead, a SAM) do more and are copied whole.
_WRAPPERS = {
    "AcceleratedOptimizer": "optimizer",
    "LightningOptimizer": "_optimizer",
    "_FabricOptimizer": "_optimizer",
}
# A Lookahead first goes back after 5 or 10 steps: a copy must get that far.
_LOOKAHEAD_STEPS, _SOME_LR = 11, 1e-3
# Bystanders are drawn to a point that changes its sign every so many steps: a gradient
# that always stays the same would let D-Adaptation's lr grow without end.
POINT, _STAYS = 3.0, 8
_WIDE = 512  # a matrix of more is cut: a copy is for seeing, not for training
# No number can be read from these, or float64 does not exist there.
_DEVICES_WITHOUT_NUMBERS = ("meta", "mps")
# Options that must be numbers, in any optimizer.
_NUMBERS = ("lr", KNOB)
_BUILDERS: tuple[Callable[[Optimizer, Twins], Optimizer], ...] = (copied, rebuilt)


def unwrapped(optimizer: object) -> Optimizer:
    """Return the torch optimizer inside of an Accelerate or Lightning wrapper."""
    inner = _WRAPPERS.get(type(optimizer).__name__)
    if inner is not None and hasattr(optimizer, inner):
        return unwrapped(getattr(optimizer, inner))
    if not isinstance(optimizer, Optimizer):
        raise refused("no-optimizer", given=with_article(type(optimizer).__name__))
    return optimizer


def checked(optimizer: object) -> Optimizer:
    """Return the torch optimizer itself; each lr and decay of it is a number."""
    bare = unwrapped(optimizer)
    for at, group in enumerate(bare.param_groups):
        for name in _NUMBERS:
            value = group.get(name)
            # An lr of None may mean that the optimizer finds it.
            is_meta = isinstance(value, Tensor) and value.is_meta
            if value is not None and not is_meta:
                check_not_negative(f"{name} of group {at}", value)
    return bare


# Entries of a weight after 0, 1, … steps.
Walk = list[list[float]]
# Sets options before a step: its number, that of the group, and the group.
Before = Callable[[int, int, dict[str, Any]], None]


def _above_0(_step: int, _at: int, group: dict[str, Any]) -> None:
    """Set an lr of 0, as in a warm-up, to another: line searches divide by it."""
    lr = group.get("lr")
    if isinstance(lr, Tensor) and not lr.any():
        lr.fill_(_SOME_LR)
    elif lr == 0:
        group["lr"] = _SOME_LR


@dataclass(frozen=True, kw_only=True)
class Mould:
    """How an optimizer can be copied and stepped; casts any number of toys.

    The user's optimizer is read, never touched. The dtype of the toys is None for that
    of the parameters. ``sparse``: it takes sparse gradients only. ``wide``: matrices
    are as wide as the original, up to 512, for an optimizer may do to those what it
    does not to small ones.
    """

    optimizer: Optimizer
    dtype: torch.dtype | None = None
    build: Callable[[Optimizer, Twins], Optimizer] = copied
    closure: bool = False
    sparse: bool = False
    wide: bool = False

    @classmethod
    def of(cls, optimizer: object, *, dtype: torch.dtype | None = None) -> Self:
        """Find a way to copy and step the optimizer, by trying."""
        bare = unwrapped(optimizer)
        errors: list[str] = []
        for build, closure, sparse in product(_BUILDERS, (False, True), (False, True)):
            mould = cls(
                optimizer=bare,
                dtype=dtype,
                build=build,
                closure=closure,
                sparse=sparse,
            )
            try:  # steps with a gradient
                Toy(mould).go(_LOOKAHEAD_STEPS, before=_above_0, gradients=(0.5,))
            except Exception as error:  # noqa: BLE001  (other people's code: anything)
                errors.append(f"{type(error).__name__}: {error}")
            else:
                return mould
        # An lr or a decay of None is the usual reason: it has its own error.
        for (at, group), name in product(enumerate(bare.param_groups), _NUMBERS):
            if name in group and group[name] is None:
                check_not_negative(f"{name} of group {at}", None)
        kept = tensors_kept(bare)
        raise refused(
            "no-copy",
            "tensors" if kept else "options",
            optimizer=type(bare).__name__,
            copied=errors[0],
            rebuilt=errors[4],
            kept=f" It keeps tensors in {', '.join(kept)}." if kept else "",
        )


class Toy:
    """A copy of an optimizer, as configured, on separate weights, with fresh state.

    Its groups are those of the original, in their order. Each has one more weight, a
    bystander that always has a gradient, so that each step is one of a training; it is
    not among ``weights``.

    Args:
        mould: How the copy is made and stepped.
        start: Values of each weight; two to the power of something are rounded alike,
            so take others to measure rounding.
        groups: Which parameter groups it has; None for all.
        point: How far away the bystanders are drawn.

    """

    def __init__(
        self,
        mould: Mould,
        *,
        start: Sequence[float] = START,
        groups: Sequence[int] | None = None,
        point: float = POINT,
    ) -> None:
        with undisturbed():
            twins = _twins_of(mould, start)
            self.optimizer = mould.build(mould.optimizer, twins)
            # Those that know evaluation and training, as schedule-free does.
            if callable(train := getattr(self.optimizer, "train", None)):
                train()
            if groups is not None:
                every = self.optimizer.param_groups
                every[:] = [every[at] for at in groups]
        beside = {id(each) for each in twins.bystanders.values()}
        self.weights: list[list[Tensor]] = []
        self._bystanders: list[list[Tensor]] = []
        for group in self.optimizer.param_groups:
            mine: list[Tensor] = []
            others: list[Tensor] = []
            for each in group["params"]:
                (others if id(each) in beside else mine).append(each)
            self.weights.append(mine)
            self._bystanders.append(others)
        self._mould, self._point, self._steps = mould, point, 0

    @classmethod
    def of(cls, optimizer: object) -> Self:
        """Copy an optimizer in the format of its parameters."""
        return cls(Mould.of(optimizer))

    def step(self, *, gradient: float | None = 0.0) -> None:
        """Make a step with this value of every gradient; None leaves none."""
        self.go(1, gradients=(gradient,))

    def go(
        self,
        steps: int,
        *,
        before: Before = lambda _step, _at, _group: None,
        gradients: Sequence[float | None] = (0.0,),
        penalties: Sequence[float] | None = None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Make some steps; hooks of the copy are called.

        Args:
            steps: How many.
            before: Called before each step with its number, the number of the group
                and the group, whose options it may set.
            gradients: Value of every entry, step by step, over and over.
            penalties: For each group, how much of a weight its gradient gets on top.
            after: Called after each step.

        """
        added = [0.0] * len(self.weights) if penalties is None else penalties
        with undisturbed():
            for step in range(steps):
                for at, options in enumerate(self.optimizer.param_groups):
                    before(step, at, options)
                self._move(gradients[step % len(gradients)], added)
                after()

    def _move(self, gradient: float | None, penalties: Sequence[float]) -> None:
        sign = -1 if self._steps // _STAYS % 2 else 1

        def pulled() -> Tensor:
            groups = zip(self.weights, self._bystanders, penalties, strict=True)
            for group, beside, penalty in groups:
                for weight in group:
                    weight.grad = None
                    if gradient is not None:
                        same = torch.full_like(weight.detach(), gradient)
                        weight.grad = self._gradient(weight, same, penalty)
                for weight in beside:  # 1 or -1 in each entry
                    drawn = torch.sgn(weight.detach() - sign * self._point)
                    weight.grad = self._gradient(weight, drawn, penalty)
            return torch.zeros(())

        pulled()
        self._steps += 1
        step: Any = self.optimizer.step  # Any: steps differ in what they return
        step(pulled) if self._mould.closure else step()

    def _gradient(self, weight: Tensor, gradient: Tensor, penalty: float) -> Tensor:
        if penalty:
            gradient += penalty * weight.detach()
        return gradient.to_sparse(1) if self._mould.sparse and weight.ndim else gradient


@dataclass(frozen=True)
class _Kind:
    """What parameters must have in common to be shown by one toy weight."""

    ndim: int
    dtype: torch.dtype
    device: torch.device
    is_leaf: bool
    decays: bool
    sizes: tuple[int, ...]

    def weight(self, start: Sequence[float]) -> nn.Parameter:
        """Make the toy weight: of shape (n), (n/2, 2), (n/2, 2, 1) or larger ones."""
        shape = self.sizes or _shape(len(start), self.ndim)
        again = -(-prod(shape) // len(start))
        values = torch.tensor(start, dtype=self.dtype).repeat(again)
        values = values[: prod(shape)].reshape(shape)
        if self.dtype.is_complex:  # optimizers see two numbers, and none may be 0
            values = values + 1j * values
        return nn.Parameter(values.to(self.device), requires_grad=self.is_leaf)


def _shape(values: int, ndim: int) -> tuple[int, ...]:
    if ndim <= 1:
        return (values,) * ndim
    return (values // 2, 2, *(1,) * (ndim - 2))


def _twins_of(mould: Mould, start: Sequence[float]) -> Twins:
    """One toy weight for each kind of parameter in each group, and a bystander."""
    twins: dict[int, Tensor] = {}
    bystanders: dict[int, Tensor] = {}
    for group in mould.optimizer.param_groups:
        kinds = [
            _kind_of(parameter, mould.dtype, wide=mould.wide)
            for parameter in group["params"]
        ]
        if not kinds:
            continue
        # A matrix where there is one: some optimizers take nothing else.
        beside = max(kinds, key=lambda kind: (kind.decays, kind.ndim)).weight(START)
        made = {
            kind: kind.weight(start) for kind in dict.fromkeys(kinds) if kind.decays
        }
        for parameter, kind in zip(group["params"], kinds, strict=True):
            twin = twins.setdefault(id(parameter), made.get(kind, beside))
            bystanders[id(twin)] = beside
    return Twins(of=twins, bystanders=bystanders)


def has_decay(parameter: Tensor) -> bool:
    """Return whether a parameter can decay: frozen integers do not."""
    return parameter.is_floating_point() or parameter.is_complex()


def _kind_of(parameter: Tensor, dtype: torch.dtype | None, *, wide: bool) -> _Kind:
    """Return the kind; that of a DTensor is of what it is as a whole."""
    device = parameter.device
    if device.type in _DEVICES_WITHOUT_NUMBERS:
        device = torch.device("cpu")
    own = parameter.dtype
    decays = has_decay(parameter)
    if dtype is not None or not decays:
        own = dtype or torch.get_default_dtype()
        own = own.to_complex() if parameter.is_complex() else own
    sizes = _sizes(parameter.shape) if wide and parameter.ndim > 1 else ()
    return _Kind(parameter.ndim, own, device, parameter.is_leaf, decays, sizes)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape as it is, but for more than a matrix of moderate size."""
    two = sorted(shape)[-2]
    return tuple(min(size, _WIDE if size >= two else 1) for size in shape)
