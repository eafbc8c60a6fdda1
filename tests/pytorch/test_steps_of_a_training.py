"""Copies leave the optimizer alone, and are stepped as a training steps.

Prodigy and D-Adaptation return at once where all gradients are zero, and what they do
then is nothing that a training sees.
"""

import random
import threading

import numpy as np
import pytest
import torch
from pytorch.planted_optimizers import (
    DecoupledMasters,
    EachWeight,
    FindsItsLr,
    SkipsRest,
)
from pytorch.untouched import left_alone
from quick import combined
from tolerance import digits
from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from dwindle.decay.run import Run
from dwindle.errors import RefusedError
from dwindle.pytorch import DecayController, audit
from dwindle.pytorch.copying.toy import Toy
from dwindle.pytorch.probe import probe
from dwindle.testing import certify

HALF = torch.bfloat16, torch.float16


def matrix(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    values = 1 + torch.rand((16, 16), generator=generator)
    return Parameter(values.to(dtype))


def left_of(kind, steps, dtype=torch.float32, half_life=None, **options):
    """The mean share of a weight with zero gradient beside one with a gradient."""
    at_rest, driven = matrix(dtype), matrix(dtype)
    optimizer = kind([at_rest, driven], **options)
    if half_life:
        DecayController(optimizer, half_life=half_life, schedule="constant")
    start = at_rest.detach().double().clone()
    for step in range(steps):
        at_rest.grad = torch.zeros_like(at_rest)
        driven.grad = torch.full_like(driven, 1.0 if step // 8 % 2 else -1.0)
        optimizer.step()
    return (at_rest.detach().double() / start).mean().item()


def test_a_probe_sees_what_rests_else():
    """The share is that of a step of a training, and of the run in it."""
    group = probe(SkipsRest([matrix()], weight_decay=0.1)).groups[0]
    assert (group.walk, group.decouples, group.works) == ("geometric", True, True)
    assert group.shrink_per_step == digits(0.01, rel=1e-9)
    kept = left_of(SkipsRest, 30, weight_decay=0.1)
    assert kept == digits(0.99**30, rel=1e-5)  # thirty steps in float32


def test_an_lr_that_is_found_gives_no_half_life():
    """What decays at d·lr has no number before the run, and no error either."""
    assert left_of(FindsItsLr, 60, weight_decay=0.1) < 0.5  # really, it decays
    group = probe(FindsItsLr([matrix()], weight_decay=0.1), steps=30).groups[0]
    assert (group.walk, group.adapts, group.works) == ("other", True, True)
    assert group.half_life_steps is None
    assert group.e_folds is None
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    optimizer = FindsItsLr(model.parameters(), weight_decay=0.1)
    codes = {found.code for found in audit(model, optimizer, run=Run(steps=9)).findings}
    assert "DW025" in codes
    assert "DW027" not in codes


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("steps", [50, 170, 1000, 30_000])
def test_a_decay_of_float32_copies_is_held_as_long_as_they_can(dtype, steps, caplog):
    """Native and exact, where 16 bits would stop, and without a warning."""
    optimizer = DecoupledMasters([matrix(dtype)])
    held = DecayController(optimizer, half_life=f"{steps} steps")
    assert held.mechanisms == ("native",)
    assert "rounds" not in caplog.text
    taken = min(steps, 1000)
    kept = left_of(
        DecoupledMasters, taken, dtype, half_life=f"{steps} steps", weight_decay=0.1
    )
    # 256 weights are rounded once, by up to 2^-9 of themselves.
    assert kept == digits(0.5 ** (taken / steps), rel=1e-3)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize(("kind", "happens"), [(DecoupledMasters, True), (None, False)])
def test_a_probe_finds_a_decay_that_goes_on_unseen(dtype, kind, happens):
    """1e-6 of a step is nothing in 16 bits, unless wider copies have it."""
    build = kind or torch.optim.AdamW
    optimizer = build([matrix(dtype)], lr=1e-3, weight_decay=1e-3, eps=1e-4)
    group = probe(optimizer).groups[0]
    assert group.shrink_per_step == digits(1e-6, rel=1e-7)  # 1 - 1e-6 in float64
    assert group.measured_shrink == (group.shrink_per_step if happens else 0)


@pytest.mark.parametrize("steps", [64, 100, 150])
def test_16_bit_weights_are_multiplied_by_a_factor_of_32_bits(steps):
    """SGD decays in bfloat16 as rounding each product alone would have it."""
    kept = left_of(torch.optim.SGD, steps, HALF[0], half_life=f"{steps} steps", lr=1e-3)
    weight = matrix(HALF[0]).detach()
    start = weight.double()
    for _ in range(steps):
        weight = (weight.double() * 2 ** (-1 / steps)).to(HALF[0])
    assert kept == digits((weight.double() / start).mean().item(), rel=1e-3)


class LooksBack(Optimizer):
    """A Lookahead as people write it: no constructor of Optimizer is called."""

    def __init__(self, base_optimizer, k=5):
        self.optimizer, self.k, self.taken = base_optimizer, k, 0
        self.param_groups, self.state = base_optimizer.param_groups, {}

    @torch.no_grad()
    def step(self, closure=None):
        self.optimizer.step(closure)
        self.taken += 1
        for group in self.param_groups:
            for weight in group["params"]:
                slow = self.slow_of(weight)
                if self.taken % self.k == 0:
                    weight.copy_(slow.lerp_(weight, 0.5))

    def slow_of(self, weight):
        return self.state.setdefault(weight, weight.detach().clone())


class KeepsSlowWeights(LooksBack):
    """The same, with a list of slow weights beside the parameters."""

    def __init__(self, base_optimizer, k=5):
        super().__init__(base_optimizer, k)
        self.slow = {}
        for group in self.param_groups:
            self.slow |= {id(p): p.detach().clone() for p in group["params"]}

    def slow_of(self, weight):
        return self.slow[id(weight)]


class CannotBeBuiltAnew(KeepsSlowWeights):
    """The same, with a constructor that wants what nothing shows."""

    def __init__(self, base_optimizer, *, secret):
        super().__init__(base_optimizer, secret)


def wrapped(kind, **options):
    return kind(torch.optim.AdamW([matrix()], lr=0.1, weight_decay=0.1), **options)


@pytest.mark.parametrize("kind", [LooksBack, KeepsSlowWeights])
def test_a_wrapper_without_a_constructor_is_probed(kind):
    """Its steps have a period of five, and half of the decay of its optimizer."""
    group = probe(wrapped(kind)).groups[0]
    assert (group.walk, group.period_steps) == ("periodic", 5)
    # Five steps of 0.99 from the slow weights, and halfway back to these.
    assert (1 - group.shrink_per_step) ** 5 == digits((1 + 0.99**5) / 2, rel=1e-9)
    # No AttributeError of torch's hooks, which it lacks.
    refused = certify(lambda groups: kind(torch.optim.AdamW(groups))).refused
    assert "calls no hooks" in refused
    with pytest.raises(RefusedError) as caught:  # the attribute is named, no option
        probe(wrapped(CannotBeBuiltAnew, secret=5))
    assert caught.value.why.endswith("It keeps tensors in slow.")
    assert "any lr" not in caught.value.instead


class StopsAfter(torch.optim.SGD):
    """Raises in its thirtieth step, at any options."""

    def step(self, closure=None):
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken == 30:
            message = "enough"
            raise RuntimeError(message)
        return super().step(closure)


class TakesOneLr(torch.optim.SGD):
    """Raises at any lr but its own."""

    def step(self, closure=None):
        if self.param_groups[0]["lr"] not in (0.0, 0.1):
            message = "another lr"
            raise RuntimeError(message)
        return super().step(closure)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (StopsAfter, r"within 64 steps: RuntimeError\('enough'\). It must step as"),
        (TakesOneLr, r"lr or knob: RuntimeError\('another lr'\). Its step must"),
    ],
)
def test_a_copy_that_fails_is_refused_with_its_own_reason(kind, message):
    """Options are blamed only where a step with the original ones works."""
    with pytest.raises(RefusedError, match=message):
        probe(kind([matrix()], lr=0.1, weight_decay=0.1))


class DecaysWideMatrices(EachWeight):
    """Takes lr·weight_decay off matrices of at least 100 rows and columns alone."""

    def move(self, group, weight):
        if min(weight.shape) >= 100:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.sub_(group["lr"] * weight.grad)


@pytest.mark.parametrize(("side", "shrink"), [(128, 0.01), (64, 0.0)])
def test_what_decays_wide_matrices_alone_is_seen_on_them(side, shrink):
    """A copy as wide as the parameter decays where the parameter would."""
    weights = [Parameter(torch.ones(side, side)), Parameter(torch.ones(side))]
    group = probe(DecaysWideMatrices(weights, lr=0.1, weight_decay=0.1)).groups[0]
    assert group.shrink_per_step == digits(shrink, rel=1e-9)
    assert group.works == (shrink > 0)
    assert group.uneven == (shrink > 0)  # the vector beside it stays


def parameters():
    return [nn.Parameter(torch.randn(3, 5)), nn.Parameter(torch.randn(5))]


EVERY = sorted({name for name in dir(torch.optim) if name[0].isupper()} - {"Optimizer"})


def built(name, **options):
    mine = parameters()[: 1 if name == "Muon" else 2]  # it takes matrices only
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(torch.optim, name)(mine, **momentum, **options)


def stepped(optimizer):
    """The optimizer after a step, with state and gradients."""
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
    # It is pulled to and fro: under one gradient D-Adaptation's lr would never end.
    toy = Toy.of(torch.optim.SGD(parameters(), lr=0.1))
    bystander = toy.optimizer.param_groups[0]["params"][-1]
    start = bystander.detach().clone()
    toy.go(16)
    assert torch.allclose(bystander, start, atol=1e-6)  # sixteen sums in float32


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
    """However AdamW computes, it decouples, and is left as it was."""
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
