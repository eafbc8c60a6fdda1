"""Checks of a penalty in the loss: beside a decay, and through an adaptive step."""

import math
from collections.abc import Iterator, Sequence

import torch

from dwindle.audit.findings import Finding
from dwindle.audit.lines import Line
from dwindle.errors import MissingFactError
from dwindle.pytorch.checks.facts import Facts, on_parameters
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.remedies import set_knob, without_decay
from dwindle.pytorch.copying.toy import Mould
from dwindle.pytorch.parameters.roles import ROLES, ParameterRole
from dwindle.pytorch.penalized.double_decay import Penalizing
from dwindle.pytorch.penalty import L2Penalty
from dwindle.pytorch.trials import Programme, Trials

# Gradients of 1 and 3 make steps that differ by so much at most, through an eps.
_ALIKE = 0.01


def penalty_and_decay(facts: Facts) -> Iterator[Finding]:
    """DW007: an L2Penalty, alive now, on weights that the optimizer decays too."""
    for penalty in facts.penalties:
        ids = {id(each) for each in penalty.parameters.values()}
        both = [held for held in facts.decaying(*ROLES) if id(held.parameter) in ids]
        if not both:
            continue
        groups = [group for group in facts.groups_of(both[0]) if group.decays]
        strength = _canonical(penalty) if groups[0].is_sgd else None
        total = None if strength is None else strength + groups[0].knob
        yield on_parameters(
            "DW007",
            both,
            groups,
            paste=_without_the_knob(facts, both),
            penalty=repr(penalty),
            optimizer=groups[0].class_path,
            weights=len(both),
            strength=strength,
            sum=total,
        )


def _without_the_knob(facts: Facts, both: Sequence[ParameterRole]) -> Line | None:
    """Return the line that ends the decay of these: that of a group with no others."""
    ids = {id(each.parameter) for each in both}
    groups = [group for group in facts.groups_with(both) if group.decays]
    if all(id(each.parameter) in ids for group in groups for each in group.moving):
        return set_knob((group, 0.0) for group in groups)
    return without_decay(facts, both, exact=True)


def penalty_through_adaptive(facts: Facts) -> Iterator[Finding]:
    """DW008: the gradient of a penalty, divided by its own size like all of it."""
    by_id = {id(each.parameter): each for each in facts.held}
    for penalty in facts.penalties:
        held = [by_id[id(each)] for each in penalty.parameters.values()]
        there = [group for each in held for group in facts.groups_of(each)]
        groups = list(filter(_divides, dict.fromkeys(there)))
        if groups:
            values = {"penalty": repr(penalty), "optimizer": groups[0].class_path}
            yield on_parameters("DW008", held, groups, case="penalty", **values)


def _divides(group: Group) -> bool:
    """Return whether a gradient of another size makes the same step: seen on copies."""
    trials = Trials(Mould.of(group.optimizer, dtype=torch.float64))
    programmes = (Programme(steps=1, gradients=(each,)) for each in (0.0, 1.0, 3.0))
    # The last row of the first weight's walk, at its first entry.
    ends = [trials.walks(each)[group.at][0][-1][0] for each in programmes]
    small, large = (each - ends[0] for each in ends[1:])
    return bool(small) and math.isclose(small, large, rel_tol=_ALIKE)


def _canonical(penalty: Penalizing) -> float | None:
    """Return λ of mean loss + λ/2 Σ w², where the penalty has it for all weights."""
    if not isinstance(penalty, L2Penalty) or penalty.reduction != "mean":
        return None
    factors = set(penalty.coefficients.values())
    try:
        return 2 * penalty.factor() if factors == {1.0} else None
    except MissingFactError:
        return None
