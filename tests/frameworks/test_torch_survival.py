"""Every torch knob against the real optimizer, with zero gradients in float64."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from oracle.paths import survival_path
from tolerance import digits

from dwindle.decay.families import FAMILIES
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

WARM_COSINE = Schedule(shape="cosine", warmup=0.05, final=0.01)
SCHEDULES = [
    Schedule(),
    WARM_COSINE,
    Schedule(shape="linear", warmup=0.1),
    Schedule(shape="wsd", warmup=0.1, decay_share=0.3, final=0.1),
]
STEPS = 300


@dataclass(frozen=True)
class Setting:
    """An optimizer with its options, and the run that stands for them."""

    optimizer: Callable[..., torch.optim.Optimizer]
    family: str
    weight_decay: float
    lr: float = 0.01
    options: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def run(self, schedule, steps=STEPS):
        return Run(lr=self.lr, schedule=schedule, steps=steps, **self.facts)


def measured_path(setting, schedule, steps=STEPS, weight_decay=None):
    """Weights after each step of the real optimizer when no gradient pulls at them."""
    knob = setting.weight_decay if weight_decay is None else weight_decay
    # Muon takes matrices only, and the others do not mind.
    start = torch.tensor([[1.0, -2.0, 0.5], [3e-3, 40.0, -1.0]], dtype=torch.float64)
    weight = start.clone().requires_grad_()
    optimizer = setting.optimizer(
        [weight], lr=setting.lr, weight_decay=knob, **setting.options
    )
    path = []
    for multiplier in schedule.multipliers(steps):
        optimizer.param_groups[0]["lr"] = setting.lr * multiplier
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append((weight.detach() / start).flatten().tolist())
    return path


def sgd(momentum=0.0, dampening=0.0, *, nesterov=False, weight_decay=0.02, **options):
    facts = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov}
    options = facts | options
    return Setting(torch.optim.SGD, "coupled-sgd", weight_decay, 0.05, options, facts)


def decoupled(optimizer, lr=0.01, **options):
    return Setting(optimizer, "decoupled", 0.5, lr, options)


FLAG = {"decoupled_weight_decay": True}
EXACT = {
    "SGD": sgd(),
    "SGD dampening without momentum": sgd(0.0, 0.5),
    "SGD momentum": sgd(0.9),
    "SGD momentum, foreach": sgd(0.9, foreach=True),
    "SGD momentum, fused": sgd(0.9, fused=True),
    "SGD momentum, maximize": sgd(0.9, maximize=True),
    "SGD dampening": sgd(0.9, 0.3),
    "SGD moving average": sgd(0.9, 0.9),
    "SGD Nesterov": sgd(0.9, nesterov=True),
    "SGD Nesterov 0.5": sgd(0.5, nesterov=True),
    "SGD long memory": sgd(0.99, weight_decay=4e-4),
    "AdamW": decoupled(torch.optim.AdamW),
    "AdamW foreach": decoupled(torch.optim.AdamW, foreach=True),
    "AdamW fused": decoupled(torch.optim.AdamW, fused=True),
    "AdamW amsgrad": decoupled(torch.optim.AdamW, amsgrad=True),
    "AdamW maximize": decoupled(torch.optim.AdamW, maximize=True),
    "Adam, decoupled": decoupled(torch.optim.Adam, **FLAG),
    "NAdam, decoupled": decoupled(torch.optim.NAdam, **FLAG),
    "RAdam, decoupled": decoupled(torch.optim.RAdam, **FLAG),
    "Adafactor": decoupled(torch.optim.Adafactor),
    "Muon": decoupled(torch.optim.Muon),
    "Muon, Adam's update size": decoupled(
        torch.optim.Muon, adjust_lr_fn="match_rms_adamw"
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.shape)
@pytest.mark.parametrize("name", EXACT)
def test_what_the_real_optimizer_leaves_is_what_we_predict(name, schedule):
    """Along the whole path, every weight is the predicted share of its start."""
    setting = EXACT[name]
    run, family = setting.run(schedule), FAMILIES[setting.family]
    # 1e-12: three hundred steps, each rounding a weight once or twice at 1e-16.
    predicted = survival_path(family, setting.weight_decay, run)[1:]
    for shares, share in zip(measured_path(setting, schedule), predicted, strict=True):
        assert shares == digits([share] * 6, rel=1e-12)
    survival = family.survival(setting.weight_decay, run)
    assert shares == digits([survival] * 6, rel=1e-12)
    # 1e-11: the logarithm of a share near 1 magnifies its error by up to ten.
    e_folds = family.e_folds(setting.weight_decay, run)
    assert -math.log(shares[0]) == digits(e_folds, rel=1e-11)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.shape)
def test_a_weight_that_swings_through_zero(schedule):
    """Forty times beyond the oscillation limit the path is still torch's."""
    setting = sgd(0.99, weight_decay=0.02)
    predicted = survival_path(FAMILIES["coupled-sgd"], 0.02, setting.run(schedule))[1:]
    path = [shares[0] for shares in measured_path(setting, schedule)]
    # A weight near zero has the rounding of the weights around it, up to 1.
    assert path == pytest.approx(predicted, rel=1e-12, abs=1e-13)
    assert min(path) < 0


@pytest.mark.parametrize("name", ["SGD momentum", "SGD dampening", "SGD Nesterov"])
def test_after_a_while_momentum_takes_the_shrink_of_the_slow_root(name):
    """One step late in a run at constant lr takes the asymptotic shrink."""
    setting = EXACT[name]
    before, after = measured_path(setting, Schedule())[-2:]
    shrink = FAMILIES["coupled-sgd"].shrink_per_step(
        setting.weight_decay, setting.run(Schedule())
    )
    # The fast root, 0.92 of the slow one, is 1e-11 of it by then, and the shrink of
    # about 0.01 is a difference of numbers near 1.
    assert 1 - after[0] / before[0] == digits(shrink, rel=1e-8)


@pytest.mark.parametrize("name", ["SGD momentum", "SGD Nesterov", "AdamW", "Muon"])
def test_a_knob_for_half_a_weight_halves_it(name):
    """The inverse too: the knob for ln 2 e-folds, typed into torch, leaves one half."""
    setting = EXACT[name]
    run = setting.run(WARM_COSINE)
    knob = FAMILIES[setting.family].knob_for_e_folds(math.log(2), run)
    path = measured_path(setting, WARM_COSINE, weight_decay=knob)
    assert path[-1] == digits([0.5] * 6, rel=1e-12)  # as above


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


ASGD = Setting(torch.optim.ASGD, "asgd", 0.3, 0.02)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.usefixtures("double_by_default")
def test_both_decays_of_asgd(weight_decay):
    """Also the one that is on by default; exact where torch keeps eta in float64."""
    path = measured_path(ASGD, WARM_COSINE, weight_decay=weight_decay)
    predicted = survival_path(FAMILIES["asgd"], weight_decay, ASGD.run(WARM_COSINE))[1:]
    assert [shares[0] for shares in path] == digits(predicted, rel=1e-12)  # as above


def test_asgd_keeps_its_step_size_in_float32():
    """With torch's default dtype the step size rounds, and with it the decay."""
    path = measured_path(ASGD, WARM_COSINE)
    survival = FAMILIES["asgd"].survival(0.3, ASGD.run(WARM_COSINE))
    # Each step size is off by at most 2^-24, so the e-folds (here about 0.9) are too.
    assert path[-1] == digits([survival] * 6, rel=2**-24)
    assert path[-1] != digits([survival] * 6, rel=1e-12)
