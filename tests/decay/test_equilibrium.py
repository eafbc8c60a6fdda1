"""Equilibrium: where decay and white gradients settle, exactly and by simulation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracle import white_gradients
from strategies import log_uniform
from tolerance import digits

from dwindle.decay import equilibrium as balances
from dwindle.decay.equilibrium import (
    EQUILIBRIA,
    adamw_equilibrium,
    lion_equilibrium,
    rms_at_end,
    sgd_equilibrium,
)
from dwindle.decay.momentum import shrink_per_step
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import MissingFactError, RangeError

KINDS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampened": {"momentum": 0.9, "dampening": 0.9},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@pytest.mark.parametrize("pull", [0.02, 0.1, 0.5])
def test_sgd_against_covariances_step_by_step(kind, pull):
    """RMS and angle are those that the covariance of weight and buffer settles at."""
    facts = KINDS[kind]
    options = {"momentum": 0.0, "dampening": 0.0, "nesterov": False} | facts
    run = Run(lr=0.1, **facts)
    there = sgd_equilibrium(pull / run.lr, run, gradient_noise=3.0)
    # The slowest of these (dampened, shrink 0.02) forgets by e^-100 in 5000 steps.
    step = white_gradients.sgd_step(run.lr, pull / run.lr, **options)
    rms, correlation = white_gradients.settled(step, 5000)
    # 1e-9: thousands of steps round at 1e-16 and momentum adds them up.
    assert there.rms == digits(3.0 * rms, rel=1e-9)
    assert math.cos(there.rotation_per_step) == digits(correlation, rel=1e-9)


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.98])
@pytest.mark.parametrize("shrink", [0.02, 0.1, 0.5])
def test_adamw_against_covariances_step_by_step(memory, shrink):
    """The same for a weight that shrinks and takes a moving average of noise."""
    run = Run(lr=0.1, betas=(memory, 0.999))
    there = adamw_equilibrium(shrink / run.lr, run)
    step = white_gradients.averaged_step(run.lr, shrink / run.lr, memory=memory)
    rms, correlation = white_gradients.settled(step, 5000)
    assert there.rms == digits(rms, rel=1e-9)  # as above
    assert math.cos(there.rotation_per_step) == digits(correlation, rel=1e-9)


def random_walk(optimizer_of, *, seed, noise):
    """Measure two thousand weights under a real optimizer and white gradients."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(2000, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_of([weight])

    def advance(_):
        weight.grad = noise * torch.randn(
            weight.shape, dtype=torch.float64, generator=generator
        )
        optimizer.step()
        return weight.detach().numpy().copy()

    return white_gradients.walk(advance, np.zeros(2000), burn_in=400, steps=600)


@each_kind
def test_sgd_against_a_random_walk_of_the_real_optimizer(kind):
    """torch.optim.SGD under gradients of pure noise settles at the computed RMS."""
    facts, seed = KINDS[kind], 7
    # The first order of the shrink is 0.02 a step everywhere, so that the start is
    # forgotten by e^-8 before the measurement.
    gain = (1 - facts.get("dampening", 0.0)) / (1 - facts.get("momentum", 0.0))
    weight_decay = 0.2 / gain
    rms, angle = random_walk(
        lambda parameters: torch.optim.SGD(
            parameters, lr=0.1, weight_decay=weight_decay, **facts
        ),
        seed=seed,
        noise=3.0,
    )
    there = sgd_equilibrium(weight_decay, Run(lr=0.1, **facts), gradient_noise=3.0)
    # 600 steps hold about 12 independent ones (R² forgets in 1/(2 · 0.02) = 25 steps),
    # so R has a relative standard error of 1/√(2 · 2000 · 12) = 0.5 %: four of them.
    assert rms == digits(there.rms, rel=0.02)
    assert angle == digits(there.rotation_per_step, rel=0.02)


def test_adamw_against_a_random_walk_of_the_real_optimizer():
    """torch.optim.AdamW too, for noise of any size."""
    for noise in (1e-3, 10.0):
        rms, angle = random_walk(
            lambda parameters: torch.optim.AdamW(
                parameters, lr=0.01, weight_decay=2.0, betas=(0.9, 0.999)
            ),
            seed=11,
            noise=noise,
        )
        there = adamw_equilibrium(2.0, Run(lr=0.01, betas=(0.9, 0.999)))
        # Four standard errors as above, and the second moment wavers by
        # √((1 - β₂)/(1 + β₂) · 2) = 3 % around its mean, which biases by its square.
        assert rms == digits(there.rms, rel=0.021)
        assert angle == digits(there.rotation_per_step, rel=0.021)


# Of an optimizer with momentum μ (or β₁) and dampening d: the facts, R over √(η/2λ),
# and the rotation over √(2ηλ).
LIMITS = {
    "sgd": lambda mu, d: (
        {"momentum": mu, "dampening": d if mu else 0.0},
        math.sqrt((1 - (d if mu else 0.0)) / (1 - mu)),
        math.sqrt((1 - (d if mu else 0.0)) / (1 + mu)),
    ),
    "Nesterov": lambda mu, _: (
        {"momentum": mu, "nesterov": mu > 0},
        1 / math.sqrt(1 - mu),
        math.sqrt((1 - mu) * ((1 + mu) ** 2 + mu**4 / (1 - mu**2))),
    ),
    "adamw": lambda mu, _: (
        {"betas": (mu, 0.999)},
        1.0,
        math.sqrt((1 - mu) / (1 + mu)),
    ),
}


@given(
    st.sampled_from([*LIMITS]),
    st.sampled_from([0.0, 0.5, 0.9, 0.99]),
    st.sampled_from([0.0, 0.3]),
    log_uniform(1e-15, 1e-9),
)
def test_slow_decay_is_the_literature(kind, memory, dampening, pull):
    """RMS and rotation are their square roots, to all digits as the decay slows."""
    facts, rms, rotation = LIMITS[kind](memory, dampening)
    balance = adamw_equilibrium if kind == "adamw" else sgd_equilibrium
    there = balance(pull / 0.1, Run(lr=0.1, **facts))
    # First order in the pull: off by at most pull / (1 - μ).
    assert there.rms == digits(rms * math.sqrt(0.1 / (2 * pull / 0.1)), rel=1e-6)
    assert there.rotation_per_step == digits(rotation * math.sqrt(2 * pull), rel=1e-6)


def at_end(balance, shrink, run):
    return rms_at_end(run, equilibrium=balance, shrink_per_step=shrink)


COURSES = {
    **{
        shape: (Schedule(shape=shape, warmup=0.1, final=0.02), Schedule())
        for shape in ("constant", "linear", "cosine", "wsd")
    },
    "rising decay": (Schedule(shape="cosine", final=0.02), "cosine from 10%"),
    "falling decay": (Schedule(), "linear to 2%"),
    "one cycle": (Schedule(shape="one-cycle", final=0.02), Schedule()),
}


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("steps", [1500, 8000])
def test_the_end_of_a_schedule_against_covariances(course, steps):
    """AdamW and SGD end where the covariances of weight and buffer end."""
    schedule, decay = COURSES[course]
    most = 0.85 if schedule.cycled_momentum else 0.9
    run = Run(
        lr=0.01,
        steps=steps,
        momentum=most,
        betas=(most, 0.999),
        schedule=schedule,
        decay_schedule=decay,
    )
    covariances = [np.zeros((2, 2)), np.zeros((2, 2))]
    decays = run.decay_schedule.multipliers(steps)
    cycle = schedule.momenta(steps)
    for step, multiplier in enumerate(schedule.multipliers(steps)):
        lr, k = 0.01 * multiplier, decays[step]
        memory = cycle.at(step) if cycle else most
        options = {"momentum": memory, "dampening": 0.0, "nesterov": False}
        for number, one in enumerate(
            (
                white_gradients.averaged_step(lr, 0.3 * k, memory=memory),
                white_gradients.sgd_step(lr, 0.03 * k, **options),
            )
        ):
            covariance = one.move @ covariances[number] @ one.move.T
            covariances[number] = covariance + np.outer(one.push, one.push)
    adamw, sgd = (math.sqrt(covariance[0, 0]) for covariance in covariances)
    found = at_end(
        lambda run, k: adamw_equilibrium(0.3 * k, run),
        lambda run, k: 0.3 * k * run.lr,
        run,
    )
    # 2 %: the buffer lags by ten steps behind an lr that falls within 300 or more.
    assert found == digits(adamw, rel=0.02)
    found = at_end(
        lambda run, k: sgd_equilibrium(0.03 * k, run),
        lambda run, k: shrink_per_step(0.03 * k, run),
        run,
    )
    assert found == digits(sgd, rel=0.02)


def test_the_end_of_a_billion_steps():
    """In a long run the end is that of the lr there: √(η/2λ) where lr stays."""
    for final in (1.0, 0.1):
        schedule = Schedule(shape="linear", final=final)
        run = Run(lr=1e-3, steps=10**9, schedule=schedule)
        found = at_end(
            lambda run, k: adamw_equilibrium(0.1 * k, run),
            lambda run, k: 0.1 * k * run.lr,
            run,
        )
        # 1e-3: the first order of the shrink and of the fall in the last timescale.
        assert found == digits(math.sqrt(final * 1e-3 / 0.2), rel=1e-3)


@pytest.mark.parametrize("name", EQUILIBRIA)
def test_without_decay_there_is_no_equilibrium(name):
    """Weights that nothing pulls back wander off without end, and turn ever less."""
    there = EQUILIBRIA[name](0.0, Run(lr=0.1))
    assert (there.rms, there.rotation_per_step) == (math.inf, 0.0)


@pytest.mark.parametrize("name", EQUILIBRIA)
def test_what_an_equilibrium_needs(name):
    """A learning rate, and a knob of at least 0 that leaves some of a weight."""
    with pytest.raises(MissingFactError) as missing:
        EQUILIBRIA[name](0.1, Run())
    assert missing.value.fact == "lr"
    # SGD's momentum may turn a weight around, and still settle.
    for knob in (-1.0, 10.0) if name != "sgd" else (-1.0, 20.0):
        with pytest.raises(RangeError) as raised:
            EQUILIBRIA[name](knob, Run(lr=0.1))
        assert (raised.value.name, raised.value.value) == ("weight_decay", knob)


@each_kind
def test_too_strong_a_decay_has_no_equilibrium(kind):
    """Beyond the limit each step makes weights larger, and just below it none do."""
    run = Run(lr=0.1, **KINDS[kind])
    with pytest.raises(RangeError) as caught:
        sgd_equilibrium(1e6, run)
    limit = float(caught.value.must.split()[1])
    options = {"momentum": 0.0, "dampening": 0.0, "nesterov": False} | KINDS[kind]
    for share, grows in ((0.99, False), (1.01, True)):
        step = white_gradients.sgd_step(0.1, share * limit, **options)
        largest = max(abs(np.linalg.eigvals(step.move)))
        assert bool(largest > 1) is grows


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.95, 0.98), (0.0, 0.5)])
def test_lion_against_a_random_walk_of_signs(betas):
    """Steps of the sign of two averages settle by the arcsine law."""
    random, run = np.random.default_rng(5), Run(lr=0.02, betas=betas)
    average = np.zeros(4000)

    def advance(weights):
        nonlocal average
        gradients = random.standard_normal(4000)
        sign = np.sign(betas[0] * average + (1 - betas[0]) * gradients)
        average = betas[1] * average + (1 - betas[1]) * gradients
        return weights * (1 - 0.02 * 2.0) - 0.02 * sign

    rms, angle = white_gradients.walk(advance, np.zeros(4000), burn_in=400, steps=600)
    there = lion_equilibrium(2.0, run)
    # R² forgets in 12 steps, so 600 hold 48 independent ones of 4,000 weights: a
    # standard error of 0.2 %, of which four.
    assert rms == digits(there.rms, rel=0.008)
    assert angle == digits(there.rotation_per_step, rel=0.008)


def test_slow_decay_of_lion_is_the_literature():
    """√(κη/2λ) with the arcsines of Lion's own betas, where none are given."""
    there = lion_equilibrium(1e-6, Run(lr=1e-3))
    lags = np.arange(1, 5000)
    power = 0.1**2 + 0.9**2 * 0.01 / 1.99
    correlation = 0.99 ** (lags - 1) * 0.01 * (0.1 * 0.9 + 0.9**2 * 0.99 / 1.99) / power
    kappa = 1 + 2 * np.sum(2 / np.pi * np.arcsin(correlation))
    # First order in the shrink, 1e-9, times the hundred steps that the memory is long.
    assert there.rms == digits(math.sqrt(kappa * 1e-3 / 2e-6), rel=1e-6)
    assert there.rotation_per_step == digits(1e-3 / there.rms, rel=1e-6)


def test_lions_long_memory_is_summed_as_it_is_walked(monkeypatch):
    """Lags that are too many to be walked are the sum of a smooth function."""
    run = Run(lr=1e-3, betas=(0.9, 0.999))
    by_hand = lion_equilibrium(0.1, run)
    monkeypatch.setattr(balances, "LONGEST_WALK", 1)
    at_once = lion_equilibrium(0.1, run)
    assert at_once.rms == pytest.approx(by_hand.rms, rel=1e-12)
    # Signs that hardly turn: the walk of 4·10¹¹ lags would not end.
    slow = lion_equilibrium(1e-9, Run(lr=1e-9, betas=(0.9, 1 - 1e-10)))
    assert 0 < slow.rotation_per_step < at_once.rotation_per_step
