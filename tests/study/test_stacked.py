"""The hand-written pass is autograd's (test_engine.py: its steps are torch.optim's)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer
from dwindle.study.models import Layout, Models
from dwindle.study.stacked import Batch, Stack, stacked_optimizer

MODELS = 5
GROUPS = (slice(0, 2), slice(2, 5))  # two seeds: each with its own minibatch
SHAPES = {
    0: ((7, 3),),
    1: ((7, 6), (6, 3)),
    2: ((7, 6), (6, 6), (6, 3)),
    3: ((7, 6), (6, 6), (6, 6), (6, 3)),
}
BATCH = 4


def _random_pack(depth):
    generator = torch.Generator().manual_seed(depth)
    layout = Layout(SHAPES[depth], MODELS, torch.float64)
    weights = layout.zeros()
    for w in weights:
        w.copy_(torch.randn(w.shape, generator=generator, dtype=torch.float64))
    x = torch.randn(2, BATCH, 7, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (2, BATCH), generator=generator)
    return layout, weights, x, y


def _batch(x, y):
    ones = x.new_ones(len(x), BATCH, 1)
    inputs = list(torch.cat([x, ones], 2))
    targets = [nn.functional.one_hot(one, 3).t().double().contiguous() for one in y]
    return Batch(inputs, targets, BATCH)


def _group_of(model):
    return next(i for i, g in enumerate(GROUPS) if g.start <= model < g.stop)


def _autograd(matrices, x, y):
    """Return logits (batch, classes), summed log-likelihood and mean-loss gradients."""
    leaves = [m.clone().requires_grad_() for m in matrices]
    h = x
    for i, w in enumerate(leaves):
        h = nn.functional.linear(h.relu() if i else h, w[:, :-1], w[:, -1])
    loss = nn.functional.cross_entropy(h, y)
    gradients = torch.autograd.grad(loss, leaves)
    return h.detach(), -loss.detach() * len(y), gradients


@pytest.mark.parametrize("depth", SHAPES)
def test_forward_backward_agree_with_autograd(depth):
    """Logits, losses and gradients of each model are autograd's, at any depth."""
    layout, weights, x, y = _random_pack(depth)
    before = [layout.matrices(w, i).clone() for i, w in enumerate(weights)]
    stack = Stack(layout, GROUPS, weights)
    pack = Models(layout, weights, torch.zeros(depth + 1, MODELS), torch.ones(MODELS))
    optimizer = stacked_optimizer(pack, Optimizer(name="sgd"))
    batch = _batch(x, y)
    logits = stack.forward(batch).clone()
    sums = torch.zeros(MODELS, dtype=torch.float64)
    optimizer.start(0, 1.0)
    stack.train(batch, optimizer, [sums[g] for g in GROUPS])
    for model in range(MODELS):
        group = _group_of(model)
        matrices = [w[model] for w in before]
        expected = _autograd(matrices, x[group], y[group])
        # 1e-12: a few dozen float64 operations on numbers of order 1 to 100.
        close = {"rtol": 1e-12, "atol": 1e-12}
        torch.testing.assert_close(logits[model].t(), expected[0], **close)
        torch.testing.assert_close(sums[model], expected[1], **close)
        for i, gradient in enumerate(expected[2]):
            moved = before[i][model] - layout.matrices(weights[i], i)[model]
            torch.testing.assert_close(moved, gradient, **close)


def test_huge_logits_have_a_finite_loss():
    """A loss is taken from log-softmax: logits of 1e6 do not overflow."""
    layout, weights, x, y = _random_pack(0)
    weights[0].mul_(1e6)
    stack = Stack(layout, GROUPS, weights)
    sums = torch.zeros(MODELS, dtype=torch.float64)
    stack.score(_batch(x, y), [sums[g] for g in GROUPS])
    assert bool(sums.isfinite().all())


def test_per_model_numbers_reach_decayed_weights_and_no_bias():
    """A number per model reaches all weights of that model, in every layer."""
    layout = Layout(SHAPES[2], MODELS, torch.float64)
    factors = torch.arange(1.0, MODELS + 1)
    for layer, stored in enumerate(layout.zeros()):
        layout.decayed(stored, layer).add_(layout.per_model(factors, layer))
        matrices = layout.matrices(stored, layer)
        assert bool((matrices[:, :, -1] == 0).all())
        assert bool((matrices[:, :, :-1] == factors[:, None, None]).all())


@pytest.mark.parametrize("change", [{"momentum": 0.0}, {"dampening": 0.5}])
def test_nesterov_needs_momentum_without_dampening(change):
    """Nesterov without momentum or with dampening is refused, as in torch."""
    layout = Layout(SHAPES[2], models=1, dtype=torch.float64)
    pack = Models(layout, layout.zeros(), torch.zeros(3, 1), torch.ones(1))
    options = replace(Optimizer(name="sgd", momentum=0.9, nesterov=True), **change)
    with pytest.raises(RangeError) as refused:
        stacked_optimizer(pack, options)
    assert (refused.value.name, refused.value.value) == ("momentum", options.momentum)
