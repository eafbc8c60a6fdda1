"""From a wish to one plan per param group; nothing is changed yet."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch.optim import Optimizer

from dwindle.decay.decay_rate import DecayRate
from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.number_formats import (
    STALLING,
    longest_half_life_steps,
    rounding_remark,
)
from dwindle.errors import RefusedError
from dwindle.pytorch.holding.hold import GroupPlan
from dwindle.pytorch.holding.mechanisms import (
    holds_a_penalty,
    keeps_wider,
    with_mechanisms,
)
from dwindle.pytorch.holding.target import Target
from dwindle.pytorch.holding.wrappers import refuse_other_steps, refuse_shards
from dwindle.pytorch.options import (
    KNOB,
    MARKER,
    Group,
    dtype_name,
    factors_of,
    has_lr,
    options_before,
    scales_of,
    weight_decay_of,
)

_LOG = logging.getLogger("dwindle")
_NO_PENALTY = (
    "Its weight_decay is no penalty of the loss as SGD's is: the gradient of it is "
    "rescaled, or it never becomes one."
)
_PENALTY_INSTEAD = (
    "Add dwindle.pytorch.L2Penalty to the loss, or hold half_life=... instead."
)


def planned(
    optimizer: Optimizer,
    target: Target,
    peaks: Sequence[float | None],
    known: Sequence[GroupPlan] = (),
) -> list[GroupPlan]:
    """Return what is to be done to each group, and say once what that changes.

    Args:
        optimizer: Read, never touched.
        target: What is to be held.
        peaks: Largest lr of each group; None where nobody knows.
        known: Plans of the first groups, when others were added to them.

    Raises:
        MissingFactError: If the half-life or the schedule needs a fact.
        RefusedError: If the optimizer, or the number format of its weights, cannot
            hold it.

    """
    refuse_shards(optimizer)
    groups = optimizer.param_groups
    befores = [plan.before for plan in known]
    befores += [options_before(group) for group in groups[len(known) :]]
    scales = [plan.decay_scale for plan in known] + scales_of(befores)[len(known) :]
    plans = [
        GroupPlan(decay_scale=scale, before=before, factors=factors_of(group))
        for scale, before, group in zip(scales, befores, groups, strict=True)
    ]
    if target.needs_peak:
        _refuse_no_lr(optimizer, plans, target.schedule)
    # Rates first: a missing fact is told before copies are made.
    plans = rated(plans, target, peaks)
    if target.penalty is not None:
        plans = _with_penalty(optimizer, plans, target.penalty)
    else:
        plans = with_mechanisms(optimizer, plans)
    check_rounding(optimizer, plans)
    refuse_other_steps(optimizer)  # after what has a reason of its own
    for line in (
        *_changes(plans[len(known) :], first=len(known)),
        *(_left_alone(befores, plans, first=len(known)) if known else ()),
    ):
        _LOG.warning("%s: %s", type(optimizer).__name__, line)
    return plans


def rated(
    plans: Sequence[GroupPlan], target: Target, peaks: Sequence[float | None]
) -> list[GroupPlan]:
    """Return the plans with what each step owes, anew."""
    if target.penalty is not None:
        return list(plans)
    return [
        replace(plan, rate=target.rate(decay_scale=plan.decay_scale, lr_peak=peak))
        if plan.decay_scale
        else plan
        for plan, peak in zip(plans, peaks, strict=True)
    ]


def check_rounding(optimizer: Optimizer, plans: Sequence[GroupPlan]) -> None:
    """Warn of what rounding does to the decay, each thing once.

    Raises:
        RefusedError: If a number format would round it away.

    """
    for remark in filter(None, dict.fromkeys(_remarks(optimizer, plans))):
        _LOG.warning("%s", remark)


def _refuse_no_lr(
    optimizer: Optimizer, plans: Sequence[GroupPlan], schedule: str
) -> None:
    pairs = zip(plans, optimizer.param_groups, strict=True)
    if not all(has_lr(group) for plan, group in pairs if plan.decay_scale):
        asked = (
            f'A decay that follows the lr of {type(optimizer).__name__} ("{schedule}")'
        )
        why = "It has no lr: it finds the size of its steps itself."
        raise RefusedError(asked, why, 'Write schedule="constant".')


def _remarks(optimizer: Optimizer, plans: Sequence[GroupPlan]) -> Iterator[str]:
    """Say what rounding does to the decay, per number format."""
    groups, wider = optimizer.param_groups, list[bool]()
    for at, plan in enumerate(plans):
        for dtype in sorted({dtype_name(p) for p in groups[at]["params"]}):
            if plan.rate is None:
                continue
            if dtype in STALLING and plan.mechanism == "native":
                wider = wider or keeps_wider(optimizer, plans)
                if wider[at]:
                    continue
            yield rounding_remark(plan.rate.shrink_at_peak, dtype=dtype)
            yield _remark_on_low_lrs(plan.rate, dtype)


def _remark_on_low_lrs(rate: DecayRate, dtype: str) -> str:
    if dtype not in STALLING or not rate.power or not rate.shrink_at_peak:
        return ""
    least = shrink_from_half_life(longest_half_life_steps(dtype))
    share = (least / rate.shrink_at_peak) ** (1 / rate.power)
    return (
        f"{dtype} rounds the decay away where the lr is below {share:.0%} of its peak; "
        'schedule="constant" has no such steps.'
    )


def _with_penalty(
    optimizer: Optimizer, plans: Sequence[GroupPlan], penalty: float
) -> list[GroupPlan]:
    holds = holds_a_penalty(optimizer)
    if not all(holds[at] for at, plan in enumerate(plans) if plan.decay_scale):
        asked = f"A penalty held by {type(optimizer).__name__}"
        raise RefusedError(asked, _NO_PENALTY, _PENALTY_INSTEAD)
    return [
        replace(
            plan,
            mechanism="penalty" if plan.decay_scale else "left alone",
            knob=penalty * plan.decay_scale,
        )
        for plan in plans
    ]


def _changes(plans: Sequence[GroupPlan], *, first: int) -> Iterator[str]:
    """Say which knobs no longer say what happens."""
    mine = [
        first + at
        for at, plan in enumerate(plans)
        if plan.mechanism == "multiply" and weight_decay_of(plan.before)
    ]
    if mine:
        yield (
            f"{KNOB} is set to 0 in {_named(mine)}, for it does not take lr·{KNOB} off "
            "a weight at every lr; the weights are multiplied once per step instead."
        )
    knobs = {weight_decay_of(plan.before) for plan in plans if plan.decay_scale == 1}
    if len(knobs - {0.0}) > 1:
        yield (
            f"its groups have {KNOB} of {', '.join(map(str, sorted(knobs)))}, and all "
            "get the same half-life; a group with decay_scale gets a multiple of it."
        )


def _left_alone(
    befores: Sequence[Group], plans: Sequence[GroupPlan], *, first: int
) -> Iterator[str]:
    """Say which groups came later and have nothing that says whether they decay."""
    left = [
        at
        for at in range(first, len(plans))
        if not plans[at].decay_scale and MARKER not in befores[at]
    ]
    if left:
        yield (
            f"{_named(left)}, added later, has {KNOB} 0 and no {MARKER}: left alone. "
            f"Add it with {MARKER}=1 to hold the half-life there, with 0 not to."
        )


def _named(groups: Sequence[int]) -> str:
    some = ", ".join(map(str, groups[:8])) + (", …" if len(groups) > 8 else "")  # noqa: PLR2004
    return f"group {some}" if len(groups) == 1 else f"groups {some}"
