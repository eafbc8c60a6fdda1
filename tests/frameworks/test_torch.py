"""Every torch knob, optimizer and schedule beside the real one, in float64."""

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
from frameworks.checks import of_torch
from frameworks.checks.check import SIXTY_STEPS
from frameworks.checks.torch_like import left_of
from oracle import decay_by_hand
from oracle.paths import survival_path
from tolerance import digits
from torch.optim import lr_scheduler

from dwindle.decay import long_runs
from dwindle.decay.coordinates import (
    e_folds_from_number,
    number_from_e_folds,
    survival_from_number,
)
from dwindle.decay.families import AT_ZERO_GRADIENT, FAMILIES, SGD
from dwindle.decay.knobs import KNOBS
from dwindle.decay.own_facts import facts_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RefusedError

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


TORCH_KNOBS = {name: KNOBS[name] for name in KNOBS if name.startswith("torch.optim.")}
# These have no such argument: a penalty for them is written into the loss.
WITHOUT_A_KNOB = {"LBFGS", "Optimizer", "Rprop", "SparseAdam"}


@pytest.mark.parametrize("check", of_torch.CHECKS, ids=lambda check: check.label)
def test_the_optimizer_does_what_the_record_predicts(check):
    """Under warm-up, cosine and momentum: survival, trajectory, or that λ cancels."""
    # Sixty steps here round at 1e-16 each, so a prediction is held to more than the
    # nine digits that all libraries have.
    is_exact = check.kind == "undriven weight" and check.why == SIXTY_STEPS
    rel = 1e-12 if is_exact else check.rel
    assert check.theirs() == digits(check.ours(), rel=rel)


def test_a_coupled_adaptive_record_refuses_a_number():
    """It has no rate to predict, and the error names what to use instead."""
    for name, knob in TORCH_KNOBS.items():
        if knob.family == "coupled-adaptive":
            with pytest.raises(RefusedError) as raised:
                survival_from_number(knob, 0.01, Run(lr=0.01, steps=60))
            assert raised.value.instead == FAMILIES[knob.family].instead, name


def test_every_optimizer_of_torch_has_a_record_with_its_default():
    """Every optimizer with a weight_decay is in the table, and none beside."""
    public = {name for name in dir(torch.optim) if name[0].isupper()}
    named = set()
    for name, knob in TORCH_KNOBS.items():
        kind = getattr(torch.optim, name.partition(":")[0].rpartition(".")[2])
        parameters = inspect.signature(kind).parameters
        assert knob.default == parameters[knob.symbol].default, name
        is_flag = "decoupled_weight_decay" in parameters
        assert (f"torch.optim.{kind.__name__}:decoupled" in KNOBS) == is_flag, name
        named.add(kind.__name__)
    assert named == public - WITHOUT_A_KNOB


LR, LOW, HIGH = 1e-3, 1e-4, 1e-2
NAMES = ["Adam", "NAdam", "RMSprop", "Adagrad"]
two_schedules = pytest.mark.parametrize(
    "schedule", SCHEDULES[:2], ids=lambda s: s.shape
)


def survival(name, weight_decay, schedule, **options):
    """What the real optimizer leaves of a weight that no gradient pulls at."""

    def build(weights, lr, number):
        kind = getattr(torch.optim, name)
        return kind(weights, lr=lr, weight_decay=number, **options)

    run = Run(lr=LR, steps=STEPS, schedule=schedule)
    return left_of(build)(weight_decay, run)[0]


@two_schedules
# The update is the same function of λ w for every λ; without eps only roundings differ.
# As it comes eps is 1e-8 (Adagrad: 1e-10) and λ w at least 1e-4, so √v is off by 1e-4
# of itself; RMSprop's √v starts at a tenth, so by up to ten times that at first.
@pytest.mark.parametrize(("options", "rel"), [({"eps": 1e-30}, 1e-11), ({}, 1e-3)])
@pytest.mark.parametrize("name", NAMES)
def test_lambda_cancels_but_for_eps(name, options, rel, schedule):
    """The gradient λ w is divided by its own size: λ has no effect.

    This is why dwindle gives no half-life for them.
    """
    low, high = (survival(name, x, schedule, **options) for x in (LOW, HIGH))
    assert low < 0.999  # it does decay
    assert 1 - low == digits(1 - high, rel=rel)


@two_schedules
def test_radam_divides_from_its_sixth_step_on(schedule):
    """Five steps without division decay by λ lr each; the rest do not know λ."""
    low, high = (survival("RAdam", x, schedule, eps=1e-30) for x in (LOW, HIGH))
    assert low < 0.99
    first_steps = 5 * LR * (HIGH - LOW)  # an upper bound: warm-up makes them smaller
    assert 0 < low - high < 1.1 * first_steps


@pytest.mark.parametrize(
    ("name", "early", "late", "text"),
    [
        ("Adam", 1, 1, "about one lr per step"),
        ("NAdam", 1, 1, "about one lr per step"),
        ("Adamax", 1, 1, "about one lr per step"),
        ("RMSprop", 1.4, 1, "1.4 lr per step at first and one lr later"),
        ("Adagrad", 0.11, 0.02, "lr/√t in step t"),  # means of 1/√t
        ("RAdam", 0.25, 0.87, "a quarter of an lr per step in the first 300"),
        ("Adadelta", 0.005, 0.016, "thousandths of an lr per step at first"),
    ],
)
def test_what_a_step_takes_of_a_weight_with_zero_gradient(name, early, late, text):
    """Lost per step over the lr, at first and later, is what the refusal states."""
    weight = torch.full((2,), 50.0, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([weight], lr=LR, weight_decay=HIGH)
    path = [50.0]
    for _ in range(3000):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append(weight[0].item())
    first, then = (path[0] - path[300]) / 300 / LR, (path[2000] - path[3000]) / LR / 1e3
    assert first == digits(early, rel=0.05)  # the sentence has one or two digits
    assert then == digits(late, rel=0.05)
    update = {"Adam": "adam", "RAdam": "radam"}.get(name, f"torch-{name.lower()}")
    assert text in AT_ZERO_GRADIENT[update]


LENGTH, PEAK = 120, 0.2
ONE_CYCLE = partial(lr_scheduler.OneCycleLR, max_lr=PEAK, total_steps=LENGTH)
LINEAR_CYCLE = partial(ONE_CYCLE, anneal_strategy="linear")
RESTARTS = lr_scheduler.CosineAnnealingWarmRestarts
# What OneCycleLR is given otherwise than by default, and the same as our facts.
OF_A_CYCLE = {"pct_start": 0.21, "div_factor": 10, "final_div_factor": 100}
GIVEN = {"warmup": 0.21, "start": 0.1, "final": 0.001}
SAME = {
    "multistep": (
        partial(lr_scheduler.MultiStepLR, milestones=[30, 60, 61], gamma=0.3),
        {"milestones": "30,60,61 steps", "gamma": 0.3}),
    "step": (partial(lr_scheduler.StepLR, step_size=13, gamma=0.5),
             {"period": "13 steps", "gamma": 0.5}),
    "exponential": (partial(lr_scheduler.ExponentialLR, gamma=0.97),
                    {"period": "1 steps", "gamma": 0.97}),
    "polynomial": (partial(lr_scheduler.PolynomialLR, total_iters=LENGTH, power=0.9),
                   {"power": 0.9}),
    "cosine": (
        partial(lr_scheduler.CosineAnnealingLR, T_max=LENGTH, eta_min=0.1 * PEAK),
        {"final": 0.1}),
    "linear": (
        partial(lr_scheduler.LinearLR, start_factor=0.25, end_factor=1,
                total_iters=LENGTH),
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
        {**GIVEN, "cycled_momentum": (0.7, 0.9)}),
}  # fmt: skip


def along(scheduler, steps=LENGTH, **options):
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
            if scheduler.last_epoch + 1 < LENGTH:
                scheduler.step()


def test_every_lr_and_momentum_is_that_of_torch():
    """Multiplier by multiplier, and the momentum where the scheduler moves it too."""
    wrong = {}
    for name, (scheduler, parameters) in SAME.items():
        schedule = Schedule(shape=name, **parameters)
        lrs, momenta, _ = zip(*along(scheduler), strict=True)
        found = [PEAK * each for each in schedule.multipliers(LENGTH)]
        # abs 1e-15: torch forms some of them step from step.
        off = max(abs(a - b) for a, b in zip(found, lrs, strict=True))
        cycle = schedule.momenta(LENGTH)
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
        steps=LENGTH,
        schedule=Schedule(shape=name, **parameters),
    )
    knob = KNOBS["torch.optim.SGD"]
    assert survival_from_number(knob, 0.01, run) == digits(weight, rel=1e-12)
    wanted = e_folds_from_number(knob, 1e-3, run)
    assert number_from_e_folds(knob, wanted, run) == digits(1e-3, rel=1e-9)


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
