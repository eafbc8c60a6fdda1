"""SGD, AdamW and coupled Adam for all models of a pack, with torch.optim's steps.

The stack adds gradients straight into ``buffer(layer)`` as ``beta · buffer + alpha ·
gradient``, which for SGD is its momentum: no gradient is ever stored there. As soon as
a layer's gradient is complete, ``update(layer)`` decays and moves its weights.
Learning rates and decays are per model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer
from dwindle.study.layout import Layout


@dataclass(frozen=True, eq=False)
class Pack:
    """What an optimizer of a pack acts on.

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


class StackedOptimizer(Protocol):
    """One optimizer over all models of a pack."""

    beta: float
    alpha: float
    gradient_scale: Tensor | None  # (models, 1, 1), a factor on the loss of each

    def start(self, step: int, lr: float) -> None:
        """Announce the step (counted from 0) and its lr before ratios."""

    def buffer(self, layer: int) -> Tensor:
        """Return the stored tensor that takes the gradient of a layer."""

    def update(self, layer: int) -> None:
        """Decay and move the weights of a layer whose gradient is complete."""


class _Sgd:
    """SGD with momentum and dampening; the decay is coupled (added to the gradient).

    ``buf = momentum · buf + (1 - dampening) · (g + λw)``, ``w -= lr · buf``, and the
    first step takes the whole gradient. A model's own lr is a factor on its loss and
    its λ, for the step is linear in both.
    """

    def __init__(self, pack: Pack, options: Optimizer) -> None:
        layout = pack.layout
        self._options = options
        self._weights = pack.weights
        self._moments = layout.zeros()
        self._terms = _decay_terms(pack, self._moments, pack.decays * pack.lr_ratios)
        self.gradient_scale = _scale(pack)
        self.beta = self.alpha = self._lr = 0.0

    def start(self, step: int, lr: float) -> None:
        fresh = step == 0 or self._options.momentum == 0
        self.beta = 0.0 if fresh else self._options.momentum
        self.alpha = 1.0 if fresh else 1.0 - self._options.dampening
        self._lr = lr

    def buffer(self, layer: int) -> Tensor:
        return self._moments[layer]

    def update(self, layer: int) -> None:
        into, weights, decay = self._terms[layer]
        into.addcmul_(weights, decay, value=self.alpha)
        self._weights[layer].add_(self._moments[layer], alpha=-self._lr)


class _Nesterov:
    """SGD with Nesterov's momentum: ``w -= lr · (g + λw + momentum · buf)``."""

    beta = 0.0
    alpha = 1.0

    def __init__(self, pack: Pack, options: Optimizer) -> None:
        layout = pack.layout
        self._momentum = options.momentum
        self._weights = pack.weights
        self._gradients = layout.zeros()
        self._moments = layout.zeros()
        decays = pack.decays * pack.lr_ratios
        self._terms = _decay_terms(pack, self._gradients, decays)
        self.gradient_scale = _scale(pack)
        self._lr = 0.0

    def start(self, step: int, lr: float) -> None:  # noqa: ARG002, every step is alike
        self._lr = lr

    def buffer(self, layer: int) -> Tensor:
        return self._gradients[layer]

    def update(self, layer: int) -> None:
        into, weights, decay = self._terms[layer]
        into.addcmul_(weights, decay)
        torch._fused_sgd_(  # the one pass that torch.optim itself runs
            [self._weights[layer]],
            [self._gradients[layer]],
            [self._moments[layer]],
            weight_decay=0.0,
            momentum=self._momentum,
            lr=self._lr,
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )


class _Adam:
    """Adam; the decay is coupled (into the gradient) or decoupled (off the weight)."""

    beta = 0.0
    alpha = 1.0
    gradient_scale: Tensor | None = None

    def __init__(self, pack: Pack, options: Optimizer, *, decoupled: bool) -> None:
        layout = pack.layout
        self._options = options
        self._decoupled = decoupled
        self._pack = pack
        self._gradients = layout.zeros()
        self._first, self._second = layout.zeros(), layout.zeros()
        if decoupled:
            decays = pack.decays * pack.lr_ratios
            self._terms = _decay_terms(pack, pack.weights, decays)
        else:
            self._terms = _decay_terms(pack, self._gradients, pack.decays)
        self._step = torch.zeros((), device=layout.device)
        self._lr = 0.0

    def start(self, step: int, lr: float) -> None:
        self._step.fill_(step + 1)
        self._lr = lr

    def buffer(self, layer: int) -> Tensor:
        return self._gradients[layer]

    def update(self, layer: int) -> None:
        into, weights, decay = self._terms[layer]
        into.addcmul_(weights, decay, value=-self._lr if self._decoupled else 1.0)
        if not self._pack.mixed_lr:
            self._move(layer)
            return
        # The fused pass knows one lr: take each model's share of its step.
        stored = self._pack.weights[layer]
        before = stored.clone()
        self._move(layer)
        ratio = self._pack.lr_ratios.to(stored)
        shape = (-1, 1) if layer == 0 else (-1, 1, 1)
        torch.lerp(before, stored, ratio.view(shape), out=stored)

    def _move(self, layer: int) -> None:
        torch._fused_adamw_(  # the one pass that torch.optim itself runs
            [self._pack.weights[layer]],
            [self._gradients[layer]],
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


def check_options(options: Optimizer) -> None:
    """Refuse what torch.optim refuses.

    Raises:
        RangeError: If Nesterov's momentum is asked with none, or with dampening.

    """
    if options.nesterov and (options.momentum <= 0 or options.dampening):
        must = "above 0, without dampening, for Nesterov"
        raise RangeError("momentum", options.momentum, must)


def _scale(pack: Pack) -> Tensor | None:
    if not pack.mixed_lr:
        return None
    return pack.lr_ratios.to(pack.layout.dtype).to(pack.layout.device)[:, None, None]


def _decay_terms(
    pack: Pack, into: Sequence[Tensor], decays: Tensor
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return (where decay is added, the weights, λ), each without biases, by layer."""
    layout = pack.layout
    return [
        (
            layout.decayed(into[i], i),
            layout.decayed(pack.weights[i], i),
            layout.per_model(decays[i], i),
        )
        for i in range(layout.depth)
    ]


def _sgd(pack: Pack, options: Optimizer) -> StackedOptimizer:
    return (_Nesterov if options.nesterov else _Sgd)(pack, options)


def _adamw(pack: Pack, options: Optimizer) -> StackedOptimizer:
    return _Adam(pack, options, decoupled=True)


def _adam(pack: Pack, options: Optimizer) -> StackedOptimizer:
    return _Adam(pack, options, decoupled=False)


_OPTIMIZERS: dict[str, Callable[[Pack, Optimizer], StackedOptimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
    "adam": _adam,
}


def stacked_optimizer(pack: Pack, options: Optimizer) -> StackedOptimizer:
    """Return the optimizer of a pack, fresh: no step taken, all moments zero.

    Args:
        pack: Weights, decays and lr ratios of all models.
        options: Everything else: momentum or betas, as in torch.optim.

    """
    check_options(options)
    return _OPTIMIZERS[options.name](pack, options)
