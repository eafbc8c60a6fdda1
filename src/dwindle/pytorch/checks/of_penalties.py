"""The check of a penalty in the loss beside a decay in the optimizer."""

from collections.abc import Iterator, Sequence

from dwindle.audit.findings import Finding
from dwindle.errors import MissingFactError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.words import (
    class_path,
    counted,
    names,
    number,
    optimizer_line,
    settings,
)
from dwindle.pytorch.parameters.roles import Held
from dwindle.pytorch.penalized.double_decay import Penalizing
from dwindle.pytorch.penalty import L2Penalty


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
            line=optimizer_line(facts, knob=0.0),
        )


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
