"""Penalties that are in use, and optimizers that decay the same weights again."""

import warnings
from collections.abc import Collection, Iterable
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dwindle.errors import DoubleDecayWarning, RefusedError
from dwindle.pytorch.copying.toy import unwrapped
from dwindle.pytorch.holding.hold import is_held
from dwindle.pytorch.options import MARKER, weight_decay_of

_SHOWN = 3  # names of weights: a warning is one line


class Penalizing(Protocol):
    """What adds the squares of some weights to a loss."""

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights that it holds down, by name."""

    @property
    def is_on(self) -> bool:
        """Whether it was added to a loss, with a strength above 0."""


# Weak: a penalty that its program has dropped must not live on in here.
ACTIVE_PENALTIES: WeakSet[Penalizing] = WeakSet()
# Which penalties still wait for the optimizer of their weights, and whom they met.
_WAITING: WeakKeyDictionary[Penalizing, WeakSet[Optimizer]] = WeakKeyDictionary()
# The one hook on all optimizers, once it is there.
_WATCHING: list[object] = []


def penalties_of(parameters: Iterable[nn.Parameter]) -> tuple[Penalizing, ...]:
    """Return the penalties, of all that are alive, on some of the parameters."""
    ids = {id(parameter) for parameter in parameters}
    return tuple(penalty for penalty in ACTIVE_PENALTIES if _are_among(ids, penalty))


def _are_among(ids: Collection[int], penalty: Penalizing) -> bool | None:
    """Whether any weight of a penalty is among some; None where not known yet."""
    # A lazy layer that came into its model has no shape before it first runs. That is
    # for the caller of the penalty to know, not for those who train another model.
    try:
        weights = penalty.parameters.values()
    except RefusedError:
        return None
    return any(id(each) in ids for each in weights)


def watch(penalty: Penalizing) -> None:
    """Warn at the first step of an optimizer that decays weights of the penalty.

    One hook on all optimizers serves all penalties. It is quick where none waits.
    """
    _WAITING[penalty] = WeakSet()
    if not _WATCHING:
        _WATCHING.append(register_optimizer_step_pre_hook(_at_a_step))


def warn_if_decayed(
    penalty: Penalizing, optimizer: Optimizer, *, stacklevel: int = 2
) -> tuple[str, ...]:
    """Warn where an optimizer decays weights of a penalty too; return their names."""
    twice = names_of_decayed(penalty, optimizer)
    if twice:
        shown = ", ".join(twice[:_SHOWN]) + (" …" if len(twice) > _SHOWN else "")
        message = (
            f"Each weight must decay by one way. Got {len(twice)} that {penalty!r} "
            f"penalizes and {type(optimizer).__name__} decays as well: {shown}. Give "
            "the optimizer weight_decay=0, or leave the penalty out of the loss."
        )
        warnings.warn(message, DoubleDecayWarning, stacklevel=stacklevel + 1)
    return twice


def names_of_decayed(penalty: Penalizing, optimizer: Optimizer) -> tuple[str, ...]:
    """Return the names of the weights of a penalty that an optimizer decays too."""
    held = is_held(unwrapped(optimizer))
    decayed = {
        id(parameter)
        for group in optimizer.param_groups
        if weight_decay_of(group) > 0 or (held and group.get(MARKER, 0) > 0)
        for parameter in group["params"]
    }
    return tuple(
        name for name, each in penalty.parameters.items() if id(each) in decayed
    )


def _at_a_step(
    optimizer: Optimizer, _args: Any, _kwargs: Any
) -> None:  # Any: of the step
    if not _WAITING or torch.compiler.is_compiling():
        return
    for penalty, met in tuple(_WAITING.items()):
        if optimizer in met or not penalty.is_on:
            continue
        groups = optimizer.param_groups
        ids = {id(each) for group in groups for each in group["params"]}
        shares = _are_among(ids, penalty)
        if shares is None:
            continue  # at a later step it may be known
        met.add(optimizer)
        if shares:
            del _WAITING[penalty]
            warn_if_decayed(penalty, optimizer, stacklevel=3)
