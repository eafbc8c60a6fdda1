"""Toys: copies of an optimizer that do what it does and leave it alone."""

import random
import threading

import numpy as np
import pytest
import torch
from pytorch.untouched import left_alone
from quick import combined
from tolerance import digits
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from dwindle.errors import RefusedError
from dwindle.pytorch.copying.toy import Toy
from dwindle.pytorch.probe import probe


def parameters():
    return [nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.randn(5))]


EVERY = sorted({name for name in dir(torch.optim) if name[0].isupper()} - {"Optimizer"})


def built(name, **options):
    mine = parameters()[: 1 if name == "Muon" else 2]  # it takes matrices only
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(torch.optim, name)(mine, **momentum, **options)


def stepped(optimizer):
    """The optimizer after a step of its own, with state and gradients."""
    sparse = isinstance(optimizer, torch.optim.SparseAdam)

    def pull():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                gradient = torch.ones_like(parameter.detach())
                parameter.grad = gradient.to_sparse(1) if sparse else gradient
        return torch.zeros(())

    pull()
    optimizer.step(pull)
    return optimizer


def test_a_toy_has_one_weight_for_each_kind_of_parameter():
    """Group by group, and a bystander that is pulled at in each step; with names."""
    named = [(str(at), each) for at, each in enumerate(parameters() + parameters())]
    groups = [{"params": named}, {"params": [("4", parameters()[0])]}]
    toy = Toy.of(torch.optim.AdamW(groups, lr=0.1))
    assert [[w.ndim for w in group] for group in toy.weights] == [[2, 1], [2]]
    listed = toy.optimizer.param_groups
    names = [group["param_names"] for group in listed]
    assert names == [["0", "1", "bystander"], ["4", "bystander"]]
    before = [[w.detach().clone() for w in group["params"]] for group in listed]
    toy.step(gradient=None)
    for group, old in zip(listed, before, strict=True):
        *rest, bystander = map(torch.equal, group["params"], old)
        assert all(rest)  # torch leaves a weight without gradient alone
        assert not bystander


@combined("name fresh", [*EVERY], [True, False], one_in=2)
def test_probing_leaves_every_torch_optimizer_as_it_was(name, fresh):
    """Parameters, gradients, state, options and attributes stay, bit for bit."""
    optimizer = built(name) if fresh else stepped(built(name))
    with left_alone(optimizer):
        probe(optimizer)


FLAGS = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "one by one": {"foreach": False},
    "maximize": {"maximize": True},
    "amsgrad": {"amsgrad": True},
}


@pytest.mark.parametrize("options", FLAGS.values(), ids=FLAGS)
def test_flags_change_nothing_about_the_decay(options):
    """However AdamW is told to compute, it decouples, and is left as it was."""
    optimizer = stepped(built("AdamW", **options))
    with left_alone(optimizer):
        (group,) = probe(optimizer).groups
    assert group.decouples
    assert group.shrink_per_step == digits(1e-5, rel=1e-9)  # eps/1e-5, 64 steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tensor_lr_is_left_as_it_is_and_has_its_own_rounding(dtype):
    """In a float32 tensor 1 - lr·knob keeps 1e-5 to half a percent, as is reported."""
    lr = torch.tensor(1e-3, dtype=dtype)
    optimizer = stepped(built("AdamW", lr=lr, foreach=False))
    with left_alone(optimizer):
        (group,) = probe(optimizer).groups
    assert group.decouples
    kept = 1 - (1 - lr * 0.01).item()
    assert group.shrink_per_step == digits(kept, rel=1e-9)  # eps/1e-5, 64 steps


def test_parameters_that_are_no_leaves_or_have_no_numbers_are_copied_too():
    """Those of a differentiable optimizer, and those on the meta device."""
    weight = nn.Parameter(torch.ones(2, 2)).clone()
    weight.retain_grad()
    meta = nn.Parameter(torch.empty(3, 4, device="meta"))
    for each, options in ((weight, {"differentiable": True}), (meta, {})):
        optimizer = torch.optim.AdamW([each], **options)
        with left_alone(optimizer):
            assert probe(optimizer).groups[0].decouples


def test_hooks_and_schedulers_hear_nothing():
    """Neither hooks of the optimizer nor those of all optimizers are called."""
    heard = []
    optimizer = stepped(built("AdamW"))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    optimizer.register_step_pre_hook(lambda *_: heard.append("own, before"))
    optimizer.register_step_post_hook(lambda *_: heard.append("own, after"))
    everywhere = [
        register_optimizer_step_pre_hook(lambda *_: heard.append("all, before")),
        register_optimizer_step_post_hook(lambda *_: heard.append("all, after")),
    ]
    with left_alone(optimizer):
        assert probe(optimizer).groups[0].decouples
    assert not heard
    optimizer.step()
    assert len(heard) == 4  # and afterwards all are called again
    for each in everywhere:
        each.remove()
    scheduler.step()  # torch warns here where the patched step was lost


class Dice(torch.optim.SGD):
    """An optimizer that draws from every generator at each step."""

    def step(self, closure=None):
        torch.rand(3)
        random.random()  # noqa: S311
        np.random.random()  # noqa: NPY002
        return super().step(closure)


def test_generators_that_a_step_draws_from_are_put_back():
    """torch, numpy and random go on as if nothing had happened."""
    with left_alone(optimizer := Dice(parameters(), lr=0.1)):
        probe(optimizer)


class Locked(torch.optim.SGD):
    """An optimizer that cannot be copied, only built again."""

    def __init__(self, params, lr=0.1, weight_decay=0.0):
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.lock = threading.Lock()


class Closed(torch.optim.SGD):
    """An optimizer that can neither be copied nor built again."""

    def __init__(self, params, secret):
        super().__init__(params, lr=0.1)
        self.lock = secret


def test_what_cannot_be_copied_is_built_again():
    """The options of now are those of the new one; what cannot be is refused."""
    optimizer = Locked(parameters(), lr=0.1)
    optimizer.param_groups[0]["weight_decay"] = 0.01
    with left_alone(optimizer):
        (group,) = probe(optimizer).groups
    assert group.shrink_per_step == digits(1e-3, rel=1e-11)  # eps/1e-3, 64 steps
    with pytest.raises(RefusedError, match="pickle"):
        probe(Closed(parameters(), threading.Lock()))


def test_a_nested_optimizer_is_copied_with_what_holds_it():
    """A wrapper that steps an inner optimizer has a copy of that inner one."""

    class Twice(torch.optim.Optimizer):
        def __init__(self, inner):
            super().__init__(inner.param_groups, {})
            self.inner = inner
            self.param_groups = inner.param_groups

        def step(self, closure=None):
            self.inner.step(closure)
            self.inner.step()

    inner = stepped(torch.optim.AdamW(parameters(), lr=0.1, weight_decay=0.01))
    with left_alone(inner):
        (group,) = probe(Twice(inner)).groups
    assert group.shrink_per_step == digits(1 - 0.999**2, rel=1e-11)
    assert not group.decouples
