"""The hand-written pass is autograd's, and its optimizers take torch.optim's steps."""

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


UNITS_OF = ((5, 4), (4, 6), (6, 3))
STEPS = 30
LR = 0.05

OPTIONS = {
    "sgd": Optimizer(name="sgd"),
    "momentum": Optimizer(name="sgd", momentum=0.9),
    "dampening": Optimizer(name="sgd", momentum=0.8, dampening=0.3),
    "nesterov": Optimizer(name="sgd", momentum=0.9, nesterov=True),
    "adamw": Optimizer(name="adamw", betas=(0.9, 0.99), eps=1e-6),
    "adam": Optimizer(name="adam", betas=(0.8, 0.95), eps=1e-7),
}


def _torch_optimizer(options, groups, lr):
    if options.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=lr,
            momentum=options.momentum,
            dampening=options.dampening,
            nesterov=options.nesterov,
        )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[options.name]
    return kind(groups, lr=lr, betas=options.betas, eps=options.eps)


def _expected(options, start, gradients, decays, lrs):
    """Return the weights of one model after the real optimizer's steps."""
    matrices = [torch.nn.Parameter(w[:, :-1].clone()) for w in start]
    biases = [torch.nn.Parameter(w[:, -1].clone()) for w in start]
    groups = [
        {"params": [m], "weight_decay": float(decay)}
        for m, decay in zip(matrices, decays, strict=True)
    ]
    groups.append({"params": biases, "weight_decay": 0.0})
    optimizer = _torch_optimizer(options, groups, lrs[0])
    for gradient, lr in zip(gradients, lrs, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = lr
        for i, whole in enumerate(gradient):
            matrices[i].grad, biases[i].grad = whole[:, :-1], whole[:, -1]
        optimizer.step()
    pairs = zip(matrices, biases, strict=True)
    return [torch.cat([m, b[:, None]], 1).detach() for m, b in pairs]


def _steps(options, pack, gradients, lrs):
    """Take the stacked optimizer's steps, adding gradients as the stack would."""
    layout, optimizer = pack.layout, stacked_optimizer(pack, options)
    for step, lr in enumerate(lrs):
        optimizer.start(step, lr)
        for i in reversed(range(layout.depth)):
            buffer = layout.matrices(optimizer.buffer(i), i)
            gradient = gradients[i][step]
            if optimizer.gradient_scale is not None:
                gradient = gradient * optimizer.gradient_scale
            # beta 0 means overwrite, as in a matrix product: 0 times NaN is no NaN.
            kept = optimizer.beta * buffer if optimizer.beta else 0.0
            buffer.copy_(kept + optimizer.alpha * gradient)
            optimizer.update(i)


@pytest.mark.parametrize("ratios", [(1.0, 1.0, 1.0, 1.0), (1.0, 0.25, 3.0, 1.0)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_same_trajectory_as_torch(options, ratios):
    """Per-model lr, per-model and per-layer decay, a schedule: torch's weights."""
    generator = torch.Generator().manual_seed(7)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    layout = Layout(UNITS_OF, models=4, dtype=torch.float64)
    weights = layout.zeros()
    for w in weights:
        w.copy_(random(*w.shape))
    start = [layout.matrices(w, i).clone() for i, w in enumerate(weights)]
    gradients = [random(STEPS, *w.shape) for w in start]
    decays = random(3, 4).abs() * 0.1
    decays[0, 1] = 0.0
    lrs = [LR * (1 - step / STEPS) for step in range(STEPS)]
    every_ratio = torch.tensor(ratios, dtype=torch.float64)
    _steps(options, Models(layout, weights, decays, every_ratio), gradients, lrs)
    for model, ratio in enumerate(ratios):
        expected = _expected(
            options,
            [w[model] for w in start],
            [[g[step, model] for g in gradients] for step in range(STEPS)],
            decays[:, model],
            [lr * ratio for lr in lrs],
        )
        for i, matrix in enumerate(expected):
            # 1e-12: float64 keeps 16 digits, thirty steps of order 1 lose two or so.
            found = layout.matrices(weights[i], i)[model]
            torch.testing.assert_close(found, matrix, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("change", [{"momentum": 0.0}, {"dampening": 0.5}])
def test_nesterov_needs_momentum_without_dampening(change):
    """Nesterov without momentum or with dampening is refused, as in torch."""
    layout = Layout(UNITS_OF, models=1, dtype=torch.float64)
    pack = Models(layout, layout.zeros(), torch.zeros(3, 1), torch.ones(1))
    options = replace(OPTIONS["nesterov"], **change)
    with pytest.raises(RangeError) as refused:
        stacked_optimizer(pack, options)
    assert (refused.value.name, refused.value.value) == ("momentum", options.momentum)
