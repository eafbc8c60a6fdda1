"""The steps of a pack as PyTorch operations on all of its models at once.

Activations are (models, batch, features + 1); the last feature, always 1, carries the
biases. The logits alone are (models, classes, batch): ten classes make short rows. The
backward pass is written out: no autograd, and nothing is allocated from the second
step on, but by a LayerNorm and for a short last batch.

The stack adds gradients straight into the optimizer's ``buffer[layer]`` as ``beta ·
buffer + alpha · gradient``, which for SGD is its momentum: no gradient is ever stored
there. As soon as a layer's gradient is complete, ``update(layer)`` decays and moves its
weights. Learning rates and decays are per model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dwindle.store.records import Optimizer
from dwindle.study.models import (
    LAYER_NORM_EPSILON,
    Batches,
    Layout,
    Models,
    Samples,
)

# What autograd calls for a ReLU: no public function writes it into a given tensor.
_relu_gradient = torch.ops.aten.threshold_backward.grad_input


class StackedOptimizer:
    """One optimizer over all models of a pack; owns its moments.

    The gradient of a layer goes into ``buffer[layer]`` as ``beta · buffer + alpha ·
    gradient``. A model's own lr is a factor on its λ and, where the step is linear in
    it, on its loss: ``gradient_scale`` (models, 1, 1). The step of coupled Adam is in
    neither, and takes its share at the end.

    SGD: ``buf = momentum · buf + (1 - dampening) · (g + λw)``, ``w -= lr · buf``, and
    the first step takes the whole gradient. Nesterov: ``w -= lr · (g + λw + momentum ·
    buf)``. The decay of Adam is coupled (into the gradient), that of AdamW off the
    weight.
    """

    def __init__(self, pack: Models, options: Optimizer) -> None:
        layout = pack.layout
        self._pack, self._options = pack, options
        self.buffer = layout.zeros()
        self.beta, self.alpha, self._lr = 0.0, 1.0, 0.0
        self._is_decoupled = options.name == "adamw"
        of_sgd = self._move_nesterov if options.nesterov else self._move_sgd
        is_sgd = options.name == "sgd"
        self._move = of_sgd if is_sgd else self._move_adam
        self.gradient_scale = pack.lr_scale() if is_sgd else None
        self._first = [] if is_sgd and not options.nesterov else layout.zeros()
        self._second = [] if is_sgd else layout.zeros()
        self._step = torch.zeros(())  # the fused pass reads it
        into = pack.weights if self._is_decoupled else self.buffer
        decays = pack.decays * (1.0 if options.name == "adam" else pack.lr_ratios)
        # By layer, each without biases: where decay is added, the weights, and λ.
        self._terms = [
            (
                layout.decayed(into[i], i),
                layout.decayed(pack.weights[i], i),
                layout.per_model(decays[i], i),
            )
            for i in range(layout.depth)
        ]

    def start(self, step: int, lr: float) -> None:
        """Announce the step (counted from 0) and its lr before ratios."""
        self._lr = lr
        if self._move == self._move_adam:
            self._step.fill_(step + 1)
        elif self._move == self._move_sgd and step and self._options.momentum:
            self.beta = self._options.momentum
            self.alpha = 1.0 - self._options.dampening

    def update(self, layer: int) -> None:
        """Decay and move the weights of a layer whose gradient is complete."""
        into, weights, decay = self._terms[layer]
        share = -self._lr if self._is_decoupled else self.alpha
        into.addcmul_(weights, decay, value=share)
        self._move(layer)

    def _move_sgd(self, layer: int) -> None:
        self._pack.weights[layer].add_(self.buffer[layer], alpha=-self._lr)

    def _move_nesterov(self, layer: int) -> None:
        torch._fused_sgd_(  # the one pass that torch.optim itself runs
            [self._pack.weights[layer]],
            [self.buffer[layer]],
            [self._first[layer]],
            weight_decay=0.0,
            momentum=self._options.momentum,
            lr=self._lr,
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )

    def _move_adam(self, layer: int) -> None:
        stored = self._pack.weights[layer]
        before = stored.clone() if self._pack.mixed_lr else None
        torch._fused_adamw_(  # the one pass that torch.optim itself runs
            [stored],
            [self.buffer[layer]],
            [self._first[layer]],
            [self._second[layer]],
            [],
            [self._step],
            lr=self._lr,
            beta1=self._options.betas[0],
            beta2=self._options.betas[1],
            weight_decay=0.0,
            eps=self._options.eps,
            amsgrad=False,
            maximize=False,
        )
        if before is not None:
            # The fused pass takes one lr: take each model's share of its step.
            ratio = self._pack.lr_ratios.to(stored)
            shape = (-1, 1) if layer == 0 else (-1, 1, 1)
            torch.lerp(before, stored, ratio.view(shape), out=stored)


@dataclass(frozen=True, eq=False)
class _Batch:
    """A minibatch per group of models that share their samples.

    ``inputs`` are (batch, features + 1), ``targets`` one-hot (classes, batch).
    """

    inputs: Sequence[Tensor]
    targets: Sequence[Tensor]

    @property
    def size(self) -> int:
        return len(self.inputs[0])


class _StackedEpoch:
    """The samples of one group in the order of one epoch. It owns its buffers."""

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self._samples = samples
        self._targets = Batches(samples.targets, batch_size)
        self._inputs = torch.empty_like(samples.inputs)
        self.inputs = torch.split(self._inputs, batch_size)
        self.targets = [
            one[:, : len(x)]
            for one, x in zip(self._targets.stored, self.inputs, strict=True)
        ]

    def shuffle(self, order: Tensor) -> None:
        torch.index_select(self._samples.inputs, 0, order, out=self._inputs)
        self._targets.shuffle(order)


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
        # Of each hidden layer: its normalized outputs, and the factor of each sample.
        self.normal: dict[int, tuple[Tensor, Tensor]] = {}
        self.logits = layout.full((models, outs[-1], size))
        self.log_p = layout.full((models, outs[-1], size))
        self.group_columns = [first[:, g].flatten(1) for g in groups]
        self.group_log_p = [self.log_p[g] for g in groups]
        self.group_flat = [log_p.flatten(1) for log_p in self.group_log_p]


class StackedSteps:
    """Takes the steps of all models at once. It owns its buffers."""

    def __init__(
        self,
        pack: Models,
        options: Optimizer,
        groups: Sequence[tuple[slice, Samples]],
        batch_size: int,
    ) -> None:
        self._layout, self._weights = pack.layout, pack.weights
        self._slices = [models for models, _ in groups]
        self._first = [self._columns(pack.weights[0], group) for group in self._slices]
        matrices = [pack.layout.matrices(w, i) for i, w in enumerate(pack.weights)]
        self._back = [matrix[:, :, :-1] for matrix in matrices]
        self._optimizer = StackedOptimizer(pack, options)
        self._epochs = [_StackedEpoch(samples, batch_size) for _, samples in groups]
        inputs = zip(*(epoch.inputs for epoch in self._epochs), strict=True)
        targets = zip(*(epoch.targets for epoch in self._epochs), strict=True)
        self._batches = [_Batch(x, y) for x, y in zip(inputs, targets, strict=True)]
        sizes = {batch.size for batch in self._batches}
        spaces = [_Workspace(pack.layout, self._slices, size) for size in sizes]
        self._spaces = dict(zip(sizes, spaces, strict=True))
        self._sums = pack.layout.full((len(self._batches), pack.layout.models))
        self._rows = [[row[models] for models in self._slices] for row in self._sums]

    @staticmethod
    def _columns(stored: Tensor, group: slice) -> Tensor:
        """View the first layer of a group as (inputs + 1, models · fan_out)."""
        fan_out = stored.shape[2]
        return stored.flatten(1)[:, group.start * fan_out : group.stop * fan_out]

    def epoch(
        self, orders: Sequence[NDArray[np.int64]], first: int, lrs: Sequence[float]
    ) -> Tensor:
        """Take a step per lr with every model before the next step."""
        for epoch, order in zip(self._epochs, orders, strict=True):
            epoch.shuffle(torch.from_numpy(order))
        for i, lr in enumerate(lrs):
            self._optimizer.start(first + i, lr)
            self._step(self._batches[i], self._rows[i])
        return self._sums[: len(lrs)]

    def finish(self) -> None:
        """Do nothing: the weights were moved in place."""

    def _score(self, batch: _Batch, space: _Workspace, sums: Sequence[Tensor]) -> None:
        """Forward a batch; put log p into the space, Σ log p(right) into ``sums``."""
        last = self._layout.depth - 1
        for weights, x, columns in zip(
            self._first, batch.inputs, space.group_columns, strict=True
        ):
            torch.mm(x, weights, out=columns)
        for i in range(last - 1):
            self._activate(space, i)
            torch.bmm(space.hidden[i], self._weights[i + 1], out=space.outputs[i + 1])
        if last == 0:
            space.logits.copy_(space.outputs[0].transpose(1, 2))
        else:
            self._activate(space, last - 1)
            hidden = space.hidden[last - 1].transpose(1, 2)
            torch.bmm(self._weights[last], hidden, out=space.logits)
        torch.log_softmax(space.logits, 1, out=space.log_p)
        for flat, y, out in zip(space.group_flat, batch.targets, sums, strict=True):
            torch.mv(flat, y.flatten(), out=out)

    def _activate(self, space: _Workspace, layer: int) -> None:
        """Put the ReLU of a layer's outputs, normalized or not, into ``active``."""
        outputs = space.outputs[layer]
        if self._layout.layer_norm:
            outputs, _, factors = torch.native_layer_norm(
                outputs, outputs.shape[2:], None, None, LAYER_NORM_EPSILON
            )
            space.normal[layer] = outputs, factors
        torch.clamp_min(outputs, 0, out=space.active[layer])

    def _step(self, batch: _Batch, sums: Sequence[Tensor]) -> None:
        """Take one step with the mean loss of the batch.

        The gradient of cross-entropy by a logit is p - 1 for the right class, p for
        the others. A layer passes its gradient down with the old weights, then moves.
        """
        space, last = self._spaces[batch.size], self._layout.depth - 1
        optimizer, log_p = self._optimizer, space.log_p
        self._score(batch, space, sums)
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
            optimizer.buffer[i].baddbmm_(left, right, beta=optimizer.beta, alpha=alpha)
            optimizer.update(i)
            gradient = space.outputs[i - 1]
            if self._layout.layer_norm:
                normal, factors = space.normal[i - 1]
                along = (gradient * normal).mean(2, keepdim=True)
                gradient.sub_(gradient.mean(2, keepdim=True))
                gradient.addcmul_(normal, along, value=-1).mul_(factors)
        if last == 0:
            space.outputs[0].copy_(gradient)
        for group, x, gradient in zip(
            self._slices, batch.inputs, space.group_columns, strict=True
        ):
            columns = self._columns(optimizer.buffer[0], group)
            columns.addmm_(x.t(), gradient, beta=optimizer.beta, alpha=alpha)
        optimizer.update(0)
