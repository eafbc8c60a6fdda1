"""Checks of a penalty in the loss: beside a decay, and through an adaptive step."""

import math
from collections.abc import Iterator, Sequence

import torch

from dwindle.audit.findings import Finding
from dwindle.errors import MissingFactError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.remedies import set_knob, without_decay
from dwindle.pytorch.checks.words import (
    class_path,
    counted,
    names,
    number,
    settings,
)
from dwindle.pytorch.copying.toy import Mould
from dwindle.pytorch.parameters.roles import Held
from dwindle.pytorch.penalized.double_decay import Penalizing
from dwindle.pytorch.penalty import L2Penalty

# Gradients of 1 and 3 make steps that differ by so much at most, through an eps.
_ALIKE = 0.01


def penalty_and_decay(facts: Facts) -> Iterator[Finding]:
    """DW007: an L2Penalty, alive now, on weights that the optimizer decays too."""
    decaying = facts.decaying("weight", "embedding", "token", "bias", "norm", "vector")
    for penalty in facts.penalties:
        ids = {id(each) for each in penalty.parameters.values()}
        both = [held for held in decaying if id(held.parameter) in ids]
        if not both:
            continue
        groups = [group for group in facts.groups_of(both[0]) if group.decays]
        yield Finding(
            code="DW007",
            where=names(both),
            evidence=_evidence(penalty, both, groups),
            remedy="Keep one of the two. To keep the penalty:",
            line=_without_the_knob(facts, both),
        )


def _without_the_knob(facts: Facts, both: Sequence[Held]) -> str:
    """Return the line that ends the decay of these: that of a group with no others."""
    ids = {id(each.parameter) for each in both}
    groups = [
        group
        for group in facts.groups
        if group.decays and any(id(each.parameter) in ids for each in group.held)
    ]
    if all(id(each.parameter) in ids for group in groups for each in group.moving):
        return set_knob((group, 0.0) for group in groups)
    return without_decay(facts, both, exact=True)


def penalty_through_adaptive(facts: Facts) -> Iterator[Finding]:
    """DW008: the gradient of a penalty, divided by its own size like all of it."""
    by_id = {id(each.parameter): each for each in facts.held}
    for penalty in facts.penalties:
        held = [by_id[id(each)] for each in penalty.parameters.values()]
        there = [group for each in held for group in facts.groups_of(each)]
        groups = list(dict.fromkeys(filter(_divides, there)))
        if not groups:
            continue
        name = class_path(groups[0].optimizer)
        yield Finding(
            code="DW008",
            where=names(held),
            evidence=f"{penalty!r} is in the loss, and {name} makes steps of one size "
            "of small and large gradients: what the penalty takes off a weight depends "
            "on the weight's other gradients, as it does for the weight_decay of Adam.",
            remedy="For a decay that its number tells, take the term out of the loss "
            "and give these weights a weight_decay under torch.optim.AdamW.",
        )


def _divides(group: Group) -> bool:
    """Whether a gradient of another size makes the same step: seen on copies."""
    mould = Mould.of(group.optimizer, dtype=torch.float64)
    rest, *moved = (_end(mould, group.at, each) for each in (0.0, 1.0, 3.0))
    small, large = (each - rest for each in moved)
    return bool(small) and math.isclose(small, large, rel_tol=_ALIKE)


def _end(mould: Mould, at: int, gradient: float) -> float:
    (walk, *_) = mould.toy().watch(1, gradients=(gradient,))[at]
    return walk[-1][0]


def _evidence(
    penalty: Penalizing, both: Sequence[Held], groups: Sequence[Group]
) -> str:
    decays = class_path(groups[0].optimizer)
    told = (
        f"{penalty!r} is in the loss, and {decays} decays "
        f"{counted(len(both), 'weight')} of it as well ({settings(groups)})."
    )
    strength = _canonical(penalty)
    if strength is None or not groups[0].is_sgd:
        return told
    return (
        f"{told} Under SGD they add up: the penalty is a weight_decay of "
        f"{number(strength)}, so {number(strength + groups[0].knob)} in all."
    )


def _canonical(penalty: Penalizing) -> float | None:
    """Return λ of mean loss + λ/2 Σ w², where the penalty tells it for all weights."""
    if not isinstance(penalty, L2Penalty) or penalty.reduction != "mean":
        return None
    factors = set(penalty.coefficients.values())
    try:
        return 2 * penalty.factor() if factors == {1.0} else None
    except MissingFactError:
        return None
