"""What a controller cannot hold it refuses, before anything is changed."""

import math
from copy import deepcopy
from functools import partial
from types import MappingProxyType

import pytest
import torch
from pytorch.certified_torch import classes
from pytorch.held_path import START, TOLERANCES, halved, off, step_at_rest, weight_of
from pytorch.planted_optimizers import (
    CannotStep,
    DecaysSecretly,
    EachWeight,
    KeepsMasters,
    SyncsEverySixSteps,
)
from torch.optim import (
    ASGD,
    SGD,
    Adam,
    AdamW,
    RMSprop,
)

from dwindle.decay.half_life import HalfLife
from dwindle.decay.run import Run
from dwindle.errors import (
    MissingFactError,
    RangeError,
    RefusedError,
    UnknownNameError,
    UsageError,
)
from dwindle.pytorch import DecayController
from dwindle.pytorch.probe import probe

pytestmark = pytest.mark.usefixtures("quiet")


class Averages(EachWeight):
    """Steps a separate point and shows the average of its path: schedule-free."""

    built = MappingProxyType({"lr": 0.1})
    rounding = 0.0

    def move(self, group, weight):
        state = self.state[weight]
        point = state.setdefault("point", weight.clone())
        state["steps"] = state.get("steps", 0) + 1
        point.sub_(weight.grad, alpha=group["lr"])
        weight.lerp_(point, 1 / state["steps"]).mul_(1 - self.rounding)


class Rounds(Averages):
    """What rounding takes is no decay of the optimizer's."""

    rounding = 1e-12


class DecaysUnder(EachWeight):
    """Decouples, but by another number than the weight_decay of its groups."""

    built = MappingProxyType({"lr": 0.1, "weight_decay": 0.05})

    def move(self, group, weight):
        lr, decay = group["lr"], group.get("wd", 0.05)
        weight.mul_(1 - lr * decay).sub_(weight.grad, alpha=lr)


class DecaysUnderWd(DecaysUnder):
    """That number has a name, and weight_decay is none."""

    built = MappingProxyType({"lr": 0.1, "wd": 0.05})


class TrustRatio(EachWeight):
    """Scales its step by the norm of the weight where it decays: LARS, LAMB."""

    always = False

    def move(self, group, weight):
        pull = weight.grad + group["weight_decay"] * weight
        ratio = weight.norm() / (pull.norm() + 1e-6)
        trusted = self.always or group["weight_decay"] > 0
        weight.sub_(pull, alpha=group["lr"] * (ratio if trusted else 1.0))


class AlwaysTrusts(TrustRatio):
    """Also where nothing decays."""

    always = True


class Clips(EachWeight):
    """Decouples, but divides its lr where gradients are large: StableAdamW."""

    def move(self, group, weight):
        lr = group["lr"] / max(1.0, weight.grad.abs().max().item())
        weight.mul_(1 - lr * group["weight_decay"]).sub_(weight.grad, alpha=lr)


class SparesSmall(EachWeight):
    """Decouples, but lets small weights be."""

    def move(self, group, weight):
        large, lr = (weight.abs() > 0.4).to(weight.dtype), group["lr"]
        weight.mul_(1 - lr * group["weight_decay"] * large)
        weight.sub_(weight.grad, alpha=lr)


@pytest.mark.parametrize("kind", [SparesSmall, Clips])
def test_a_knob_that_entries_or_gradients_change_is_not_used(kind):
    """One entry that strays is enough: those at rest decay exactly by other means."""
    weight = weight_of()
    optimizer = kind([weight])
    held = DecayController(optimizer, half_life="10 steps")
    for _ in range(10):
        weight.grad = torch.tensor([0.0, 0.0, 0.0, 50.0], dtype=torch.float64)
        optimizer.step()
    assert held.mechanisms == ("multiply",)
    assert off(weight[:3], 0.5, START[:3]) <= TOLERANCES[torch.float64]


WOULD_NOT = {
    "ASGD": ASGD,
    "averages": Averages,
    "rounds": Rounds,
    "Lookahead": SyncsEverySixSteps,
    "masters": KeepsMasters,
    "secret": DecaysSecretly,
    "wd": DecaysUnderWd,
    "its own number": DecaysUnder,
    "LARS": TrustRatio,
    "no step": partial(CannotStep, lr=0.1),
}
# What the reason has beside the sentences of its kind.
IN_THE_REASON = {
    "wd": "Left to itself, a step takes 0.005 of it off",
    "its own number": "At weight_decay=0 a step takes 0.005 of it off",
}


@pytest.mark.parametrize("name", WOULD_NOT)
def test_an_optimizer_that_would_not_decay_as_requested(name):
    """It is found out on a copy; the optimizer itself stays as it was."""
    weight = weight_of()
    optimizer = WOULD_NOT[name]([weight])
    before = deepcopy(optimizer.state_dict())
    with pytest.raises(RefusedError) as raised:
        DecayController(optimizer, half_life="10 steps")
    assert IN_THE_REASON.get(name, "") in raised.value.why
    assert ("average or look back" in raised.value.instead) == (
        name in {"averages", "rounds", "Lookahead", "masters"}
    )
    assert optimizer.state_dict() == before
    assert not optimizer._optimizer_step_pre_hooks
    assert off(weight, 1.0) == 0


@pytest.mark.parametrize("build", [partial(ASGD, lambd=0), AlwaysTrusts])
def test_the_remedy_works(build):
    """ASGD without its hidden decay and a trust ratio that stays are held."""
    weight = weight_of()
    halved(build([weight]), weight)


def test_a_group_that_should_rest_and_does_not():
    """A hidden decay is found in a group that is left alone, too."""
    groups = [{"params": [weight_of()], "decay_scale": 0.0}]
    with pytest.raises(RefusedError, match=r"instead of 1\."):
        DecayController(DecaysSecretly(groups), half_life="10 steps")


OPTIONS = {"SGD": {"lr": 0.1, "momentum": 0.9}, "ASGD": {"lambd": 0}}


def test_the_probe_and_the_controller_agree():
    """The knob is used where the probe finds that it decouples, and by still SGD."""
    builds = [
        partial(kind, **OPTIONS.get(name, {})) for name, kind in classes().items()
    ]
    still, decoupled = SGD, partial(Adam, decoupled_weight_decay=True)
    for build in (*builds, still, decoupled, partial(RMSprop, momentum=0.9)):
        optimizer = build([torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))])
        by_knob = probe(optimizer).groups[0].decouples or build is still
        held = DecayController(optimizer, half_life="10 steps")
        assert held.mechanisms == ("native" if by_knob else "multiply",), build


FACT = {"caller": "DecayController", "has_epochs": True}


@pytest.mark.parametrize(
    ("options", "kind", "facts"),
    [
        ({"half_life": "3 epochs"}, MissingFactError, {"fact": "dataset_size", **FACT}),
        ({"half_life": "3 examples"}, MissingFactError, {"fact": "batch_size", **FACT}),
        ({"half_life": "20% of the run"}, MissingFactError, {"fact": "steps", **FACT}),
        ({"half_life": "1e9 tokens"}, MissingFactError, {"fact": "batch_size", **FACT}),
        ({"penalty": 1e-4}, RefusedError, {}),  # AdamW's knob is none
        ({}, UsageError, {"got": "neither"}),
        ({"half_life": "9 steps", "penalty": 1e-4}, UsageError, {"got": "both"}),
        ({"half_life": 3}, RangeError, {"name": "half_life", "value": 3}),
        ({"half_life": "0 steps"}, RangeError, {"name": "half_life"}),
        ({"half_life": "9 fortnights"}, UnknownNameError, {"name": "fortnights"}),
        ({"penalty": -1.0}, RangeError, {"name": "penalty", "value": -1.0}),
        ({"half_life": "9 steps", "schedule": "cosine"}, UnknownNameError,
         {"kind": "schedule", "name": "cosine"}),
        ({"half_life": "9 steps", "lr_peak": [1.0, 2.0]}, RangeError,
         {"name": "lr_peak", "value": [1.0, 2.0]}),
        ({"half_life": "9 steps", "lr_peak": 0.0}, RangeError,
         {"name": "lr_peak", "value": "0.0"}),
        ({"half_life": "9 steps", "batch_size": 0}, RangeError, {"name": "batch_size"}),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(options, kind, facts):
    """Each slip is a distinct error that carries what was given."""
    with pytest.raises(kind) as raised:
        DecayController(AdamW([weight_of()]), **options)
    assert {name: getattr(raised.value, name) for name in facts} == facts


def test_a_decay_with_a_schedule_is_set_step_by_step():
    """What to write instead decays by the sum over the schedule."""
    run = Run(lr=0.1, steps=40, decay_schedule="cosine from 10%")
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = AdamW([weight], lr=0.1)
    with pytest.raises(RefusedError) as raised:
        DecayController(optimizer, half_life="20 steps", run=run)
    assert "controller.half_life" in raised.value.instead
    controller = DecayController(optimizer, half_life="20 steps")
    for k in run.decay_schedule.multipliers(40):
        controller.half_life = HalfLife(20 / k, "steps")
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    left = 0.5 ** sum(k / 20 for k in run.decay_schedule.multipliers(40))
    assert weight.item() == pytest.approx(left, rel=1e-12)


def test_an_optimizer_without_an_lr():
    """What finds its steps itself has no lr to follow; a constant decay it can have."""

    class NoLr(SGD):
        def step(self):
            pass

    weight = weight_of()
    optimizer = NoLr([weight], lr=0.1)
    optimizer.param_groups[0]["lr"] = None
    with pytest.raises(RefusedError, match=r'no lr.*Write schedule="constant"'):
        DecayController(optimizer, half_life="10 steps")
    held = DecayController(optimizer, half_life="10 steps", schedule="constant")
    step_at_rest(optimizer, weight, steps=10)
    assert held.mechanisms == ("multiply",)
    assert off(weight, 0.5) <= TOLERANCES[torch.float64]


def _refused(name):
    return pytest.raises(RangeError, check=lambda error: error.name == name)


def held():
    weight = torch.nn.Parameter(torch.ones(3))
    return torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1)


@pytest.mark.parametrize("schedule", ["follow-lr", "constant"])
@pytest.mark.parametrize("peak", ["x", True, torch.tensor(0.1), 0, -1, math.nan])
def test_a_peak_is_a_number_above_zero_under_every_schedule(peak, schedule):
    """Given or set: what is no lr is refused, with what to write."""
    wish = {"half_life": "50 steps", "schedule": schedule}
    with _refused("lr_peak"):
        DecayController(held(), lr_peak=peak, **wish)
    controller = DecayController(held(), **wish)
    for given in (peak, [peak]):
        with _refused("lr_peak"):
            controller.lr_peak = given


@pytest.mark.parametrize("size", [1.5, True, 0])
def test_a_batch_size_is_a_whole_number(size):
    """Given or set: a fraction of an example, or True, is refused."""
    wish = {"half_life": "3 epochs", "dataset_size": 1000}
    with _refused("batch_size"):
        DecayController(held(), batch_size=size, **wish)
    controller = DecayController(held(), batch_size=10, **wish)
    with _refused("batch_size"):
        controller.batch_size = size
    assert controller.batch_size == 10
