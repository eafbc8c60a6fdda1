"""Minibatches of the groups of a pack: an epoch is gathered once, then only sliced."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dwindle.study.layout import Layout
from dwindle.study.stack import Batch


class Samples:
    """Inputs with a last feature of 1, and one-hot targets, on the pack's device."""

    def __init__(
        self, layout: Layout, x: NDArray[np.float32], y: NDArray[np.int64]
    ) -> None:
        count, classes = len(y), layout.shapes[-1][1]
        self.inputs = layout.full((count, x.shape[1] + 1), 1.0)  # (count, inputs + 1)
        self.inputs[:, :-1] = torch.from_numpy(x)
        self.targets = layout.full((count, classes))  # (count, classes)
        self.labels = torch.from_numpy(y).to(layout.device)  # (count,)
        self.targets[torch.arange(count, device=layout.device), self.labels] = 1.0

    def __len__(self) -> int:
        return len(self.inputs)


class _Epoch:
    """The samples of one group in the order of one epoch. It owns its buffers."""

    def __init__(self, samples: Samples, batch_size: int) -> None:
        count, classes = samples.targets.shape
        full, rest = divmod(count, batch_size)
        self._samples = samples
        self._inputs = torch.empty_like(samples.inputs)
        self._split = full * batch_size
        self._full = samples.targets.new_empty((full, classes, batch_size))
        self._rest = samples.targets.new_empty((classes, rest))
        self.inputs = torch.split(self._inputs, batch_size)
        self.targets = [*self._full, *([self._rest] if rest else [])]

    def shuffle(self, order: Tensor) -> None:
        torch.index_select(self._samples.inputs, 0, order, out=self._inputs)
        targets = self._samples.targets[order]
        full = targets[: self._split].view(len(self._full), -1, targets.shape[1])
        self._full.copy_(full.transpose(1, 2))
        self._rest.copy_(targets[self._split :].t())


class Epochs:
    """The minibatches of all groups, epoch after epoch."""

    def __init__(self, groups: Sequence[Samples], batch_size: int) -> None:
        self._epochs = [_Epoch(samples, batch_size) for samples in groups]
        inputs = zip(*(epoch.inputs for epoch in self._epochs), strict=True)
        targets = zip(*(epoch.targets for epoch in self._epochs), strict=True)
        self.batches = [
            Batch(x, y, len(x[0])) for x, y in zip(inputs, targets, strict=True)
        ]

    def shuffle(self, orders: Sequence[NDArray[np.int64]]) -> None:
        """Put the samples of each group in its order; ``batches`` then hold them."""
        for epoch, order in zip(self._epochs, orders, strict=True):
            index = torch.from_numpy(order)
            epoch.shuffle(index.to(epoch.inputs[0].device))
