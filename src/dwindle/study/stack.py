"""A stack of dense ReLU networks: one forward and backward pass for all of them.

Activations are (models, batch, features + 1); the last feature, always 1, carries the
biases. The logits alone are (models, classes, batch): ten classes make short rows. The
backward pass is written out: no autograd, and nothing is allocated from the second
step on.
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

    ``inputs`` are (batch, features + 1), ``targets`` one-hot (classes, batch).
    """

    inputs: Sequence[Tensor]
    targets: Sequence[Tensor]
    size: int


class _Workspace:
    """Buffers of one batch size. A pre-activation and its gradient share theirs.

    The first layer's outputs are (batch, models · fan_out), as one product over all
    models gives them; ``outputs[0]`` sees them model by model like the other layers'.
    """

    def __init__(self, layout: Layout, groups: Sequence[slice], size: int) -> None:
        models, outs = layout.models, [out for _, out in layout.shapes]
        first = layout.full((size, models, outs[0]))
        self.outputs = [first.transpose(0, 1)]
        self.outputs += [layout.full((models, size, out)) for out in outs[1:-1]]
        self.hidden = [layout.full((models, size, out + 1), 1.0) for out in outs[:-1]]
        self.active = [hidden[:, :, :-1] for hidden in self.hidden]
        self.below = [layout.full((models, size, outs[0])), *self.outputs[1:]]
        self.logits = layout.full((models, outs[-1], size))
        self.log_p = layout.full((models, outs[-1], size))
        self.group_columns = [first[:, g].flatten(1) for g in groups]
        self.group_log_p = [self.log_p[g] for g in groups]
        self.group_flat = [log_p.flatten(1) for log_p in self.group_log_p]


class Stack:
    """The weights of a pack and what one step does with them. It owns its buffers."""

    def __init__(
        self, layout: Layout, groups: Sequence[slice], weights: Sequence[Tensor]
    ) -> None:
        self.layout = layout
        self._groups = tuple(groups)
        self._first = [self._columns(weights[0], group) for group in groups]
        self._weights = list(weights)
        matrices = [layout.matrices(w, i) for i, w in enumerate(weights)]
        self._back = [matrix[:, :, :-1] for matrix in matrices]
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
        space, last = self._space(batch.size), self.layout.depth - 1
        for weights, x, columns in zip(
            self._first, batch.inputs, space.group_columns, strict=True
        ):
            torch.mm(x, weights, out=columns)
        if last == 0:
            return space.logits.copy_(space.outputs[0].transpose(1, 2))
        for i in range(last - 1):
            torch.clamp_min(space.outputs[i], 0, out=space.active[i])
            torch.bmm(space.hidden[i], self._weights[i + 1], out=space.outputs[i + 1])
        torch.clamp_min(space.outputs[last - 1], 0, out=space.active[last - 1])
        hidden = space.hidden[last - 1].transpose(1, 2)
        return torch.bmm(self._weights[last], hidden, out=space.logits)

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
        torch.log_softmax(logits, 1, out=space.log_p)
        for flat, y, out in zip(space.group_flat, batch.targets, sums, strict=True):
            torch.mv(flat, y.flatten(), out=out)
        return space.log_p

    def train(
        self, batch: Batch, optimizer: StackedOptimizer, sums: Sequence[Tensor]
    ) -> None:
        """Take one step with the mean loss of the batch.

        The gradient of cross-entropy by a logit is p - 1 for the right class, p for
        the others. A layer passes its gradient down with the old weights, then moves.
        """
        log_p = self.score(batch, sums)
        space, last = self._space(batch.size), self.layout.depth - 1
        log_p.exp_()
        for scores, y in zip(space.group_log_p, batch.targets, strict=True):
            scores.sub_(y)
        if optimizer.gradient_scale is not None:
            log_p.mul_(optimizer.gradient_scale)
        alpha = optimizer.alpha / batch.size
        gradient = log_p.transpose(1, 2)  # (models, batch, classes)
        for i in range(last, 0, -1):
            below, active = space.below[i - 1], space.active[i - 1]
            torch.bmm(gradient, self._back[i], out=below)
            _relu_gradient(below, active, 0, grad_input=space.outputs[i - 1])
            left, right = gradient.transpose(1, 2), space.hidden[i - 1]
            if i < last:
                left, right = right.transpose(1, 2), gradient
            optimizer.buffer(i).baddbmm_(left, right, beta=optimizer.beta, alpha=alpha)
            optimizer.update(i)
            gradient = space.outputs[i - 1]
        if last == 0:
            space.outputs[0].copy_(gradient)
        self._accumulate_first(space, batch, optimizer, alpha)
        optimizer.update(0)

    def _accumulate_first(
        self, space: _Workspace, batch: Batch, optimizer: StackedOptimizer, alpha: float
    ) -> None:
        buffer, beta = optimizer.buffer(0), optimizer.beta
        for group, x, gradient in zip(
            self._groups, batch.inputs, space.group_columns, strict=True
        ):
            columns = self._columns(buffer, group)
            columns.addmm_(x.t(), gradient, beta=beta, alpha=alpha)
