"""Plan: what a controller will do to each param group, found in five questions.

Which rate? Which peak? Which mechanism works on a copy? Is the knob read at all? What
does the optimizer leave by itself? Nothing of the user's is changed here.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor
from torch.optim import Optimizer

from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.number_formats import (
    STALLING,
    longest_half_life_steps,
    rounding_remark,
)
from dwindle.errors import RefusedError
from dwindle.pytorch.holding.held_trials import CYCLED, HeldTrials
from dwindle.pytorch.holding.hold import GroupPlan
from dwindle.pytorch.holding.target import Target
from dwindle.pytorch.options import (
    KNOB,
    MARKER,
    dtype_name,
    factors_of,
    is_16_bits,
    scales_of,
    weight_decay_of,
)
from dwindle.pytorch.probe import probe
from dwindle.pytorch.refusals import refused
from dwindle.pytorch.trials import Deviation
from dwindle.wording import listed

_LOG = logging.getLogger("dwindle")
# Accessors, no steps: get_step, set_step, validate_step.
_NO_STEPS = ("_", "get_", "set_", "validate_")  # of names that end in _step
_SHARDING = "ZeroRedundancyOptimizer"
# Parameter-wise grouping makes hundreds.
_NAMED = 8  # groups that a warning names


def plan_groups(
    optimizer: Optimizer,
    target: Target,
    peaks: Sequence[float | None],
    known: Sequence[GroupPlan] = (),
) -> list[GroupPlan]:
    """Return what is to be done to each group, and log once what that changes."""
    # ZeRO's wrapper steps its share of the weights by another optimizer.
    if _SHARDING in (kind.__name__ for kind in type(optimizer).__mro__):
        raise refused("sharded")
    plans = _unrated(optimizer, known)
    pairs = zip(plans, optimizer.param_groups, strict=True)
    # transformers' Adafactor may have none.
    no_lr = any(plan.decay_scale and group.get("lr") is None for plan, group in pairs)
    if target.needs_peak and no_lr:
        name = _name_of(optimizer)
        raise refused("no-lr", optimizer=name, schedule=target.schedule)
    # Rates first: a missing fact is reported before copies are made.
    plans = rated(plans, target, peaks)
    if target.penalty is not None:
        plans = _with_penalty(optimizer, plans, target.penalty)
    else:
        trials = HeldTrials(optimizer)
        plans = _with_mechanisms(optimizer, trials, plans)
        _refuse_lost_decays(optimizer, trials, plans)
    check_rounding(optimizer, plans)
    _refuse_other_steps(optimizer)  # after refusals with a more precise reason
    for line in (
        *_changes(plans[len(known) :], first=len(known)),
        *(_left_alone(optimizer, plans, first=len(known)) if known else ()),
    ):
        _LOG.warning("%s: %s", type(optimizer).__name__, line)
    return plans


def rated(
    plans: Sequence[GroupPlan], target: Target, peaks: Sequence[float | None]
) -> list[GroupPlan]:
    """Return the plans with the decay that each step has to take, anew."""
    if target.penalty is not None:
        return list(plans)
    return [
        replace(plan, rate=target.rate(decay_scale=plan.decay_scale, lr_peak=peak))
        if plan.decay_scale
        else plan
        for plan, peak in zip(plans, peaks, strict=True)
    ]


def check_rounding(optimizer: Optimizer, plans: Sequence[GroupPlan]) -> None:
    """Warn of what rounding does to the decay, each thing once."""
    for remark in filter(None, dict.fromkeys(_remarks(optimizer, plans))):
        _LOG.warning("%s", remark)


def _unrated(optimizer: Optimizer, known: Sequence[GroupPlan]) -> list[GroupPlan]:
    groups = optimizer.param_groups
    befores = [plan.before for plan in known]
    befores += [
        {name: group[name] for name in (KNOB, MARKER) if name in group}
        for group in groups[len(known) :]
    ]
    scales = [plan.decay_scale for plan in known] + scales_of(befores)[len(known) :]
    return [
        GroupPlan(decay_scale=scale, before=before, factors=factors_of(group))
        for scale, before, group in zip(scales, befores, groups, strict=True)
    ]


def _with_penalty(
    optimizer: Optimizer, plans: Sequence[GroupPlan], penalty: float
) -> list[GroupPlan]:
    """Return plans that set the knob of SGD and its like to a penalty."""
    # A group without a dtype is empty, or has frozen integers alone: nothing decays.
    seen = probe(optimizer).groups
    if not all(
        group.coupled_sgd or not group.dtype
        for group, plan in zip(seen, plans, strict=True)
        if plan.decay_scale
    ):
        raise refused("no-penalty", optimizer=_name_of(optimizer))
    return [
        replace(
            plan,
            mechanism="penalty" if plan.decay_scale else "left alone",
            knob=penalty * plan.decay_scale,
        )
        for plan in plans
    ]


def _with_mechanisms(
    optimizer: Optimizer, trials: HeldTrials, plans: Sequence[GroupPlan]
) -> list[GroupPlan]:
    """Return the plans with the cheapest mechanism that was seen to work on a copy."""
    groups = optimizer.param_groups
    # The knob first: it costs no pass over the weights.
    native = [
        replace(plan, mechanism="native")
        if plan.has_knob and group.get("lr") is not None
        else plan
        for plan, group in zip(plans, groups, strict=True)
    ]
    # A knob that acts through a momentum works only while that stays: it is moved.
    works = _native_works(trials, native, momenta=CYCLED)
    if not all(works):
        native = [
            replace(
                plan,
                # SGD's knob decays as requested in each step without momentum. Not in
                # 16 bits: there `gradient + weight_decay * weight` loses the second.
                without_momentum=not fine
                and plan.decay_scale > 0
                and group.get("momentum") == 0
                and not any(map(is_16_bits, group["params"])),
            )
            for plan, fine, group in zip(native, works, groups, strict=True)
        ]
        if any(plan.without_momentum for plan in native):
            works = _native_works(trials, native, momenta=(0.0, *CYCLED))
    chosen = [
        replace(plan, mechanism="multiply" if plan.decay_scale else "left alone")
        for plan in plans
    ]
    if all(works):  # seen to work, with a momentum that moves
        return [
            mine if mine.decay_scale else plan
            for mine, plan in zip(native, chosen, strict=True)
        ]
    chosen = [
        mine if fine and mine.decay_scale else plan
        for mine, fine, plan in zip(native, works, chosen, strict=True)
    ]
    for at, deviation in enumerate(trials.at_rest(chosen)):
        if deviation is not None:
            raise _refused_deviation(optimizer, trials, chosen[at], (at, deviation))
    return chosen


def _refused_deviation(
    optimizer: Optimizer,
    trials: HeldTrials,
    plan: GroupPlan,
    found: tuple[int, Deviation],
) -> RefusedError:
    """Return the error for a group that strays, with what it does by itself."""
    at, deviation = found
    taken = trials.takes_by_itself()[at]
    start = "At weight_decay=0" if plan.has_knob else "Left to itself,"
    has_lambd = "lambd" in optimizer.param_groups[at]
    return refused(
        "strays",
        "lambd" if has_lambd else "by-itself" if taken else "wrapped",
        optimizer=_name_of(optimizer),
        at=at,
        left=deviation.left,
        expected=deviation.expected,
        taken=f" {start} a step takes {taken:.3g} of it off." if taken else "",
    )


def _native_works(
    trials: HeldTrials, plans: Sequence[GroupPlan], *, momenta: Sequence[float]
) -> list[bool]:
    try:
        at_rest = trials.at_rest(plans, momenta=momenta)
        pulled = trials.when_pulled(plans)
    except RefusedError:  # a step that fails when lr, knob or momentum change
        return [False] * len(plans)
    return [
        plan.mechanism == "native" and one is other is None
        for plan, one, other in zip(plans, at_rest, pulled, strict=True)
    ]


def _refuse_lost_decays(
    optimizer: Optimizer, trials: HeldTrials, plans: Sequence[GroupPlan]
) -> None:
    multiplied = [plan for plan in plans if plan.mechanism == "multiply"]
    missed = any(plan.has_knob for plan in multiplied)
    narrow = any(map(is_16_bits, _weights(optimizer)))
    for may_be, code, seen in (
        (missed, "misses-its-knob", trials.misses_its_knob),
        # What rebuilds its weights loses a product of ours, but not its native decay.
        (bool(multiplied), "rebuilt", trials.loses_products),
        (narrow, "written-over", trials.written_over),
    ):
        if may_be and True in (lost := seen(plans)):
            at = lost.index(True)
            raise refused(code, optimizer=_name_of(optimizer), at=at)


def _weights(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _name_of(optimizer: Optimizer) -> str:
    return type(optimizer).__name__


def _remarks(optimizer: Optimizer, plans: Sequence[GroupPlan]) -> Iterator[str]:
    """Yield what rounding does to the decay, per number format."""
    wider: list[bool] = []
    for at, (plan, group) in enumerate(zip(plans, optimizer.param_groups, strict=True)):
        for dtype in sorted({dtype_name(each) for each in group["params"]}):
            if plan.rate is None:
                continue
            # A native decay of 16 bits may happen in wider copies of the weights.
            if dtype in STALLING and plan.mechanism == "native":
                wider = wider or HeldTrials(optimizer).keeps_wider(plans)
                if wider[at]:
                    continue
            yield rounding_remark(plan.rate.shrink_at_peak, dtype=dtype)
            if dtype in STALLING and plan.rate.power and plan.rate.shrink_at_peak:
                least = shrink_from_half_life(longest_half_life_steps(dtype))
                share = (least / plan.rate.shrink_at_peak) ** (1 / plan.rate.power)
                yield (
                    f"{dtype} rounds the decay away where the lr is below "
                    f'{100 * share:.0f} % of its peak; schedule="constant" has no such '
                    "steps."
                )


def _changes(plans: Sequence[GroupPlan], *, first: int) -> Iterator[str]:
    """Yield which weight_decay arguments are no longer in effect."""
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
    optimizer: Optimizer, plans: Sequence[GroupPlan], *, first: int
) -> Iterator[str]:
    """Yield which groups came later and have nothing that shows whether they decay."""
    left = [
        at
        for at in range(first, len(plans))
        if not plans[at].decay_scale and MARKER not in optimizer.param_groups[at]
    ]
    if left:
        yield (
            f"{_named(left)}, added later, has {KNOB} 0 and no {MARKER}: left alone. "
            f"Add it with {MARKER}=1 to hold the half-life there, with 0 not to."
        )


def _named(groups: Sequence[int]) -> str:
    numbers = listed([*map(str, groups)], most=_NAMED)
    return f"group{'' if len(groups) == 1 else 's'} {numbers}"


def _refuse_other_steps(optimizer: Optimizer) -> None:
    """Refuse a wrapper that has steps beside step(): SAM's first_step, second_step."""
    # No hook of the wrapper sees those, so the optimizer inside is the one to hold.
    inner = next(_inside(optimizer), None)
    others = [
        name
        for name in dir(type(optimizer))
        if name.endswith("_step")
        and not name.startswith(_NO_STEPS)
        and not hasattr(Optimizer, name)
    ]
    if inner is not None and others:
        names = {"others": " and ".join(others), "inner": inner}
        raise refused("other-steps", optimizer=_name_of(optimizer), **names)


def _inside(optimizer: Optimizer) -> Iterator[str]:
    """Yield the name of each attribute that is an optimizer of the same weights."""
    mine = {id(each) for each in _weights(optimizer)}
    for name, value in vars(optimizer).items():
        is_other = isinstance(value, Optimizer) and value is not optimizer
        if is_other and any(id(each) in mine for each in _weights(value)):
            yield name
