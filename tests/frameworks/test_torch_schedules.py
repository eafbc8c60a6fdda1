"""Every schedule beside the scheduler of torch that has it, step by step."""

import math
import warnings
from functools import partial

import pytest
import torch
from oracle import decay_by_hand
from tolerance import digits
from torch.optim import lr_scheduler

from dwindle.decay import long_runs
from dwindle.decay.coordinates import (
    e_folds_from_number,
    number_from_e_folds,
    survival_from_number,
)
from dwindle.decay.families import SGD
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import facts_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

STEPS, PEAK = 120, 0.2
ONE_CYCLE = partial(lr_scheduler.OneCycleLR, max_lr=PEAK, total_steps=STEPS)
LINEAR_CYCLE = partial(ONE_CYCLE, anneal_strategy="linear")
RESTARTS = lr_scheduler.CosineAnnealingWarmRestarts
# What OneCycleLR is given otherwise than it comes, and what is said of it here.
OF_A_CYCLE = {"pct_start": 0.21, "div_factor": 10, "final_div_factor": 100}
SAID = {"warmup": 0.21, "start": 0.1, "final": 0.001}
SAME = {
    "multistep": (
        partial(lr_scheduler.MultiStepLR, milestones=[30, 60, 61], gamma=0.3),
        {"milestones": "30,60,61 steps", "gamma": 0.3}),
    "step": (partial(lr_scheduler.StepLR, step_size=13, gamma=0.5),
             {"period": "13 steps", "gamma": 0.5}),
    "exponential": (partial(lr_scheduler.ExponentialLR, gamma=0.97),
                    {"period": "1 steps", "gamma": 0.97}),
    "polynomial": (partial(lr_scheduler.PolynomialLR, total_iters=STEPS, power=0.9),
                   {"power": 0.9}),
    "cosine": (
        partial(lr_scheduler.CosineAnnealingLR, T_max=STEPS, eta_min=0.1 * PEAK),
        {"final": 0.1}),
    "linear": (
        partial(lr_scheduler.LinearLR, start_factor=0.25, end_factor=1,
                total_iters=STEPS),
        {"start": 0.25, "final": 1}),
    "cosine-restarts": (partial(RESTARTS, T_0=10, T_mult=2, eta_min=0.05 * PEAK),
                        {"period": "10 steps", "growth": 2, "final": 0.05}),
    "CosineAnnealingWarmRestarts": (partial(RESTARTS, T_0=7), {"period": "7 steps"}),
    "one-cycle": (ONE_CYCLE, {}),
    "one-cycle-linear": (LINEAR_CYCLE, {}),
    "one-cycle-three-phase": (partial(ONE_CYCLE, three_phase=True), {}),
    "one-cycle-linear-three-phase": (partial(LINEAR_CYCLE, three_phase=True), {}),
    "OneCycleLR": (
        partial(ONE_CYCLE, **OF_A_CYCLE, base_momentum=0.7, max_momentum=0.9),
        {**SAID, "cycled_momentum": (0.7, 0.9)}),
}  # fmt: skip


def along(scheduler, steps=STEPS, **options):
    """Yield lr, momentum and weight of SGD with zero gradients under a scheduler."""
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD(
        [weight], **{"lr": PEAK, "momentum": 0.95, "weight_decay": 0.01, **options}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are stepped once beyond their end
        scheduler = scheduler(optimizer)
        for _ in range(steps):
            group = optimizer.param_groups[0]
            weight.grad = torch.zeros_like(weight)
            optimizer.step()
            yield group["lr"], group["momentum"], weight.item()
            if scheduler.last_epoch + 1 < STEPS:
                scheduler.step()


def test_every_lr_and_momentum_is_that_of_torch():
    """Multiplier by multiplier, and the momentum where the scheduler moves it too."""
    wrong = {}
    for name, (scheduler, parameters) in SAME.items():
        schedule = Schedule(shape=name, **parameters)
        lrs, momenta, _ = zip(*along(scheduler), strict=True)
        found = [PEAK * each for each in schedule.multipliers(STEPS)]
        # abs 1e-15: torch forms some of them step from step.
        off = max(abs(a - b) for a, b in zip(found, lrs, strict=True))
        cycle = schedule.momenta(STEPS)
        if cycle is not None:
            pairs = zip(cycle.listed, momenta, strict=True)
            off = max(off, *(abs(a - b) for a, b in pairs))
        if off > 1e-15:
            wrong[name] = off
    assert wrong == {}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", [*SAME])
def test_what_sgd_leaves_along_each(name, nesterov):
    """Survival is the weight of the real optimizer, its momentum moved along."""
    scheduler, parameters = SAME[name]
    *_, (_, _, weight) = along(scheduler, nesterov=nesterov)
    run = Run(
        lr=PEAK,
        momentum=0.95,
        nesterov=nesterov,
        steps=STEPS,
        schedule=Schedule(shape=name, **parameters),
    )
    sgd = KNOBS["torch.optim.SGD"]
    assert survival_from_number(sgd, 0.01, run) == digits(weight, rel=1e-12)
    wanted = e_folds_from_number(sgd, 1e-3, run)
    assert number_from_e_folds(sgd, wanted, run) == digits(1e-3, rel=1e-9)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_long_cycle_is_its_walk(nesterov):
    """What a few places sum is what all steps give, where the momentum moves too."""
    steps = 60_000
    run = Run(
        lr=0.05,
        nesterov=nesterov,
        momentum=0.9,
        steps=steps,
        schedule=Schedule(shape="one-cycle"),
        decay_schedule="cosine from 10%",
    )
    run = facts_of(KNOBS["torch.optim.SGD"], run)
    found = SGD.e_folds(1e-3, run)
    path = decay_by_hand.sgd_steps(
        [0.05 * each for each in run.multipliers()],
        [1e-3 * each for each in run.decay_schedule.multipliers(steps)],
        momenta=run.schedule.momenta(steps).listed,
        nesterov=nesterov,
    )
    assert steps > long_runs.LONGEST_WALK
    assert found == digits(-math.log(path), rel=1e-11)
