"""Checks of what papers write: their objectives by autograd, their decays in AdamW."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from frameworks.checks.check import RUN, Check, brief
from frameworks.checks.torch_like import pull, steps, weights

from dwindle.decay.convert import convert
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run

_LR, _BATCH, _N = 0.05, 6, 24
# One matrix of two inputs and two outputs: also what a layer is divided by.
_PENALIZED = Run(lr=_LR, batch_size=_BATCH, dataset_size=_N, steps=40, units=(2, 2))
_DECAYED = Run(
    lr=RUN.lr,
    schedule=RUN.schedule,
    batch_size=_BATCH,
    dataset_size=_N,
    epochs=15,
    tokens_per_example=7,
)

# What is added to the loss, as written, from the weights and the number; and what the
# written loss has to be divided by to be a mean: 1, the minibatch, or all examples.
Objective = tuple[Callable[[Any, float], Any], float]
_OBJECTIVES: dict[str, Objective] = {
    "question.l2": (lambda w, x: x * w.square().sum(), 1),
    "question.l2:layer-mean": (lambda w, x: x / (1 * 2 * 2) * w.square().sum(), 1),
    "question.l2:global-mean": (lambda w, x: x / w.numel() * w.square().sum(), 1),
    # The distance from a start at 0 is the weight itself: the rest is below.
    "li2018.l2-sp": (lambda w, x: x / 2 * w.square().sum(), 1),
    "answer.decay": (lambda w, x: x / 2 * w.square().sum(), 1),
    "answer.batch-sum": (lambda w, x: x * w.square().sum(), _BATCH),
    "bengio2012.l2": (lambda w, x: x * w.square().sum(), _N),
    "mackay1992.alpha": (lambda w, x: x / 2 * w.square().sum(), _N),
    "gaussian-prior.sigma": (lambda w, x: -_log_normal(w, x), _N),
    "neal1996.omega": (lambda w, x: -_log_normal(w, x / math.sqrt(2)), _N),
}


def _log_normal(weight: Any, deviation: float) -> Any:
    sigma = torch.tensor(deviation, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros_like(sigma), sigma)
    return normal.log_prob(weight).sum()


def _objective(knob: str) -> Check:
    """Plain descent of the objective as written, and SGD with the number we give."""
    written, examples = _OBJECTIVES[knob]
    number = 0.3 if "sigma" in knob or "omega" in knob else 0.04

    def theirs() -> list[float]:
        weight = weights()
        for step in range(_PENALIZED.total_steps):
            (gradient,) = torch.autograd.grad(written(weight, number), weight)
            total = pull(step, weight) + gradient / examples
            weight = (weight.detach() - _LR * total).requires_grad_()
        return list(weight.detach().flatten().tolist())

    def ours() -> list[float]:
        there = convert(number, knob, to="torch.optim.SGD", run=_PENALIZED)
        weight = weights()
        decay = float(there.value or 0)
        optimizer = torch.optim.SGD([weight], lr=_LR, weight_decay=decay)
        steps(optimizer, weight, _PENALIZED, pull)
        return list(weight.detach().flatten().tolist())

    return Check(
        knob=knob,
        library="torch",
        kind="same trajectory",
        settings=f"{number:g} by autograd against torch.optim.SGD, {brief(_PENALIZED)}",
        theirs=theirs,
        ours=ours,
        why="forty steps in float64, each rounding a few times at 1e-16",
    )


def _decay(knob: str, number: float, peak_shrink: float) -> Check:
    """AdamW with the number that we give decays as the paper states."""

    def theirs() -> list[float]:
        there = convert(number, knob, to="torch.optim.AdamW", run=_DECAYED)
        weight = weights()
        optimizer = torch.optim.AdamW(
            [weight], lr=RUN.lr, weight_decay=float(there.value or 0)
        )
        steps(optimizer, weight, _DECAYED, lambda _, w: torch.zeros_like(w))
        return list((weight / weights()).detach().flatten().tolist())

    def ours() -> list[float]:
        left = math.prod(1 - peak_shrink * m for m in _DECAYED.multipliers())
        return [left] * 4

    return Check(
        knob=knob,
        library="torch",
        kind="undriven weight",
        settings=f"{number:g} converted to torch.optim.AdamW, {brief(_DECAYED)}",
        theirs=theirs,
        ours=ours,
    )


def _decays() -> Iterator[Check]:
    """Numbers with their shrink at the peak, worked out by hand: 4 steps an epoch."""
    yield _decay("shrink", 0.03, 0.03)
    yield _decay("loshchilov2019.lambda", 0.03, 0.03)
    yield _decay("loshchilov2019.lambda-norm", 0.3, 0.3 * math.sqrt(6 / (24 * 15)))
    yield _decay("wang-aitchison2024.tau-epoch", 5.0, 1 / (5 * 4))
    yield _decay("bergsma2025.tau", 0.5, 1 / (0.5 * 60))
    for clock, number in {
        "steps": 20.0,
        "examples": 120.0,
        "epochs": 5.0,
        "tokens": 840.0,
        "run": 1 / 3,
    }.items():
        yield _decay(f"half-life:{clock}", number, 1 - 0.5 ** (1 / 20))


CHECKS = (*(_objective(knob) for knob in _OBJECTIVES if knob in KNOBS), *_decays())
