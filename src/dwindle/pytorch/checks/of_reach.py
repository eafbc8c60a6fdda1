"""Checks of weights that the decay does not reach, or not as it was meant."""

import math
from collections.abc import Iterable, Iterator, Sequence

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.remedies import sound_knob, with_decay
from dwindle.pytorch.checks.words import names, number, of_groups, settings, tensors
from dwindle.pytorch.grouping.selection import choices_of
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import Held


def weights_out_of_reach(facts: Facts) -> Iterator[Finding]:
    """DW040: weights do not decay while others do, or not by what was meant."""
    weights = _weights(facts)
    if facts.meant is not None and any(KNOB in group.options for group in facts.groups):
        yield from _otherwise(facts, weights, facts.meant)
        return
    # Groups of decay_groups are as somebody chose.
    free = [
        each
        for each in weights
        if not any(MARKER in group.options for group in facts.groups_of(each))
    ]
    lost = [each for each in free if not _decays(facts, each)]
    if lost and any(group.decays for group in facts.groups):
        yield from _beside_others(facts, weights, lost)


def _weights(facts: Facts) -> list[Held]:
    """Return the weights that decay_groups lets decay, where a step can move them.

    Those under a penalty, or a controller, decay by that.
    """
    penalized = {id(p) for each in facts.penalties for p in each.parameters.values()}
    return [
        choice.held
        for choice in choices_of(facts.model)
        if choice.decays
        and id(choice.held.parameter) not in penalized
        and facts.groups_of(choice.held)
        and not any(
            group.rests or not group.is_free for group in facts.groups_of(choice.held)
        )
    ]


def _decays(facts: Facts, held: Held) -> bool:
    return any(group.decays for group in facts.groups_of(held))


_NO_NUMBER = (
    "If they were meant to decay as well, give them a weight_decay of their own: that "
    "of the others has a finding itself."
)


def _beside_others(
    facts: Facts, weights: Sequence[Held], lost: Sequence[Held]
) -> Iterator[Finding]:
    groups = _groups_of(facts, lost)
    decaying = [group for group in facts.groups if group.decays]
    is_all = not facts.decaying("weight") and not facts.penalties
    told = f"{_share(lost, weights)} do not decay, of {tensors(lost)}"
    if is_all:
        told = f"No weight decays, of {tensors(lost)}"
    knob = sound_knob(facts, decaying)
    yield Finding(
        code="DW040",
        where=names(lost),
        evidence=f"{told}, in {of_groups(groups)} ({settings(groups)}). Others do, in "
        f"{of_groups(decaying)} ({settings(decaying)}).",
        remedy=_NO_NUMBER if knob is None else "If they were meant to decay as well:",
        line="" if knob is None else with_decay(facts, lost, knob),
        is_slight=not is_all,
    )


def _share(some: Iterable[Held], whole: Iterable[Held]) -> str:
    part, all_of_them = (sum(each.numbers for each in held) for held in (some, whole))
    return f"{100 * part / all_of_them:.3g} % of the weights' numbers"


def _groups_of(facts: Facts, held: Iterable[Held]) -> list[Group]:
    found = {group.number: group for each in held for group in facts.groups_of(each)}
    return [found[at] for at in sorted(found)]


def _otherwise(
    facts: Facts, weights: Sequence[Held], meant: float
) -> Iterator[Finding]:
    """Yield what was meant beside what the groups of the weights have."""
    other = [
        each
        for each in weights
        if any(
            not math.isclose(group.knob, meant * group.options.get(MARKER, 1.0))
            for group in facts.groups_of(each)
        )
    ]
    if not other:
        return
    groups = _groups_of(facts, other)
    yield Finding(
        code="DW040",
        where=names(other),
        evidence=f"{KNOB} {number(meant)} was meant, and {_share(other, weights)} "
        f"have another, of {tensors(other)} in {of_groups(groups)}: "
        f"{settings(groups)}.",
        remedy="Where the number is lost, write:",
        line=with_decay(facts, other, meant),
    )
