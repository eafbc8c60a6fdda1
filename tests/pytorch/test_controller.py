"""A held weight follows the expected path under any schedule and loop."""

import math
from functools import partial

import pytest
import torch
from pytorch.held_path import (
    TOLERANCES,
    Path,
    halved,
    off,
    step_at_rest,
    weight_of,
    worst_off,
)
from quick import combined
from tolerance import digits
from torch.optim import SGD, Adam, AdamW, NAdam, lr_scheduler

from dwindle.decay.run import Run
from dwindle.pytorch import DecayController

pytestmark = pytest.mark.usefixtures("quiet")

LR = 0.1
OPTIMIZERS = {
    "AdamW": (AdamW, "native"),
    "NAdam, decoupled": (partial(NAdam, decoupled_weight_decay=True), "native"),
    "SGD": (partial(SGD, weight_decay=1e-4), "native"),
    "SGD, momentum": (partial(SGD, momentum=0.9, weight_decay=1e-4), "multiply"),
    "SGD, Nesterov": (partial(SGD, momentum=0.9, nesterov=True), "multiply"),
    "Adam": (partial(Adam, weight_decay=0.01), "multiply"),
}
SCHEDULES = ("follow-lr", "constant", "lr-squared")


def _warm_up(step):
    return min(step / 10, 1.0)


def _sequence(optimizer):
    first = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=20)
    then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[20])


SCHEDULERS = {
    "one cycle": partial(lr_scheduler.OneCycleLR, max_lr=LR, total_steps=101),
    "warm-up from 0": partial(lr_scheduler.LambdaLR, lr_lambda=_warm_up),
    "cosine to 0": partial(lr_scheduler.CosineAnnealingLR, T_max=100),
    "restarts": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=30),
    "steps": partial(lr_scheduler.StepLR, step_size=40),
    "sequence": _sequence,
}


@combined(
    "name scheduler schedule late",
    [*OPTIMIZERS],
    [*SCHEDULERS],
    SCHEDULES,
    [False, True],
    one_in=3,
)
def test_the_path_under_every_scheduler(name, scheduler, schedule, late):
    """After each of 100 steps what is left is as expected, to 12 digits."""
    # One cycle moves the momentum, too, and either of the two may be built first.
    build, mechanism = OPTIMIZERS[name]
    weight = weight_of()
    optimizer = build([weight], lr=LR)
    make = SCHEDULERS[scheduler]
    ahead = None if late else make(optimizer)
    held = DecayController(optimizer, half_life="30 steps", schedule=schedule)
    ticking = make(optimizer) if ahead is None else ahead
    path = Path(30, schedule, LR)
    worst = worst_off(optimizer, weight, path, 100, after=ticking.step)
    if name == "SGD" and scheduler == "one cycle" and not late:
        mechanism = "multiply"  # the scheduler has given it a momentum
    assert held.mechanisms == (mechanism,)
    assert worst <= TOLERANCES[torch.float64]
    assert held.e_folds[0] == digits(-math.log(path.kept), rel=1e-12)
    assert held.steps_done == 100


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
@pytest.mark.parametrize("half_life", [7_000, 50_000, 300_000])
def test_a_long_half_life_in_float32(name, half_life):
    """What rounding takes from one step is added to the next."""
    # The factors nearest to these alone are off by up to 0.6 % of the decay. A single
    # weight is still rounded at every step, so a thousand of them are averaged; what
    # is left of their rounding is 2e-4 of the e-folds, which are 1e-3 in all.
    start = tuple(1 + k / 997 for k in range(997))
    weight = weight_of(torch.float32, start=start)
    optimizer = OPTIMIZERS[name][0]([weight], lr=1e-3)
    held = DecayController(optimizer, half_life=f"{half_life} steps")
    before = weight.detach().double().clone()
    step_at_rest(optimizer, weight, steps=500)
    e_folds = -(weight.detach().double() / before).log()
    assert e_folds.mean().item() == digits(held.e_folds[0], rel=1e-3)
    assert held.e_folds[0] == digits(500 / half_life * math.log(2), rel=1e-12)


def test_the_facts_of_a_run_may_be_one_record():
    """Its lr is the peak; a fact beside it counts more."""
    facts = {
        "half_life": "3 epochs",
        "run": Run(batch_size=10, dataset_size=95, lr=0.5),
    }
    held = DecayController(AdamW([weight_of()], lr=LR), **facts)
    assert (held.half_life_steps, held.lr_peak) == (30, (0.5,))
    facts |= {"batch_size": 5, "lr_peak": LR}
    held = DecayController(AdamW([weight_of()], lr=LR), **facts)
    assert (held.half_life_steps, held.lr_peak) == (57, (LR,))


def test_which_groups_are_held():
    """Those that are marked, else those with a decay, else all; others keep all."""
    for build, options, kept in (
        (AdamW, [{}, {"weight_decay": 0.0}], [0.5, 1.0]),
        (SGD, [{"decay_scale": 1.0}, {}], [0.5, 1.0]),
        (SGD, [{}, {}], [0.5, 0.5]),
        (AdamW, [{}, {"params": []}], [0.5, 1.0]),
    ):
        weights = [weight_of(), weight_of()]
        pairs = zip(weights, options, strict=True)
        optimizer = build([{"params": [w], **mine} for w, mine in pairs], lr=LR)
        DecayController(optimizer, half_life="10 steps")
        step_at_rest(optimizer, *weights, steps=10)
        for weight, share in zip(weights, kept, strict=True):
            assert off(weight, share) <= TOLERANCES[torch.float64], options


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("build", [AdamW, SGD, partial(SGD, momentum=0.9)])
def test_gradients_that_a_closure_makes_are_seen(build, sparse):
    """Nobody knows before the step whether they will be sparse, or there at all."""
    table = torch.nn.Embedding(4, 2, sparse=sparse, dtype=torch.float64)
    before = table.weight.detach().clone()
    build = SGD if sparse else build  # torch's others refuse sparse ones
    optimizer = build([{"params": table.weight, "decay_scale": 1.0}], lr=LR)
    DecayController(optimizer, half_life="10 steps")

    def closure():
        optimizer.zero_grad()
        loss = 0.0 * table(torch.tensor([1, 3])).sum()
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(closure)
    assert (table.weight / before).flatten().tolist() == digits([0.5] * 8, rel=1e-12)


class _InTwoHalves(AdamW):
    """A step that calls the step of its parent: torch then calls hooks twice."""

    def step(self, closure=None):
        return super().step(closure)


def test_a_step_inside_of_a_step_counts_once():
    """A subclass that calls its parent's step decays once per step."""
    AdamW([weight_of()])  # from now on AdamW.step calls hooks by itself
    weight = weight_of()
    halved(_InTwoHalves([weight], lr=LR), weight)


def test_a_penalty_is_held():
    """SGD's knob is the penalty, even if somebody writes into it."""
    one, other = weight_of(), weight_of()
    held_by = SGD([{"params": [one], "decay_scale": 2.0}], lr=LR, momentum=0.9)
    by_hand = SGD([other], lr=LR, momentum=0.9, weight_decay=2e-3)
    held = DecayController(held_by, penalty=1e-3)
    for _ in range(20):
        held_by.param_groups[0]["weight_decay"] = 7.0
        step_at_rest(held_by, one)
        step_at_rest(by_hand, other)
    assert torch.equal(one, other)
    assert (held.mechanisms, held.half_life_steps) == (("penalty",), None)


@pytest.mark.parametrize("sparse", [False, True])
def test_sgd_may_gain_a_momentum_and_lose_it(sparse):
    """Its knob is used in the steps without momentum, and the path is the same."""
    # The buffer of the steps with momentum never has a decay in it.
    start = (5.0, 2.0, -1.0, 0.1)
    weight = weight_of(start=start)
    optimizer = SGD([weight], lr=LR, weight_decay=0.1)
    held = DecayController(optimizer, half_life="10 steps")
    path, knobs = Path(10, "follow-lr", LR), []
    for momentum in (0.0, 0.0, 0.9, 0.5, 0.0, 0.9, 0.0):
        optimizer.param_groups[0]["momentum"] = momentum
        zeros = torch.zeros_like(weight)
        weight.grad = zeros.to_sparse(1) if sparse else zeros
        optimizer.step()
        knobs.append(optimizer.param_groups[0]["weight_decay"] > 0)
        assert off(weight, path.step(LR), start) <= TOLERANCES[torch.float64]
    assert held.mechanisms == ("native",)
    by_knob = [True, True, False, False, True, False, True]
    assert knobs == ([False] * 7 if sparse else by_knob)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sgd_in_16_bits_is_multiplied(dtype):
    """Beside a large gradient a decay that is added to it would be rounded away."""
    optimizer = SGD([weight_of(dtype)], lr=LR)
    assert DecayController(optimizer, half_life="30 steps").mechanisms == ("multiply",)


def test_the_table_shows_a_peak_that_the_run_does_not_reach():
    """The largest lr so far stands beside it; a constant decay has none to miss."""
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(30, 50))]},
        {"params": [weight_of()], "decay_scale": 0.0},
    ]
    held = DecayController(AdamW(groups, lr=3e-4), half_life="9 steps")
    assert "largest seen" not in repr(held)
    for lr in (1e-5, 6e-5, 2e-5):
        held.optimizer.param_groups[0]["lr"] = lr
        held.optimizer.step()
    _, head, first, second = repr(held).splitlines()
    assert head.split()[-4:] == ["at", "lr", "largest", "seen"]
    assert first.split()[-2:] == ["0.0003", "6e-05"]
    assert second.split() == ["1", "4", "left", "alone"]
    assert ">6e-05</td>" in held._repr_html_()
    constant = AdamW([weight_of()])
    shown = DecayController(constant, half_life="9 steps", schedule="constant")
    constant.step()
    assert "every lr" in repr(shown)
    assert "largest seen" not in repr(shown)


def test_a_group_that_was_just_added_is_shown():
    """Between add_param_group and the next step the table shows when it is held."""
    optimizer = AdamW([weight_of()], lr=1e-3)
    controller = DecayController(optimizer, half_life="20 steps")
    optimizer.add_param_group({"params": [weight_of()]})
    assert "the next step" in str(controller)
    optimizer.step()
    assert "the next step" not in str(controller)
