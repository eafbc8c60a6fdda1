"""A probe with a schedule: what the run leaves is what our mathematics says."""

import math

import pytest
import torch
from pytorch.test_scheduler_pace import PER_EPOCH, PER_STEP
from pytorch.untouched import left_alone
from tolerance import digits
from torch import nn
from torch.optim import lr_scheduler

from dwindle.decay.coordinates import survival_from_number
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.follow_schedule import ASKED
from dwindle.pytorch.probe import probe

STEPS = 60
KINDS = {
    "torch.optim.AdamW": (torch.optim.AdamW, {}),
    "torch.optim.SGD": (torch.optim.SGD, {"momentum": 0.9}),
}


def parameters():
    return [nn.Parameter(torch.randn(3, 5))]


@pytest.mark.parametrize("name", KINDS)
def test_what_a_cosine_leaves_is_what_we_compute(name):
    """The copies go along the schedule as the real ones would."""
    kind, options = KINDS[name]
    optimizer = kind(parameters(), lr=0.05, weight_decay=0.01, **options)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    run = Run(lr=0.05, steps=STEPS, schedule=Schedule(shape="cosine"), **options)
    expected = survival_from_number(KNOBS[name], 0.01, run)
    with left_alone(optimizer):
        (group,) = probe(optimizer, scheduler=scheduler, steps=STEPS).groups
    assert group.kept == digits(expected, rel=1e-12)  # sixty steps in float64
    assert group.run_steps == STEPS


def test_computed_and_watched_runs_agree():
    """One group that does not decouple makes the copy step; the others come out alike.

    The copy multiplies the weights; otherwise only lr and knob are read.
    """
    one = {"params": parameters(), "decoupled_weight_decay": True}
    other = {"params": parameters(), "decoupled_weight_decay": False}
    alone = torch.optim.Adam([dict(one)], lr=0.1, weight_decay=0.1)
    both = torch.optim.Adam([dict(one), other], lr=0.1, weight_decay=0.1)
    kept = [
        probe(
            each, scheduler=lr_scheduler.StepLR(each, 7, gamma=0.5), steps=STEPS
        ).groups
        for each in (alone, both)
    ]
    assert kept[0][0].e_folds == digits(kept[1][0].e_folds, rel=1e-12)
    assert kept[1][1].kept is None


SCHEDULERS = PER_STEP | {
    "ChainedScheduler": PER_EPOCH["ChainedScheduler"],
    "none": lambda _: None,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_followed_and_left_where_it_was(name):
    """What the probe says is what the real run then does; nothing moved before."""
    weights = [nn.Parameter(torch.ones(2, 2, dtype=torch.float64))]
    optimizer = torch.optim.AdamW(weights, lr=0.1, weight_decay=0.1)
    scheduler = SCHEDULERS[name](optimizer)
    before = scheduler and repr(scheduler.state_dict())
    with left_alone(optimizer):
        (group,) = probe(optimizer, scheduler=scheduler, steps=STEPS).groups
    assert (scheduler and repr(scheduler.state_dict())) == before
    for step in range(STEPS):
        weights[0].grad = torch.zeros_like(weights[0])
        optimizer.step()
        if scheduler and step + 1 < STEPS:
            scheduler.step()
    left = weights[0].detach().flatten().tolist()
    assert left == digits([group.kept] * 4, rel=1e-12)  # sixty steps in float64


def optimizer_of_one():
    return torch.optim.AdamW(parameters(), lr=0.1)


@pytest.mark.parametrize("steps", [None, 0, 30.5, "30", math.nan, True])
def test_a_schedule_without_a_length_is_refused(steps):
    """How long the run is, no scheduler says; it has whole steps."""
    optimizer = optimizer_of_one()
    scheduler = lr_scheduler.ConstantLR(optimizer)
    with pytest.raises(RangeError) as raised:
        probe(optimizer, scheduler=scheduler, steps=steps)
    assert raised.value.name == "steps"


REFUSED = {
    "a metric": (lr_scheduler.ReduceLROnPlateau, 10),
    "another optimizer": (lambda _: lr_scheduler.ConstantLR(optimizer_of_one()), 10),
    "a function": (lambda _: lambda step: step, 10),
    "no lr on the way": (
        lambda o: lr_scheduler.LambdaLR(o, lambda t: math.nan if t else 1.0),
        10,
    ),
    "an end": (lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS), STEPS + 5),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_scheduler_that_cannot_be_followed_is_refused(name):
    """A metric is known in training only, an lr of others is none, a plan may end."""
    build, steps = REFUSED[name]
    optimizer = optimizer_of_one()
    with pytest.raises(RefusedError) as raised:
        probe(optimizer, scheduler=build(optimizer), steps=steps)
    assert raised.value.asked == ASKED
    if name == "an end":  # where it is
        assert f"after {STEPS} steps" in raised.value.why
