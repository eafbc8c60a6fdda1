"""Which of two mechanisms holds each group: its own knob, or one multiplication."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor
from torch.optim import Optimizer

from dwindle.errors import RefusedError
from dwindle.pytorch.holding.hold import CALL_HOOKS, NO_HOOKS, GroupPlan, Mechanism
from dwindle.pytorch.holding.rehearsal import CYCLED, Rehearsal
from dwindle.pytorch.options import Group, has_lr, is_16_bits

_ASGD = "Build it with lambd=0: that is a second decay, and on by default."
_WRAPPED = (
    "Hold an optimizer without weights of its own: those that average or look back "
    "(schedule-free, Lookahead) undo a decay from outside."
)
_OWN_DECAY = (
    "Does a decay of its own sit under another name, in the groups or in the optimizer "
    "itself? Build it with that at 0."
)
_TRIED = "Tried on a copy, a weight with zero gradient"
_TRUST_RATIO = (
    "At weight_decay=0, which a half-life needs here, it takes other steps than with a "
    "tiny one: its trust ratio is left out then."
)
_ALWAYS = "Build it with always_adapt=True, if it has that."
_REBUILT = "writes weights anew from where they started, and with that undoes the decay"
_FROM_WHERE_THEY_ARE = (
    "Hold an optimizer that moves weights from where they are, such as AdamW or SGD."
)
_WRITTEN_OVER = (
    "writes float32 copies of its own over the 16-bit weights, and with that undoes "
    "the decay"
)
_IN_FLOAT32 = (
    "Keep the weights in float32, or hold an optimizer whose own weight_decay takes "
    "lr·weight_decay off those copies, as AdamW's does."
)


def with_mechanisms(
    optimizer: Optimizer, plans: Sequence[GroupPlan]
) -> list[GroupPlan]:
    """Return the plans with the cheapest mechanism that was seen to work.

    Raises:
        RefusedError: If an undriven weight would not decay as asked in either way, or
            if the optimizer does something else, too, at weight_decay=0.

    """
    rehearsal = Rehearsal(optimizer)
    native = [
        _with(plan, "native") if plan.has_knob and has_lr(group) else plan
        for plan, group in zip(plans, optimizer.param_groups, strict=True)
    ]
    works = _native_works(rehearsal, native, momenta=CYCLED)
    if not all(works):
        native = [
            mine if works[at] else _without_momentum(mine, group)
            for at, (mine, group) in enumerate(
                zip(native, optimizer.param_groups, strict=True)
            )
        ]
        if any(plan.without_momentum for plan in native):
            works = _native_works(rehearsal, native, momenta=(0.0, *CYCLED))
    chosen = [
        mine if works[at] and mine.decay_scale else _multiplied(plan)
        for at, (mine, plan) in enumerate(zip(native, plans, strict=True))
    ]
    _refuse_what_strays(optimizer, rehearsal, chosen)
    _refuse_missed_knobs(optimizer, rehearsal, chosen)
    _refuse_lost_decays(optimizer, rehearsal, chosen)
    return chosen


def keeps_wider(optimizer: Optimizer, plans: Sequence[GroupPlan]) -> list[bool]:
    """Tell per group whether its 16-bit weights decay as float32 ones would.

    Args:
        optimizer: Read, never touched.
        plans: With their mechanisms.

    """
    try:
        return Rehearsal(optimizer, in_own_format=True).keeps_wider(plans)
    except RefusedError:  # on this machine it steps in other formats only
        return [False] * len(plans)


def _native_works(
    rehearsal: Rehearsal, plans: Sequence[GroupPlan], *, momenta: Sequence[float]
) -> list[bool]:
    try:
        astray = rehearsal.undriven(plans, momenta=momenta)
        driven = rehearsal.driven(plans)
    except RefusedError:  # a step that fails when lr, knob or momentum change
        return [False] * len(plans)
    return [
        not words and steady and plan.mechanism == "native"
        for words, steady, plan in zip(astray, driven, plans, strict=True)
    ]


def _without_momentum(plan: GroupPlan, group: Group) -> GroupPlan:
    """Use the knob of SGD, which does as asked in each step that has no momentum.

    Not in 16 bits: there ``gradient + weight_decay * weight`` rounds the second away.
    """
    fine = not any(map(is_16_bits, group["params"]))
    is_still = plan.decay_scale > 0 and group.get("momentum") == 0 and fine
    return replace(plan, without_momentum=is_still)


def _multiplied(plan: GroupPlan) -> GroupPlan:
    return _with(plan, "multiply" if plan.decay_scale else "left alone")


def _with(plan: GroupPlan, mechanism: Mechanism) -> GroupPlan:
    return replace(plan, mechanism=mechanism)


def _refuse_what_strays(
    optimizer: Optimizer, rehearsal: Rehearsal, plans: Sequence[GroupPlan]
) -> None:
    for at, words in enumerate(rehearsal.undriven(plans)):
        if words:
            why = f"{_TRIED} of group {at} goes another way: {words}."
            if words == NO_HOOKS:
                raise RefusedError(_asked_of(optimizer), why, CALL_HOOKS)
            taken = rehearsal.takes_by_itself()[at]
            if taken:
                asked = "At weight_decay=0" if plans[at].has_knob else "Left to itself,"
                why += f" {asked} a step takes {taken:.3g} of it off."
            own = "lambd" in optimizer.param_groups[at]
            instead = _ASGD if own else _OWN_DECAY if taken else _WRAPPED
            raise RefusedError(_asked_of(optimizer), why, instead)


def _refuse_missed_knobs(
    optimizer: Optimizer, rehearsal: Rehearsal, plans: Sequence[GroupPlan]
) -> None:
    if not any(plan.mechanism == "multiply" and plan.has_knob for plan in plans):
        return
    for at, misses in enumerate(rehearsal.misses_its_knob()):
        if misses and plans[at].mechanism == "multiply":
            raise RefusedError(_asked_of(optimizer), _TRUST_RATIO, _ALWAYS)


def _refuse_lost_decays(
    optimizer: Optimizer, rehearsal: Rehearsal, plans: Sequence[GroupPlan]
) -> None:
    if any(plan.mechanism == "multiply" for plan in plans):
        for at, lost in enumerate(rehearsal.rebuilt(plans)):
            if lost:
                why = f"Tried on a copy, it {_REBUILT} of group {at}."
                raise RefusedError(_asked_of(optimizer), why, _FROM_WHERE_THEY_ARE)
    if not any(is_16_bits(each) for each in _weights(optimizer)):
        return
    try:
        written_over = Rehearsal(optimizer, in_own_format=True).written_over(plans)
    except RefusedError:  # on this machine it steps in other formats only
        return
    for at, lost in enumerate(written_over):
        if lost:
            why = f"Tried on a copy, it {_WRITTEN_OVER} of group {at}."
            raise RefusedError(_asked_of(optimizer), why, _IN_FLOAT32)


def _weights(optimizer: Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _asked_of(optimizer: Optimizer) -> str:
    return f"A half-life of the weights of {type(optimizer).__name__}"


def holds_a_penalty(optimizer: Optimizer) -> list[bool]:
    """Tell per group whether weight_decay is a penalty as SGD's is, or nothing decays.

    A group may be empty, or have frozen integers alone.
    """
    from dwindle.pytorch.probe import probe

    return [group.coupled_sgd or not group.dtype for group in probe(optimizer).groups]
