"""Warns once where gradients come and go and the held optimizer makes no step."""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any
from weakref import ReferenceType, ref

from torch import Tensor
from torch.optim import Optimizer

_LOG = logging.getLogger("dwindle")
# GradScaler skips some ten steps at first; gradients may be accumulated for longer.
_MOST_ROUNDS = 20
_MOST_GRADIENTS = 1000
_WATCHED = 8


class IdleWatch:
    """Counts how often new gradients came, on some weights, until the first step.

    Args:
        optimizer: That is held; hooks are put on some of its weights.

    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._name = type(optimizer).__name__
        self._last: dict[int, ReferenceType[Tensor]] = {}
        self._rounds: dict[int, int] = {}
        self._gradients: dict[int, int] = {}
        me = ref(self)  # Python does not look into a weight for what keeps it alive

        def count(weight: Tensor) -> None:
            if (watch := me()) is not None:
                watch.count(weight)

        watched: list[Any] = list(islice(_trained(optimizer), _WATCHED))
        # Any here and above: torch annotates neither the method nor its handle
        self._handles: list[Any] = [
            weight.register_post_accumulate_grad_hook(count) for weight in watched
        ]

    @property
    def rounds(self) -> int:
        """How often gradients came anew; what is accumulated counts once."""
        return max(self._rounds.values(), default=0)

    def stop(self) -> None:
        """Take the hooks off the weights."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def count(self, weight: Tensor) -> None:
        """Take in that a weight has got a gradient."""
        at, gradient = id(weight), weight.grad
        if gradient is None:
            return
        last = self._last.get(at)
        # A gradient that is added to stays the same object.
        if last is None or last() is not gradient:
            self._last[at] = ref(gradient)
            self._rounds[at] = self._rounds.get(at, 0) + 1
        self._gradients[at] = self._gradients.get(at, 0) + 1
        many = self._gradients[at] >= _MOST_GRADIENTS
        if self._rounds[at] >= _MOST_ROUNDS or many:
            self.stop()
            _LOG.warning(
                "gradients came %d times to the weights of %s, and this %s has made "
                "no step: nothing decays. Build the DecayController on the optimizer "
                "whose step() the loop calls; of a wrapper, on the one inside of it.",
                self._gradients[at],
                self._name,
                self._name,
            )


def _trained(optimizer: Optimizer) -> Iterator[Tensor]:
    """Yield the first weight of each group that can get a gradient."""
    for group in optimizer.param_groups:
        weights: list[Tensor] = group["params"]
        found = (each for each in weights if each.is_leaf and each.requires_grad)
        yield from ([] if (first := next(found, None)) is None else [first])
