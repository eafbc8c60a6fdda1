"""The update families: what a step and a run take off a weight, forward and inverse.

A family is a record of functions. Every knob of every optimizer is a number that one
of them reads::

    family = FAMILIES["decoupled"]                      # AdamW
    family.shrink_per_step(knob, run) -> float          # asymptotic, at the peak lr
    family.knob_for_shrink(shrink_per_step, run) -> float   # its exact inverse
    family.survival(knob, run) -> float                 # left after run.total_steps
    family.survival_path(knob, run) -> list[float]      # after 0, 1, ..., total_steps
    family.e_folds(knob, run) -> float                  # -ln |survival|
    family.knob_for_e_folds(e_folds, run) -> float      # its exact inverse

Survival is that of a weight with zero gradient from a fresh optimizer, step by step
under the schedule. All of it keeps its digits down to a shrink of 1e-15. A knob, shrink
or e-folds out of range raises RangeError, a fact that the run lacks MissingFactError;
beyond the oscillation limit of momentum shrink and knob_for_shrink raise
OscillationError, while survival and e-folds go on, up to a million steps; the families
of ``NO_RATE`` refuse everything.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from dwindle.decay import momentum
from dwindle.decay.long_runs import Rates, Stretch
from dwindle.decay.no_rate import NO_RATE, NoRate
from dwindle.decay.product import Product
from dwindle.decay.proximal import Proximal
from dwindle.decay.run import Run
from dwindle.errors import RefusedError

Number = Callable[[float, Run], float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """An update rule; the module's docstring says what each function promises.

    Args:
        name: Key in :data:`FAMILIES`.
        title: Name for people.
        formula: What one step does to a weight with zero gradient.
        has_half_life: Whether the knob decides a half-life at all.

    """

    name: str
    title: str
    formula: str
    has_half_life: bool
    shrink_per_step: Number
    knob_for_shrink: Number
    survival: Number
    survival_path: Callable[[float, Run], list[float]]
    e_folds: Number
    knob_for_e_folds: Number


def _lr(run: Run) -> float:
    return run.require("lr", "The shrink of a decay that is multiplied by the lr")


def _under_lr(power: int) -> Callable[[Run], Rates]:
    """Rates lr * m**power: what a decay sees that follows the schedule m so often."""

    def rates(run: Run) -> Rates:
        lr = _lr(run)  # once: a long run has half a million steps
        if power == 1:
            return run.rates().map(lambda m: lr * m)
        return run.rates().map(lambda m: lr * m**power)

    return rates


def _product_family(
    name: str, title: str, formula: str, product: Product | Proximal
) -> Family:
    return Family(
        name=name,
        title=title,
        formula=formula,
        has_half_life=True,
        shrink_per_step=product.shrink_per_step,
        knob_for_shrink=product.knob_for_shrink,
        survival=product.survival,
        survival_path=product.survival_path,
        e_folds=product.e_folds,
        knob_for_e_folds=product.knob_for_e_folds,
    )


def asgd_family(*, lambd: float = 1e-4, alpha: float = 0.75) -> Family:
    """Both decays of torch.optim.ASGD, whose step size falls by itself.

    Step t multiplies the weight by ``1 - (lambd + weight_decay) e_t`` with ``e_0`` the
    first step's lr and ``e_t = lr' / (1 + lambd lr' t) ** alpha``, where ``lr'`` is the
    lr of the step before: a new lr acts one step late. The shrink is that of a first
    step at the peak lr; later ones are smaller. ``lambd`` also decays where
    weight_decay is 0.

    Args:
        lambd: The decay that torch has on by default, at least 0.
        alpha: Power of the falling step size.

    Reference:
        torch 2.13.0, ``torch/optim/asgd.py``; it keeps ``e_t`` in the default dtype.

    """

    def rates(run: Run) -> Rates:
        first, *_ = lrs = _under_lr(1)(run).stretches
        late = (_one_step_late(each, run.total_steps) for each in lrs)
        started = Stretch(start=0, stop=1, at=lambda _: first.at(0))
        return Rates((started, *(each for each in late if each.steps)))

    def _one_step_late(lrs: Stretch, steps: int) -> Stretch:
        def falling(step: float) -> float:
            lr = lrs.at(step - 1)
            return lr / math.pow(1 + lambd * lr * step, alpha)

        return Stretch(start=lrs.start + 1, stop=min(lrs.stop + 1, steps), at=falling)

    return _product_family(
        "asgd",
        "ASGD, both decays",
        f"w ← w − ({lambd:g} + λ)·e_t·w",
        Product(peak=_lr, rates=rates, extra=lambd),
    )


def _refusing_family(name: str, reason: NoRate) -> Family:
    """Build a family whose number sets no rate: it refuses, and says why."""

    def refuse(*_: object) -> NoReturn:
        asked = f"The half-life that a number gives under {reason.title}"
        why = reason.reason("The optimizer")
        raise RefusedError(asked, why, reason.instead)

    return Family(
        name=name,
        title=reason.title,
        formula=reason.formula,
        has_half_life=False,
        shrink_per_step=refuse,
        knob_for_shrink=refuse,
        survival=refuse,
        survival_path=refuse,
        e_folds=refuse,
        knob_for_e_folds=refuse,
    )


_MOMENTUM = Family(
    name="coupled-sgd",
    title="F1 coupled SGD",
    formula="g = λ·w; b ← μ·b + (1−d)·g; w ← w − η·b (Nesterov: w ← w − η·(g + μ·b))",
    has_half_life=True,
    shrink_per_step=momentum.shrink_per_step,
    knob_for_shrink=momentum.knob_for_shrink,
    survival=momentum.survival,
    survival_path=momentum.survival_path,
    e_folds=momentum.e_folds,
    knob_for_e_folds=momentum.knob_for_e_folds,
)

_ALL = (
    _MOMENTUM,
    _product_family(
        "decoupled",
        "F2 decoupled, times the lr",
        "w ← w − η_t·λ·w",
        Product(peak=_lr, rates=_under_lr(1)),
    ),
    _product_family(
        "schedule-only",
        "F3 decoupled, times the schedule",
        "w ← w − (η_t/η_peak)·λ·w",
        Product(peak=lambda _: 1.0, rates=lambda run: run.rates()),
    ),
    _product_family(
        "constant",
        "F4 decoupled, constant",
        "w ← w − λ·w",
        Product(peak=lambda _: 1.0, rates=lambda run: run.rates().map(lambda _: 1.0)),
    ),
    _product_family(
        "corrected",
        "F6 decoupled, corrected (AdamC)",
        "w ← w − (η_t²/η_peak)·λ·w",
        Product(peak=_lr, rates=_under_lr(2)),
    ),
    asgd_family(),
    _product_family(
        "proximal",
        "F7 proximal, times the lr",
        "w ← w/(1 + η_t·λ)",
        Proximal(peak=_lr, rates=_under_lr(1)),
    ),
    _product_family(
        "proximal-schedule-only",
        "F7 proximal, times the schedule",
        "w ← w/(1 + (η_t/η_peak)·λ)",
        Proximal(peak=lambda _: 1.0, rates=lambda run: run.rates()),
    ),
    *(_refusing_family(name, reason) for name, reason in NO_RATE.items()),
)

FAMILIES: Mapping[str, Family] = MappingProxyType({f.name: f for f in _ALL})
