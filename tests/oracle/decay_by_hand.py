"""Decay by slow and obvious loops; imports nothing from the package.

Decimal with 50 digits where a float would lose the decay itself: 1 - 1e-15 has one.
"""

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Protocol

DIGITS = 50


class ScheduleFacts(Protocol):
    """What a schedule is made of."""

    shape: str
    warmup: float
    final: float
    decay_share: float
    warmup_start: float | None


def multiplier(schedule: ScheduleFacts, step: int, steps: int) -> float:
    """One step of a schedule, straight from its definition."""
    warm = round(schedule.warmup * steps)
    if step < warm:
        low = schedule.warmup_start
        return (step + 1) / (warm + 1) if low is None else low + (1 - low) * step / warm
    if schedule.shape == "constant":
        return 1.0
    progress = (step - warm) / (steps - warm)
    if schedule.shape.startswith("wsd"):
        fall = min(round(schedule.decay_share * steps), steps - warm)
        progress = max(0.0, (step - (steps - fall)) / fall) if fall else 0.0
    high = 1 - progress
    if schedule.shape in {"cosine", "wsd-cosine"}:
        high = (1 + math.cos(math.pi * progress)) / 2
    elif schedule.shape == "wsd-exponential":
        high = 2 * math.pow(0.5, progress) - 1
    elif schedule.shape == "wsd-sqrt":
        high = 1 - math.sqrt(progress)
    return high + (1 - high) * schedule.final


class Megatron:
    """Its lr and weight decay at a step, by the rules of its scheduler's source.

    Reference: megatron/core/optimizer_param_scheduler.py, version 0.16.1.
    """

    def __init__(self, options: dict, steps: int) -> None:
        self.options, self.steps = options, steps

    def lr(self, step: int) -> float:
        """``get_lr`` where the length of the fall is that of the run."""
        of = self.options
        warm, peak, least = of["lr_warmup_iters"], of["lr"], of["min_lr"]
        if warm and step <= warm:
            first = of.get("lr_warmup_init", 0.0)
            return first + (peak - first) * step / warm
        style, share = of["lr_decay_style"], (step - warm) / (self.steps - warm)
        if style == "constant":
            return peak
        if style == "inverse-square-root":
            return max(least, peak * math.sqrt(warm / step))
        if style == "WSD":
            style = of.get("lr_wsd_decay_style", "exponential")
            start = self.steps - of["lr_wsd_decay_iters"]
            share = max(0, step - start) / of["lr_wsd_decay_iters"]
        high = {
            "linear": 1 - share,
            "cosine": (math.cos(math.pi * share) + 1) / 2,
            "exponential": 2 * 0.5**share - 1,
            "minus_sqrt": 1 - share**0.5,
        }
        return least + high[style] * (peak - least)

    def weight_decay(self, step: int) -> float:
        """``get_wd`` where it moves until the end of the run."""
        of, share = self.options, step / self.steps
        start, end = of["start_weight_decay"], of["end_weight_decay"]
        if of["weight_decay_incr_style"] == "cosine":
            share = (math.cos(math.pi * (1 - share)) + 1) / 2
        return start + share * (end - start)


def product_path(rates: Sequence[float], knob: float) -> list[Decimal]:
    """Weight from 1 where step t takes knob * rates[t] of it."""
    with localcontext(prec=DIGITS):
        weight = Decimal(1)
        path = [weight]
        for rate in rates:
            weight -= Decimal(knob) * Decimal(rate) * weight
            path.append(weight)
        return path


def proximal_path(rates: Sequence[float], knob: float) -> list[Decimal]:
    """Weight from 1 where step t divides it by 1 + knob * rates[t]."""
    with localcontext(prec=DIGITS):
        weight = Decimal(1)
        path = [weight]
        for rate in rates:
            weight /= 1 + Decimal(knob) * Decimal(rate)
            path.append(weight)
        return path


def sgd_path(
    lrs: Sequence[float],
    weight_decay: float | Sequence[float],
    *,
    momentum: float,
    dampening: float,
    nesterov: bool,
) -> list[Decimal]:
    """Weight from 1 under SGD with zero data gradient, as torch.optim.SGD steps."""
    is_moving = isinstance(weight_decay, Sequence)
    with localcontext(prec=DIGITS):
        mu, damp = Decimal(momentum), Decimal(dampening)
        weight, buffer = Decimal(1), None
        path = [weight]
        decays = weight_decay if is_moving else [weight_decay] * len(lrs)
        for lr, decay in zip(lrs, decays, strict=True):
            gradient = Decimal(decay) * weight
            if momentum == 0:
                direction = gradient
            else:
                first = buffer is None
                buffer = gradient if first else mu * buffer + (1 - damp) * gradient
                direction = gradient + mu * buffer if nesterov else buffer
            weight -= Decimal(lr) * direction
            path.append(weight)
        return path


def sgd_steps(
    lrs: Sequence[float],
    decays: Sequence[float],
    *,
    momenta: Sequence[float],
    nesterov: bool = False,
) -> float:
    """Weight from 1 under SGD whose lr, decay and momentum are others in each step."""
    weight, buffer = 1.0, 0.0
    for lr, decay, momentum in zip(lrs, decays, momenta, strict=True):
        gradient = decay * weight
        buffer = momentum * buffer + gradient
        weight -= lr * (gradient + momentum * buffer if nesterov else buffer)
    return weight


def asgd_path(
    lrs: Sequence[float], weight_decay: float, *, lambd: float, alpha: float
) -> list[Decimal]:
    """Weight from 1 under both decays of ASGD; each step sets the next step size."""
    with localcontext(prec=DIGITS):
        weight, eta = Decimal(1), lrs[0]
        path = [weight]
        for done, lr in enumerate(lrs, start=1):
            gradient = Decimal(weight_decay) * weight
            weight = (
                weight * (1 - Decimal(lambd) * Decimal(eta)) - Decimal(eta) * gradient
            )
            eta = lr / (1 + lambd * lr * done) ** alpha
            path.append(weight)
        return path


class RunFacts(Protocol):
    """What a run is made of."""

    lr: float
    momentum: float
    dampening: float
    nesterov: bool | None
    schedule: ScheduleFacts
    total_steps: int


def family_path(
    family: str, number: float, run: RunFacts, own: Sequence[float] | None = None
) -> list[Decimal]:
    """Weight from 1 after 0, 1, … steps of an update family, by its definition.

    ``own`` is a multiplier of the number in each step, where it has a schedule.
    """
    steps = run.total_steps
    shares = [multiplier(run.schedule, step, steps) for step in range(steps)]
    lrs, own = [run.lr * share for share in shares], own or [1.0] * steps
    if family == "coupled-sgd":
        options = {"momentum": run.momentum, "dampening": run.dampening}
        decays = [number * each for each in own]
        return sgd_path(lrs, decays, **options, nesterov=bool(run.nesterov))
    if family.startswith("asgd"):
        decay, lambd = (number, 1e-4) if family == "asgd" else (0.0, number)
        return asgd_path(lrs, decay, lambd=lambd, alpha=0.75)
    rates = {
        "decoupled": lrs,
        "proximal": lrs,
        "schedule-only": shares,
        "proximal-schedule-only": shares,
        "constant": [1.0] * steps,
        "corrected": [lr * share for lr, share in zip(lrs, shares, strict=True)],
    }[family]
    rates = [rate * each for rate, each in zip(rates, own, strict=True)]
    return (proximal_path if "proximal" in family else product_path)(rates, number)


def lost(path: Sequence[Decimal]) -> float:
    """-ln of the size of the last weight."""
    with localcontext(prec=DIGITS):
        return float(-abs(path[-1]).ln())


def half_life(shrink: float) -> float:
    """Number of steps after which (1 - shrink) ** steps is one half."""
    with localcontext(prec=DIGITS):
        return float(Decimal("0.5").ln() / (1 - Decimal(shrink)).ln())


def steps_in_an_epoch(dataset_size: int, batch_size: int) -> int:
    """Count the batches of one walk through the data."""
    return sum(1 for _ in range(0, dataset_size, batch_size))
