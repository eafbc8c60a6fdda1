"""Wrappers, and loops in which the optimizer that is held makes no step."""

import copy
import gc
import io
from contextlib import contextmanager
from weakref import ref

import pytest
import torch
from pytorch.held_path import TOLERANCES, off, undriven_step, weight_of
from torch import distributed, nn
from torch.optim import SGD, AdamW, Optimizer

from dwindle.errors import RefusedError
from dwindle.pytorch import DecayController
from dwindle.testing import certify


@contextmanager
def _alone():
    """A process group of one, without a network."""
    store = distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


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


class Ascends(Sam):
    """Another one, with names of its own for the two steps."""

    first_step = None
    second_step = None
    ascent_step = Sam.first_step
    descent_step = Sam.second_step

    def step(self, closure):
        self.ascent_step()
        torch.enable_grad()(closure)()
        self.descent_step()


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
@pytest.mark.parametrize(
    ("kind", "steps"),
    [(Sam, ("first_step", "second_step")), (Ascends, ("ascent_step", "descent_step"))],
)
def test_sam_is_held_by_the_optimizer_inside(kind, steps, base):
    """Its two steps call no hooks of its own: the refusal says whose are called."""
    weight = weight_of()
    sam = kind([weight], base, lr=0.1)
    words = rf"{steps[0]}.*DecayController\(optimizer\.base_optimizer, \.\.\.\)"
    words = words if kind is Sam else r"Hold optimizer\.base_optimizer"
    with pytest.raises(RefusedError, match=words):
        DecayController(sam, half_life="10 steps")
    held = DecayController(sam.base_optimizer, half_life="10 steps")
    for _ in range(10):
        weight.grad = torch.zeros_like(weight)
        getattr(sam, steps[0])()
        getattr(sam, steps[1])()
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]
    assert held.steps_done == 10


def test_a_wrapper_with_one_step_is_held():
    """There is nothing else by which its weights move."""
    weight = weight_of()
    wrapper = Passes(SGD([weight], lr=0.1, momentum=0.9))
    DecayController(wrapper, half_life="10 steps")
    undriven_step(wrapper, weight, steps=10)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]


def test_a_wrapper_without_hooks_is_refused():
    """What must be called in it is said, by the controller and by a certificate."""
    words = r"calls no hooks.*Optimizer\.__init__"
    with pytest.raises(RefusedError, match=words):
        DecayController(Hookless(SGD([weight_of()], lr=0.1)), half_life="10 steps")
    certificate = certify(lambda groups: Hookless(SGD(groups, lr=0.1)))
    assert "calls no hooks" in (certificate.refused or "")


# torch's warnings about itself: that module scripts functions as it is imported.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_zero_is_held_by_the_optimizer_inside():
    """ZeRO's wrapper steps a share of the weights in each process."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    weight = weight_of()
    with _alone():
        zero = ZeroRedundancyOptimizer([weight], optimizer_class=AdamW, lr=0.1)
        words = r"share of the weights.*DecayController\(optimizer\.optim"
        with pytest.raises(RefusedError, match=words):
            DecayController(zero, half_life="10 steps")
        DecayController(zero.optim, half_life="10 steps")
        undriven_step(zero, weight, steps=10)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]


def _loop(weights, optimizer, steps, *, fresh=True):
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=fresh)
        sum((0.0 * each).sum() for each in weights).backward()
        optimizer.step()


def test_a_controller_whose_steps_never_come_says_so_once(told):
    """Another optimizer of the same weights is stepped: one warning, and the repr."""
    weight = weight_of()
    held = DecayController(AdamW([weight], lr=0.1), half_life="10 steps")
    assert "0 steps held" not in repr(held)
    _loop([weight], SGD([weight], lr=0.1), 3)
    assert "0 steps held" in repr(held)
    assert not told()
    _loop([weight], SGD([weight], lr=0.1), 60)
    (message,) = told()
    assert message.startswith("gradients came 20 times to the weights of AdamW")


def test_gradients_that_are_kept_and_set_to_zero_are_counted_too(told):
    """zero_grad(set_to_none=False) keeps the tensor: a thousand are waited for."""
    weight = weight_of()
    held = DecayController(AdamW([weight], lr=0.1), half_life="10 steps")
    _loop([weight], SGD([weight], lr=0.1), 1100, fresh=False)
    assert len(told()) == 1
    assert "0 steps held" in repr(held)


def test_accumulated_gradients_and_steps_that_come_are_no_reason(told):
    """Hundreds of batches that make one step, and frozen weights: silence."""
    weight, frozen = weight_of(), weight_of()
    frozen.requires_grad_(requires_grad=False)
    optimizer = AdamW([{"params": [frozen]}, {"params": [weight]}], lr=0.1)
    held = DecayController(optimizer, half_life="10 steps")
    for _ in range(300):
        (0.0 * weight).sum().backward()
    assert held._idle.rounds == 1
    _loop([weight], optimizer, 60)
    assert not told()
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
