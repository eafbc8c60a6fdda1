"""Claims 1 and 2: the factor 2, and what "0.1 % per iteration" really is."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from dwindle.answer.claims import claimed
from dwindle.findings.model import Claim, ClaimVerdict

L2 = 1e-3  # the λ of the answer's own example
# What one types first: the usual lr and momentum of SGD.
LR = 0.1
MOMENTUM = 0.9
# Updates before measuring: momentum's buffer has settled (0.9^300 is 1e-14).
SETTLE = 300
# Two float64 sums over a hundred numbers agree to about 1e-14.
ROUNDING = 1e-12


def askers_penalty(weights: Tensor) -> Tensor:
    """Return λ Σ w² as the question writes it, a scalar tensor."""
    return L2 * weights.square().sum()


def gradient_over_decay(penalty: Callable[[Tensor], Tensor]) -> float:
    """Return how many times λw the gradient of a penalty is, by autograd."""
    weights = torch.linspace(-2, 2, 100, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(weights), weights)
    return (gradient / (L2 * weights.detach())).mean().item()


def check_factor_two() -> Claim:
    """Compare the gradient of λ Σ w² with λ w, by automatic differentiation."""
    ratio = gradient_over_decay(askers_penalty)
    return claimed(
        "factor-two",
        "holds" if abs(ratio - 2) < ROUNDING else "does not hold",
        ratio=ratio,
    )


class LambdaReading(NamedTuple):
    """One way to read "λ = 0.001"; ``weight_decay`` is what PyTorch is then given."""

    title: str
    formula: str
    predicted: float
    weight_decay: float
    lr: float
    momentum: float = 0.0


READINGS = (
    # An lr of 1, as the words have none.
    LambdaReading("the answer's words: w ← (1 − λ) w", "λ", L2, L2, lr=1.0),
    LambdaReading(f"gradient + λw, learning rate {LR}", "lr·λ", LR * L2, L2, LR),
    LambdaReading(
        f"the asker's λ Σ w², learning rate {LR}", "2·lr·λ", 2 * LR * L2, 2 * L2, LR
    ),
    LambdaReading(
        f"the asker's λ Σ w², learning rate {LR}, momentum {MOMENTUM}",
        "≈ 2·lr·λ/(1 − momentum)",
        2 * LR * L2 / (1 - MOMENTUM),
        2 * L2,
        LR,
        MOMENTUM,
    ),
)


def measure_shrink(reading: LambdaReading) -> float:
    """Return the fraction that one step of torch.optim.SGD takes off, gradient zero."""
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD(
        [weight],
        lr=reading.lr,
        momentum=reading.momentum,
        weight_decay=reading.weight_decay,
    )
    before = 1.0
    for _ in range(SETTLE):
        before = weight.item()
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    return 1 - weight.item() / before


def check_one_tenth_percent() -> Claim:
    """Measure the decay of one step for every reading of "λ = 0.001"."""
    measured = [measure_shrink(reading) for reading in READINGS]
    rows = tuple(
        (reading.title, reading.formula, _percent(reading.predicted), _percent(shrink))
        for reading, shrink in zip(READINGS, measured, strict=True)
    )
    literal, *with_lr = measured
    verdict: ClaimVerdict = "does not hold"
    if abs(literal - L2) < ROUNDING:
        also_with_lr = all(abs(shrink - L2) < ROUNDING for shrink in with_lr)
        verdict = "holds" if also_with_lr else "holds with a correction"
    return claimed(
        "one-tenth-percent",
        verdict,
        *(("reading of λ = 0.001", "per step", "formula gives", "measured"), *rows),
        step=SETTLE,
        least=_percent(min(measured)),
        most=_percent(max(measured)),
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"
