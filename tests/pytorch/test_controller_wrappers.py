"""Wrappers, and loops in which the optimizer that is held makes no step."""

import copy
import gc
import io
from weakref import ref

import pytest
import torch
from pytorch.held_path import halved, weight_of
from torch import distributed, nn
from torch.optim import SGD, AdamW, Optimizer

from dwindle.errors import RefusedError
from dwindle.pytorch import DecayController


class Sam(Optimizer):
    """Sharpness-aware minimization as its authors wrote it: two steps, one inside."""

    def __init__(self, groups, base, rho=0.05, **options):
        super().__init__(groups, {"rho": rho, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups
        self.defaults.update(self.base_optimizer.defaults)

    @torch.no_grad()
    def first_step(self):
        for weight in (each for group in self.param_groups for each in group["params"]):
            self.state[weight]["old"] = weight.clone()
            weight.add_(weight.grad, alpha=0.05)

    @torch.no_grad()
    def second_step(self):
        for weight in (each for group in self.param_groups for each in group["params"]):
            weight.copy_(self.state[weight]["old"])
        self.base_optimizer.step()

    def step(self, closure):
        self.first_step()
        torch.enable_grad()(closure)()
        self.second_step()


class Passes(Optimizer):
    """A wrapper with a step() alone: whoever calls it calls its hooks."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, inner.defaults)
        self.inner = inner
        self.param_groups = inner.param_groups

    def step(self, closure=None):
        return self.inner.step(closure)


class Hookless(Optimizer):
    """A Lookahead that does not call the constructor of its class."""

    def __init__(self, inner):
        self.optimizer = inner
        self.param_groups, self.defaults = inner.param_groups, inner.defaults
        self.state = {}

    def step(self, closure=None):
        return self.optimizer.step(closure)


@pytest.mark.parametrize("base", [SGD, AdamW])
def test_sam_is_held_by_the_optimizer_inside(base):
    """Its two steps call none of its hooks: the refusal names whose are called."""
    weight = weight_of()
    sam = Sam([weight], base, lr=0.1)
    message = r"first_step.*DecayController\(optimizer\.base_optimizer, \.\.\.\)"
    with pytest.raises(RefusedError, match=message):
        DecayController(sam, half_life="10 steps")

    def in_two(_, weight, steps):
        for _ in range(steps):
            weight.grad = torch.zeros_like(weight)
            sam.first_step()
            sam.second_step()

    halved(sam.base_optimizer, weight, step=in_two)


def test_a_wrapper_is_held_if_it_has_hooks():
    """One with a step() alone is; one that calls none is refused."""
    weight = weight_of()
    halved(Passes(SGD([weight], lr=0.1, momentum=0.9)), weight)
    message = r"calls no hooks.*Optimizer\.__init__"
    with pytest.raises(RefusedError, match=message):
        DecayController(Hookless(SGD([weight_of()], lr=0.1)), half_life="10 steps")


# torch's warnings about itself: that module scripts functions as it is imported.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_zero_is_held_by_the_optimizer_inside():
    """ZeRO's wrapper steps a share of the weights in each process."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    weight, store = weight_of(), distributed.HashStore()  # no network
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        zero = ZeroRedundancyOptimizer([weight], optimizer_class=AdamW, lr=0.1)
        message = r"share of the weights.*DecayController\(optimizer\.optim"
        with pytest.raises(RefusedError, match=message):
            DecayController(zero, half_life="10 steps")
        halved(zero, weight, held=zero.optim)
    finally:
        distributed.destroy_process_group()


def _loop(weights, optimizer, steps, *, fresh=True):
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=fresh)
        sum((0.0 * each).sum() for each in weights).backward()
        optimizer.step()


@pytest.mark.parametrize(("fresh", "times"), [(True, 20), (False, 1000)])
def test_a_controller_whose_steps_never_come_warns_once(fresh, times, logged):
    """Another optimizer of the same weights is stepped: one warning, and the repr."""
    # zero_grad(set_to_none=False) keeps the tensor: a thousand are waited for then.
    weight = weight_of()
    held = DecayController(AdamW([weight], lr=0.1), half_life="10 steps")
    assert "0 steps held" not in repr(held)
    _loop([weight], SGD([weight], lr=0.1), 3, fresh=fresh)
    assert "0 steps held" in repr(held)
    assert not logged()
    _loop([weight], SGD([weight], lr=0.1), times + 50, fresh=fresh)
    (message,) = logged()
    assert message.startswith(f"gradients came {times} times to the weights of AdamW")


def test_accumulated_gradients_and_steps_that_come_are_no_reason(logged):
    """Hundreds of batches that make one step, and frozen weights: silence."""
    weight, frozen = weight_of(), weight_of()
    frozen.requires_grad_(requires_grad=False)
    optimizer = AdamW([{"params": [frozen]}, {"params": [weight]}], lr=0.1)
    held = DecayController(optimizer, half_life="10 steps")
    for _ in range(300):
        (0.0 * weight).sum().backward()
    assert held._idle.rounds == 1
    _loop([weight], optimizer, 60)
    assert not logged()
    assert "0 steps held" not in repr(held)
    assert not weight._post_accumulate_grad_hooks  # nothing is left on the weights


def test_the_watch_leaves_a_model_as_it_was():
    """Before the first step a model is copied and saved as ever."""
    model = nn.Linear(2, 2)
    held = DecayController(SGD(model.parameters(), lr=0.1), half_life="10 steps")
    twin = copy.deepcopy(model)
    assert not twin.weight._post_accumulate_grad_hooks
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False).weight, model.weight)
    held.remove()
    assert not model.weight._post_accumulate_grad_hooks


@pytest.mark.parametrize("steps", [0, 2])
def test_what_is_dropped_is_freed(steps):
    """Before a first step, too: model, optimizer and controller keep nothing alive."""
    model = nn.Linear(2, 2)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    held = DecayController(optimizer, half_life="10 steps")
    _loop([model.weight], optimizer, steps)
    alive = [ref(each) for each in (model, model.weight, optimizer, held)]
    del model, optimizer, held
    gc.collect()
    assert [each() for each in alive] == [None] * 4
