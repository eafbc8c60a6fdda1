"""A held weight goes the path that was asked, whatever schedule and loop do."""

import math
from functools import partial

import pytest
import torch
from pytorch.held_path import (
    TOLERANCES,
    Path,
    off,
    undriven_step,
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
    """After each of 100 steps what is left is what was asked, to 12 digits.

    One cycle moves the momentum, too, and either of the two may be built first.
    """
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


@pytest.mark.parametrize("half_life", [20, 300, 2000])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_path_in_float32(name, half_life):
    """In single precision, too, every weight goes the path."""
    weight = weight_of(torch.float32)
    optimizer = OPTIMIZERS[name][0]([weight], lr=LR)
    DecayController(optimizer, half_life=f"{half_life} steps", schedule="constant")
    worst = worst_off(optimizer, weight, Path(half_life, "constant"), 100)
    assert worst <= TOLERANCES[torch.float32]


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
@pytest.mark.parametrize("half_life", [7_000, 50_000, 300_000])
def test_a_long_half_life_in_float32(name, half_life):
    """What rounding takes from one step is owed to the next.

    The factors nearest to these alone are off by up to 0.6 % of the decay. A single
    weight is still rounded at every step, so a thousand of them are averaged; what is
    left of their rounding is 2e-4 of the e-folds, which are 1e-3 in all.
    """
    start = tuple(1 + k / 997 for k in range(997))
    weight = weight_of(torch.float32, start=start)
    optimizer = OPTIMIZERS[name][0]([weight], lr=1e-3)
    held = DecayController(optimizer, half_life=f"{half_life} steps")
    before = weight.detach().double().clone()
    undriven_step(optimizer, weight, steps=500)
    e_folds = -(weight.detach().double() / before).log()
    assert e_folds.mean().item() == digits(held.e_folds[0], rel=1e-3)
    assert held.e_folds[0] == digits(500 / half_life * math.log(2), rel=1e-12)


def test_a_plateau_is_followed():
    """ReduceLROnPlateau lowers the lr when a metric stands still."""
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, factor=0.5)
    DecayController(optimizer, half_life="30 steps")
    path = Path(30, "follow-lr", LR)
    worst = worst_off(optimizer, weight, path, 30, after=lambda: plateau.step(1.0))
    assert optimizer.param_groups[0]["lr"] < LR / 100
    assert worst <= TOLERANCES[torch.float64]


@pytest.mark.parametrize(
    ("half_life", "facts", "steps"),
    [
        ("3 epochs", {"batch_size": 10, "dataset_size": 95}, 30),
        ("950 examples", {"batch_size": 10, "dataset_size": 95}, 100),
        ("950 examples", {"batch_size": 10}, 95),
        ("2k tokens", {"batch_size": 10, "tokens_per_example": 20}, 10),
        ("20% of the run", {"steps": 500}, 100),
        ("20% of the run", {"epochs": 5, "batch_size": 10, "dataset_size": 95}, 10),
        ("7 steps", {}, 7),
    ],
)
def test_every_clock(half_life, facts, steps):
    """A half-life on any clock is one in steps, once its facts are there."""
    optimizer = AdamW([weight_of()], lr=LR)
    held = DecayController(optimizer, half_life=half_life, **facts)
    assert held.half_life_steps == digits(steps, rel=1e-14)


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


def test_groups_with_and_without_decay():
    """A mixed set says by weight_decay which groups decay; others are left alone."""
    decays, rests = weight_of(), weight_of()
    groups = [{"params": [decays]}, {"params": [rests], "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=LR)
    held = DecayController(optimizer, half_life="10 steps")
    undriven_step(optimizer, decays, rests, steps=10)
    assert held.mechanisms == ("native", "left alone")
    assert off(decays, 0.5) <= TOLERANCES[torch.float64]
    assert off(rests, 1.0) == 0
    assert held.e_folds[1] == 0


@pytest.mark.parametrize("name", ["AdamW", "SGD, momentum"])
def test_gradients_from_a_closure_are_seen(name):
    """Lightning makes the gradients inside of step(); they take part all the same."""
    weight = weight_of()
    optimizer = OPTIMIZERS[name][0]([weight], lr=LR)
    DecayController(optimizer, half_life="10 steps")

    def closure():
        optimizer.zero_grad()
        loss = 0.0 * weight.sum()
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(closure)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]


class _InTwoHalves(AdamW):
    """A step that calls the step of its parent: torch then calls hooks twice."""

    def step(self, closure=None):
        return super().step(closure)


def test_a_step_inside_of_a_step_counts_once():
    """A subclass that calls its parent's step decays once per step."""
    AdamW([weight_of()])  # from now on AdamW.step calls hooks by itself
    weight = weight_of()
    optimizer = _InTwoHalves([weight], lr=LR)
    held = DecayController(optimizer, half_life="10 steps")
    undriven_step(optimizer, weight, steps=10)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]
    assert held.steps_done == 10


@pytest.mark.parametrize("name", ["AdamW", "SGD, momentum"])
def test_a_group_that_is_added_later(name):
    """It is held from then on, at its own lr, and the old ones go on as before."""
    old, new, free = weight_of(), weight_of(), weight_of()
    optimizer = OPTIMIZERS[name][0]([old], lr=LR)
    held = DecayController(optimizer, half_life="10 steps")
    for _ in range(5):
        optimizer.param_groups[0]["lr"] = LR / 2
        undriven_step(optimizer, old)
    optimizer.add_param_group({"params": [new], "lr": 0.01})
    optimizer.add_param_group({"params": [free], "decay_scale": 0.0})
    undriven_step(optimizer, old, new, free, steps=10)
    halfway = Path(10, "follow-lr", LR)
    for _ in range(15):
        halfway.step(LR / 2)
    assert off(old, halfway.kept) <= TOLERANCES[torch.float64]
    assert off(new, 0.5) <= TOLERANCES[torch.float64]
    assert off(free, 1.0) == 0
    assert held.mechanisms[2] == "left alone"


def test_a_penalty_is_held():
    """SGD's knob is the penalty, whatever somebody writes into it."""
    one, other = weight_of(), weight_of()
    held_by = SGD([{"params": [one], "decay_scale": 2.0}], lr=LR, momentum=0.9)
    by_hand = SGD([other], lr=LR, momentum=0.9, weight_decay=2e-3)
    held = DecayController(held_by, penalty=1e-3)
    for _ in range(20):
        held_by.param_groups[0]["weight_decay"] = 7.0
        undriven_step(held_by, one)
        undriven_step(by_hand, other)
    assert torch.equal(one, other)
    assert (held.mechanisms, held.half_life_steps) == (("penalty",), None)


def test_half_life_for_ever():
    """An infinite half-life decays nothing, though the knob was set."""
    weight = weight_of()
    optimizer = AdamW([weight], lr=LR, weight_decay=0.1)
    DecayController(optimizer, half_life="inf steps")
    undriven_step(optimizer, weight)
    assert off(weight, 1.0) == 0


def test_a_group_without_marker_beside_marked_ones():
    """Where some groups are marked, one with neither marker nor decay is left alone."""
    groups = [{"params": [weight_of()], "decay_scale": 1.0}, {"params": [weight_of()]}]
    held = DecayController(SGD(groups, lr=LR), half_life="10 steps")
    assert held.mechanisms == ("native", "left alone")


def _sparse(weight):
    return torch.zeros_like(weight).to_sparse(1)


@pytest.mark.parametrize("gradient", [torch.zeros_like, _sparse], ids=["", "sparse"])
def test_sgd_may_gain_a_momentum_and_lose_it(gradient):
    """Its knob is used in the steps without momentum, and the path is the same.

    The buffer of the steps with momentum never has a decay in it.
    """
    weight = weight_of(start=(5.0, 2.0, -1.0, 0.1))
    optimizer = SGD([weight], lr=LR, weight_decay=0.1)
    held = DecayController(optimizer, half_life="10 steps")
    path, knobs = Path(10, "follow-lr", LR), []
    for momentum in (0.0, 0.0, 0.9, 0.5, 0.0, 0.9, 0.0):
        optimizer.param_groups[0]["momentum"] = momentum
        weight.grad = gradient(weight)
        optimizer.step()
        knobs.append(optimizer.param_groups[0]["weight_decay"] > 0)
        kept = path.step(LR)
        assert off(weight, kept, (5.0, 2.0, -1.0, 0.1)) <= TOLERANCES[torch.float64]
    assert held.mechanisms == ("native",)
    with_knob = [True, True, False, False, True, False, True]
    assert knobs == (with_knob if gradient is torch.zeros_like else [False] * 7)


def test_sparse_gradients_that_a_closure_makes():
    """Nobody knows before the step that they will be: the weights are multiplied."""
    layer = torch.nn.Embedding(4, 2, sparse=True, dtype=torch.float64)
    before = layer.weight.detach().clone()
    optimizer = SGD([{"params": layer.weight, "decay_scale": 1.0}], lr=LR)
    DecayController(optimizer, half_life="10 steps")

    def closure():
        optimizer.zero_grad()
        loss = 0.0 * layer(torch.tensor([1, 3])).sum()
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(closure)
    assert (layer.weight / before).flatten().tolist() == digits([0.5] * 8, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sgd_in_16_bits_is_multiplied(dtype):
    """Beside a large gradient a decay that is added to it would be rounded away.

    At 1e-3 · 0.07 of a weight of 1 the decay is below the last digit of a gradient
    of 3, whose decay would be 0 on most steps.
    """
    optimizer = SGD([weight_of(dtype)], lr=LR)
    assert DecayController(optimizer, half_life="30 steps").mechanisms == ("multiply",)


def test_an_empty_group_is_fine():
    """A group without parameters decays nothing and breaks nothing."""
    weight = weight_of()
    optimizer = AdamW([{"params": [weight]}, {"params": []}], lr=LR)
    DecayController(optimizer, half_life="1 steps")
    undriven_step(optimizer, weight)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]
