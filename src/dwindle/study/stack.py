"""A stack of dense ReLU networks: one forward and backward pass for all of them.

Activations are features first, (models, features + 1, batch), so that every product is
over one piece of memory and the last feature, always 1, carries the biases. The
backward pass is written out: no autograd, no allocation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dwindle.study.layout import Layout
from dwindle.study.optimizers import StackedOptimizer

_relu_gradient = torch.ops.aten.threshold_backward.grad_input


@dataclass(frozen=True, eq=False)
class Batch:
    """A minibatch per group of models that share their samples.

    ``inputs`` are (features + 1, batch), ``targets`` one-hot (classes, batch).
    """

    inputs: Sequence[Tensor]
    targets: Sequence[Tensor]
    size: int


class _Workspace:
    """Buffers of one batch size: activations, and gradients by pre-activations."""

    def __init__(self, layout: Layout, groups: Sequence[slice], size: int) -> None:
        models, outs = layout.models, [out for _, out in layout.shapes]
        self.gradients = [layout.full((models, out, size)) for out in outs]
        self.logits = layout.full((models, outs[-1], size))
        self.hidden = [layout.full((models, out + 1, size), 1.0) for out in outs[:-1]]
        self.active = [hidden[:, :-1] for hidden in self.hidden]
        self.outputs = [*self.gradients[:-1], self.logits]
        self.group_outputs = [self.outputs[0][g].flatten(0, 1) for g in groups]
        self.group_gradients = [self.gradients[0][g].flatten(0, 1).t() for g in groups]
        self.group_scores = [self.gradients[-1][g] for g in groups]
        self.group_flat = [scores.flatten(1) for scores in self.group_scores]


class Stack:
    """The weights of a pack and what one step does with them. It owns its buffers."""

    def __init__(
        self, layout: Layout, groups: Sequence[slice], weights: Sequence[Tensor]
    ) -> None:
        self.layout = layout
        self._groups = tuple(groups)
        self._weights = [layout.matrices(w, i) for i, w in enumerate(weights)]
        self._back = [w[:, :, :-1].transpose(1, 2) for w in self._weights]
        self._first = [self._columns(weights[0], g).t() for g in groups]
        self._spaces: dict[int, _Workspace] = {}

    @staticmethod
    def _columns(stored: Tensor, group: slice) -> Tensor:
        """View the first layer of a group as (inputs + 1, models · fan_out)."""
        fan_out = stored.shape[2]
        return stored.flatten(1)[:, group.start * fan_out : group.stop * fan_out]

    def _space(self, size: int) -> _Workspace:
        if size not in self._spaces:
            self._spaces[size] = _Workspace(self.layout, self._groups, size)
        return self._spaces[size]

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits, (models, classes, batch), valid until the next call."""
        space = self._space(batch.size)
        for weights, x, out in zip(
            self._first, batch.inputs, space.group_outputs, strict=True
        ):
            torch.mm(weights, x, out=out)
        for i, active in enumerate(space.active):
            torch.clamp_min(space.outputs[i], 0, out=active)
            torch.bmm(self._weights[i + 1], space.hidden[i], out=space.outputs[i + 1])
        return space.logits

    def score(self, batch: Batch, sums: Sequence[Tensor]) -> Tensor:
        """Forward a batch; put Σ log p(right class) of each model into ``sums``.

        Args:
            batch: The samples of each group.
            sums: One (models of the group,) tensor per group, overwritten.

        Returns:
            Log-probabilities (models, classes, batch), valid until the next call.

        """
        logits = self.forward(batch)
        space = self._space(batch.size)
        log_p = torch.log_softmax(logits, 1, out=space.gradients[-1])
        for flat, y, out in zip(space.group_flat, batch.targets, sums, strict=True):
            torch.mv(flat, y.flatten(), out=out)
        return log_p

    def train(
        self, batch: Batch, optimizer: StackedOptimizer, sums: Sequence[Tensor]
    ) -> None:
        """Take one step with the mean loss of the batch.

        The gradient of cross-entropy by a logit is p - 1 for the right class, p for
        the others. A layer passes its gradient down with the old weights, then moves.
        """
        log_p = self.score(batch, sums)
        space = self._space(batch.size)
        log_p.exp_()
        for scores, y in zip(space.group_scores, batch.targets, strict=True):
            scores.sub_(y)
        if optimizer.gradient_scale is not None:
            log_p.mul_(optimizer.gradient_scale)
        alpha = optimizer.alpha / batch.size
        for i in range(self.layout.depth - 1, 0, -1):
            below = space.gradients[i - 1]
            torch.bmm(self._back[i], space.gradients[i], out=below)
            _relu_gradient(below, space.active[i - 1], 0, grad_input=below)
            self._accumulate(space, i, optimizer, alpha)
            optimizer.update(i)
        self._accumulate_first(space, batch, optimizer, alpha)
        optimizer.update(0)

    def _accumulate(
        self, space: _Workspace, layer: int, optimizer: StackedOptimizer, alpha: float
    ) -> None:
        gradient, x = space.gradients[layer], space.hidden[layer - 1]
        if self.layout.is_last(layer):
            left, right = gradient, x.transpose(1, 2)
        else:
            left, right = x, gradient.transpose(1, 2)
        optimizer.buffer(layer).baddbmm_(left, right, beta=optimizer.beta, alpha=alpha)

    def _accumulate_first(
        self, space: _Workspace, batch: Batch, optimizer: StackedOptimizer, alpha: float
    ) -> None:
        buffer, beta = optimizer.buffer(0), optimizer.beta
        for group, x, gradient in zip(
            self._groups, batch.inputs, space.group_gradients, strict=True
        ):
            self._columns(buffer, group).addmm_(x, gradient, beta=beta, alpha=alpha)
