"""Measured: all that trials on copies of an optimizer tell about each of its groups."""

from dataclasses import dataclass

import torch
from torch.optim import Optimizer

from dwindle.decay.half_life import half_life_from_shrink
from dwindle.pytorch.toy import Mould
from dwindle.pytorch.trials import Trials, Turned, knob_of, number_of
from dwindle.pytorch.walks import Told, tell

# Families whose step is linear in the weight: a penalty of theirs is SGD's.
_OF_SGD = {"geometric", "delayed", "oscillating"}
# In the order of trust; some libraries have kernels for float32 only.
_RULE_DTYPES = (torch.float64, torch.float32)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one parameter group does to a weight with zero gradient.

    Args:
        group: Its number.
        lr: Learning rate of now; None if the group has none.
        number: What the knob is set to.
        family: ``geometric`` (the same share in every step), ``delayed`` (by momentum),
            ``oscillating`` (momentum makes it swing), ``linear`` (coupled adaptive:
            every step takes about as much, whatever the weight), ``periodic``,
            ``power-law`` (the share falls from step to step), ``none`` or ``other``.
        shrink_per_step: Share per step in the long run, at the lr of now; None where
            there is none.
        first_step_shrink: Share that a first step takes.
        last_step_shrink: Share that the last of the watched steps took.
        amount_per_step: What a step takes of any weight, if the family is linear.
        period_steps: Steps of a swing, or until a pattern comes again.
        half_life_steps: Steps until half is left; None where there is no such number.
        dtype: Number format of the parameters.
        measured_shrink: Share per step in that format: 0 in its dead zone.
        knob: Option that sets the decay; None if there is none.
        works: Whether turning the knob changes anything.
        decouples: Whether a step takes exactly lr·knob, at every lr, knob and momentum.
        driven: Whether a weight that gradients pull at decays by lr·knob, too.
        coupled_sgd: Whether the knob is a penalty of SGD: knob·w in the gradient, and
            no adaptive step that divides it away.
        knob_family: The family that the knob gives when it is not 0.
        lr_power: 1 where the decay of a step follows the lr, 0 where it does not.
        knob_power: The same for the knob.
        per_lr: Decay of a first step over lr·knob.
        hidden: Share of a first step that is left with the knob at 0.

    """

    group: int
    lr: float | None
    number: float | None
    family: str
    shrink_per_step: float | None
    first_step_shrink: float | None
    last_step_shrink: float | None
    amount_per_step: float | None
    period_steps: float | None
    half_life_steps: float | None
    dtype: str
    measured_shrink: float | None
    knob: str | None
    works: bool
    decouples: bool
    driven: bool
    coupled_sgd: bool
    knob_family: str
    lr_power: float | None
    knob_power: float | None
    per_lr: float | None
    hidden: float | None


def measure(optimizer: Optimizer) -> list[Measured]:
    """Measure all groups of an optimizer, on copies.

    Raises:
        RefusedError: If no copy of it makes a step.

    """
    mould, dtype = Mould.of(optimizer, dtype=torch.float64), torch.float64
    trials = Trials(mould, dtype=dtype, groups=range(len(optimizer.param_groups)))
    told = [tell(group[0], eps=trials.eps) for group in trials.as_it_is()]
    off = [tell(group[0], eps=trials.eps) for group in trials.without_knob()]
    turned = trials.turned()
    return [
        _measured(optimizer, at, told[at], off[at], turned[at])
        for at in range(len(told))
    ]


def _measured(
    optimizer: Optimizer, at: int, told: Told, off: Told, turned: Turned
) -> Measured:
    group = optimizer.param_groups[at]
    shrink, knob = told.shrink, knob_of(group)
    of_sgd = turned.is_penalty and turned.told.family in _OF_SGD
    return Measured(
        group=at,
        lr=number_of(group.get("lr")),
        number=None if knob is None else number_of(group[knob]),
        family=told.family,
        shrink_per_step=shrink,
        first_step_shrink=told.first,
        last_step_shrink=told.last,
        amount_per_step=told.amount,
        period_steps=told.period,
        half_life_steps=_half_life(shrink),
        dtype=str(group["params"][0].dtype).removeprefix("torch."),
        measured_shrink=shrink,
        knob=knob,
        works=turned.works,
        decouples=turned.decouples,
        driven=turned.driven,
        coupled_sgd=of_sgd and turned.knob_power == 1 and turned.lr_power == 1,
        knob_family=turned.told.family,
        lr_power=turned.lr_power,
        knob_power=turned.knob_power,
        per_lr=turned.per_lr,
        hidden=off.first,
    )


def _half_life(shrink: float | None) -> float | None:
    return half_life_from_shrink(shrink) if shrink and 0 < shrink < 1 else None
