"""The models of a pack in memory: weights in a stack, samples, a decay for each.

A layer of all models is one tensor. Biases are the last input of their layer, whose
activation is always 1: then no separate pass adds them or sums their gradients. Three
arrangements, each the one whose matrix products and updates run fastest there:

- first layer: (inputs + 1, models, fan_out), so that one product serves all models
  that see the same minibatch;
- hidden layers: (models, fan_in + 1, fan_out), so that the decayed weights of a model
  are one piece of memory;
- last layer: (models, classes, fan_in + 1), as few classes make narrow rows slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# As torch.nn.LayerNorm has it.
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Layout:
    """Shapes of the layers, the number of models, and the kind of their numbers.

    With ``layer_norm`` each hidden layer's outputs have mean 0 and variance 1 in every
    sample before their ReLU: a LayerNorm without a gain or bias to learn, so that the
    scale of a hidden layer's weights changes nothing.
    """

    shapes: tuple[tuple[int, int], ...]
    models: int
    dtype: torch.dtype = torch.float32
    layer_norm: bool = False

    @property
    def depth(self) -> int:
        """Weight matrices of a model."""
        return len(self.shapes)

    def full(self, shape: Sequence[int], value: float = 0.0) -> Tensor:
        """Return a tensor of this pack's kind, filled with one number."""
        return torch.full(tuple(shape), value, dtype=self.dtype)

    def zeros(self) -> list[Tensor]:
        """Return one stored tensor per layer: weights, gradients, or a momentum."""
        stored = []
        for layer, (fan_in, fan_out) in enumerate(self.shapes):
            shape = [self.models, fan_in + 1, fan_out]
            if layer == 0:  # see above for the reasons of each
                shape = [fan_in + 1, self.models, fan_out]
            elif self.is_last(layer):
                shape = [self.models, fan_out, fan_in + 1]
            stored.append(self.full(shape))
        return stored

    def is_last(self, layer: int) -> bool:
        """Whether the layer gives the logits and is not the first as well."""
        return 0 < layer == self.depth - 1

    def matrices(self, stored: Tensor, layer: int) -> Tensor:
        """View a stored tensor as (models, fan_out, fan_in + 1), bias last."""
        if layer == 0:
            return stored.permute(1, 2, 0)
        return stored if self.is_last(layer) else stored.transpose(1, 2)

    def weights_of(self, stored: Sequence[Tensor], model: int) -> list[Tensor]:
        """Copy the weights of one model, one (fan_out, fan_in + 1) per layer."""
        return [
            self.matrices(layer, i)[model].clone(memory_format=torch.contiguous_format)
            for i, layer in enumerate(stored)
        ]

    def decayed(self, stored: Tensor, layer: int) -> Tensor:
        """View the part that decay acts on: (models, fan_out, fan_in), no biases."""
        return self.matrices(stored, layer)[:, :, :-1]

    def per_model(self, values: Tensor, layer: int) -> Tensor:
        """Spread one number per model so that it broadcasts over :meth:`decayed`."""
        values = values.to(self.dtype)
        fan_out = self.shapes[layer][1]
        # In the first layer models lie side by side in a row: a row of factors keeps
        # the inner loop long.
        rows = fan_out if layer == 0 else 1
        return values[:, None, None].expand(self.models, rows, 1).contiguous()


@dataclass(frozen=True, eq=False)
class Models:
    """The models of a pack, as what trains them needs them.

    ``decays`` holds λ after normalization as (layers, models); ``lr_ratios`` each
    model's lr as a share of the lr that steps are announced with.
    """

    layout: Layout
    weights: Sequence[Tensor]
    decays: Tensor
    lr_ratios: Tensor

    @property
    def mixed_lr(self) -> bool:
        """Whether models differ in their learning rates."""
        return bool((self.lr_ratios != 1).any())

    def lr_scale(self) -> Tensor | None:  # (models, 1, 1)
        """Return each model's lr ratio as a factor on its loss, None if all are 1."""
        if not self.mixed_lr:
            return None
        return self.lr_ratios.to(self.layout.dtype)[:, None, None]


class Batches:
    """Rows of samples, in batches that lie transposed: (columns, samples of a batch).

    ``stored`` is (batches, columns, ``stride``), 0 beyond a batch.
    """

    def __init__(
        self, rows: Tensor, batch_size: int, stride: int | None = None
    ) -> None:
        count, columns = rows.shape
        full, rest = divmod(count, batch_size)
        shape = full + bool(rest), columns, stride or batch_size
        self.stored = rows.new_zeros(shape)
        self._rows, self._split = rows, full * batch_size
        self._full = self.stored[:full, :, :batch_size]
        self._rest = self.stored[full:, :, :rest]

    def shuffle(self, order: Tensor) -> None:
        """Put all rows into their places, in the order of an epoch."""
        rows = self._rows[order]
        full = rows[: self._split].view(len(self._full), -1, rows.shape[1])
        self._full.copy_(full.transpose(1, 2))
        self._rest.copy_(rows[self._split :].t())


class Samples:
    """Inputs with a last feature of 1, and one-hot targets."""

    def __init__(
        self, layout: Layout, x: NDArray[np.float32], y: NDArray[np.int64]
    ) -> None:
        count, classes = len(y), layout.shapes[-1][1]
        self.inputs = layout.full((count, x.shape[1] + 1), 1.0)  # (count, inputs + 1)
        self.inputs[:, :-1] = torch.from_numpy(x)
        self.targets = layout.full((count, classes))  # (count, classes)
        self.labels = torch.from_numpy(y)  # (count,)
        self.targets[torch.arange(count), self.labels] = 1.0

    def __len__(self) -> int:
        return len(self.inputs)
