"""The stacked optimizers take exactly the steps of torch.optim."""

from dataclasses import replace

import pytest
import torch

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer
from dwindle.study.layout import Layout
from dwindle.study.optimizers import Pack, stacked_optimizer

SHAPES = ((5, 4), (4, 6), (6, 3))
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

    layout = Layout(SHAPES, models=4, dtype=torch.float64)
    weights = layout.zeros()
    for w in weights:
        w.copy_(random(*w.shape))
    start = [layout.matrices(w, i).clone() for i, w in enumerate(weights)]
    gradients = [random(STEPS, *w.shape) for w in start]
    decays = random(3, 4).abs() * 0.1
    decays[0, 1] = 0.0
    lrs = [LR * (1 - step / STEPS) for step in range(STEPS)]
    every_ratio = torch.tensor(ratios, dtype=torch.float64)
    _steps(options, Pack(layout, weights, decays, every_ratio), gradients, lrs)
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
    layout = Layout(SHAPES, models=1, dtype=torch.float64)
    pack = Pack(layout, layout.zeros(), torch.zeros(3, 1), torch.ones(1))
    options = replace(OPTIONS["nesterov"], **change)
    with pytest.raises(RangeError, match="above 0, without dampening"):
        stacked_optimizer(pack, options)
