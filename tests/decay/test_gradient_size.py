"""Coupled adaptive decay beside gradients of known size: rates of real optimizers."""

import math

import pytest
import torch
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError, RefusedError

LR, WEIGHTS = 1e-3, 2000


def measured_rate(name, weight_decay, size, *, burn_in=300, steps=600):
    """What a step takes off the difference of two starts under the same noise.

    The noise itself cancels in the difference, and what is left of it is the decay.
    """
    generator = torch.Generator().manual_seed(3)
    pairs = []
    for start in (0.0, 1e-3 * size):
        weight = torch.full((WEIGHTS,), start, dtype=torch.float64, requires_grad=True)
        kind = getattr(torch.optim, name)
        pairs.append((weight, kind([weight], lr=LR, weight_decay=weight_decay)))
    apart = []
    for step in range(burn_in + steps):
        noise = size * torch.randn(WEIGHTS, dtype=torch.float64, generator=generator)
        for weight, optimizer in pairs:
            weight.grad = noise.clone()
            optimizer.step()
        if step + 1 in (burn_in, burn_in + steps):
            apart.append((pairs[1][0] - pairs[0][0]).detach().mean().item())
    return -math.log(apart[1] / apart[0]) / steps


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RMSprop"])
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_the_rate_is_that_of_the_real_optimizer(name, size):
    """A weight among noise of that RMS decays by lr·λ/G, whatever G is."""
    decay = 0.3 * size
    run = Run(lr=LR, gradient_rms=size)
    there = convert(decay, f"torch.optim.{name}", to="shrink", run=run)
    # 1/√v̂ wavers with v̂, most in RMSprop whose memory is 100 steps: below 2 %.
    assert measured_rate(name, decay, size) == digits(there.value, rel=0.02)
    assert there.fidelity == "approximate"


# Number and knob, facts beside the lr, and AdamW's number.
DIVIDED = [
    (1e-4, "torch.Adam", {"gradient_rms": 0.02, "steps": 9}, 1e-4 / (0.02 + 1e-8)),
    # Where G is no larger than ε, half of the divisor is ε; fastai's is 1e-5.
    (1e-9, "torch.Adam", {"gradient_rms": 1e-8}, 1e-9 / 2e-8),
    (1e-5, "fastai.optimizer.Adam:coupled", {"gradient_rms": 1e-5}, 1e-5 / 2e-5),
    # sklearn's alpha is λ times the batch.
    (
        0.1,
        "sklearn.neural_network.MLPClassifier:adam",
        {"gradient_rms": 0.5, "batch_size": 200},
        0.1 / 200 / (0.5 + 1e-8),
    ),
]


def test_a_penalty_is_divided_by_the_gradients_size_and_epsilon():
    """λ_AdamW is λ/(G + ε), at whatever lr and schedule, and back it is λ again."""
    for number, name, facts, expected in DIVIDED:
        run = Run(lr=LR, schedule="cosine", **facts)
        there = convert(number, name, to="torch.optim.AdamW", run=run)
        back = convert(there.value, "torch.optim.AdamW", to=name, run=run)
        assert there.value == digits(expected, rel=1e-12)
        assert back.value == digits(number, rel=1e-12)
        assert {there.fidelity, back.fidelity} == {"approximate"}


def test_a_size_on_each_side():
    """Before and after may have gradients of different sizes."""
    there = convert(
        1e-4,
        "torch.Adam",
        to="torch.Adam",
        run=Run(lr=LR, gradient_rms=0.01),
        run_after=Run(lr=LR, gradient_rms=0.02),
        keep="step",
    )
    assert there.value == digits(2e-4, rel=1e-5)  # ε is a millionth of these sizes


def test_without_a_size_the_refusal_says_how_to_give_one():
    """The refusal teaches λ/G and the option; with other divisors it does not."""
    with pytest.raises(RefusedError) as caught:
        convert(1e-4, "torch.Adam", to="torch.AdamW", run=Run(lr=LR))
    assert "--gradient-rms" in caught.value.instead
    for name in ("Adagrad", "Adadelta", "Adamax"):
        with pytest.raises(RefusedError) as caught:
            convert(
                1e-4, f"torch.{name}", to="shrink", run=Run(lr=LR, gradient_rms=1.0)
            )
        assert "gradient-rms" not in caught.value.instead


def test_an_explanation_has_the_rate_and_its_assumption():
    """With the size of the gradients, explain has half-life and total decay."""
    run = Run(lr=LR, gradient_rms=0.01, steps=1000, schedule=Schedule(shape="linear"))
    told = explain(1e-2, "torch.Adam", run=run)
    assert told.shrink_per_step == digits(1e-2 * LR / (0.01 + 1e-8), rel=1e-12)
    decoupled = explain(1e-2 / (0.01 + 1e-8), "torch.AdamW", run=run)
    assert told.kept == digits(decoupled.kept, rel=1e-12)
    codes = [each.code for each in told.warnings]
    assert "approximate" in codes
    assert "coupled-adaptive" not in codes
    assert "fading-decay" in codes


def test_adabelief_without_a_first_moment_divides_by_nothing():
    """Its divisor is the size of g − m, and without β₁ that is g − g."""
    run = Run(lr=LR, gradient_rms=0.1, betas=(0.0, 0.999))
    with pytest.raises(RangeError) as raised:
        convert(1e-4, "pytorch_optimizer.AdaBelief:coupled", to="shrink", run=run)
    assert (raised.value.name, raised.value.value) == ("betas", 0.0)
