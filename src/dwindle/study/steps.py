"""How a pack takes its steps: as a stack of PyTorch operations, or compiled."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dwindle.store.records import Optimizer
from dwindle.study.batches import Epochs, Samples
from dwindle.study.compiled import CompiledSteps
from dwindle.study.compiler import compiled_steps
from dwindle.study.optimizers import Pack, stacked_optimizer
from dwindle.study.stack import Stack

Groups = Sequence[tuple[slice, Samples]]


class Steps(Protocol):
    """Takes the steps of all models of a pack, an epoch at a time."""

    def epoch(
        self, orders: Sequence[NDArray[np.int64]], first: int, lrs: Sequence[float]
    ) -> Tensor:
        """Take a step per lr, after ``first`` others; return Σ log p, (steps, models).

        Args:
            orders: The order of each group's samples.
            first: Steps taken before.
            lrs: The lr of each step, before ratios.

        """

    def finish(self) -> None:
        """Leave the trained weights in the pack."""


class StackedSteps:
    """All models at once, in PyTorch's operations, on any device."""

    def __init__(
        self, pack: Pack, options: Optimizer, groups: Groups, batch_size: int
    ) -> None:
        slices = [models for models, _ in groups]
        self._stack = Stack(pack.layout, slices, pack.weights)
        self._optimizer = stacked_optimizer(pack, options)
        self._epochs = Epochs([samples for _, samples in groups], batch_size)
        batches = len(self._epochs.batches)
        self._sums = pack.layout.full((batches, pack.layout.models))
        self._rows = [[row[models] for models in slices] for row in self._sums]

    def epoch(
        self, orders: Sequence[NDArray[np.int64]], first: int, lrs: Sequence[float]
    ) -> Tensor:
        """Take a step per lr with every model before the next step."""
        self._epochs.shuffle(orders)
        for i, lr in enumerate(lrs):
            self._optimizer.start(first + i, lr)
            self._stack.train(self._epochs.batches[i], self._optimizer, self._rows[i])
        return self._sums[: len(lrs)]

    def finish(self) -> None:
        """Do nothing: the weights were moved in place."""


def steps_for(pack: Pack, options: Optimizer, groups: Groups, batch_size: int) -> Steps:
    """Return the fastest way to train that this machine has."""
    layout = pack.layout
    if torch.device(layout.device).type == "cpu":
        library = compiled_steps(str(layout.dtype).removeprefix("torch."))
        if library is not None:
            return CompiledSteps(library, pack, options, groups, batch_size)
    return StackedSteps(pack, options, groups, batch_size)
