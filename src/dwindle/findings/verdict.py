"""What every rule costs, axis by axis and over a whole study.

A rule that is silent on an axis changes nothing there, so following it costs there what
leaving λ alone costs. Only so can rules be compared that apply to different quantities.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from dwindle.decay.evidence.records import split_contradictions
from dwindle.findings.model import AxisFindings, Findings, RuleFindings
from dwindle.findings.names import UNCHANGED
from dwindle.findings.rule_verdict import Course, course_within
from dwindle.stats.regret import limits_of
from dwindle.stats.student import SEEDS_FOR_AN_INTERVAL, half_width

QUESTION = "question-layer-mean"
# The question, its answer, and the rules that people quote in reply.
COLUMNS = (
    QUESTION,
    "answer",
    "bengio-map",
    "neal",
    "half-life-epochs",
    UNCHANGED,
)


@dataclass(frozen=True, kw_only=True)
class RuleCost:
    """Mean regret of a rule over the axes of a study, and how high it may be.

    The axes share their seeds, so ``by_seed`` is each seed's mean over all of them, and
    ``high`` the upper limit of their mean; ``by_anchor`` is the same over places of the
    anchor, which is one cell on most axes. Where no seed is on every axis ``high`` is
    the mean of the axes' upper limits.
    """

    rule: str
    regret: float
    high: float
    by_seed: Mapping[int, float] = field(default_factory=dict, hash=False)
    by_anchor: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One quantity of scale: the measured exponent, and each rule's if it applies.

    The best λ is sure in ``telling`` of ``cells``; ``exponent`` is None with too few.
    ``changes_with_split``: which way λ goes is undecided, as studies of the same net on
    fixed validation splits contradict each other.
    """

    study: str
    axis: str
    exponent: float | None
    low: float | None
    high: float | None
    telling: int
    cells: int
    rules: dict[str, RuleFindings | None]
    changes_with_split: bool = False


def verdict_rows(studies: Iterable[Findings]) -> tuple[VerdictRow, ...]:
    """Return one row per study and axis, with the rules of :data:`COLUMNS`."""
    contradicted = split_contradictions()
    return tuple(
        VerdictRow(
            study=study.study,
            axis=axis.axis,
            exponent=axis.exponent,
            low=axis.low,
            high=axis.high,
            telling=sum(cell.shows_best_decay for cell in axis.cells),
            cells=len(axis.cells),
            rules={name: find_rule(axis, name) for name in COLUMNS},
            changes_with_split=study.is_plain
            and (study.conditions.get("problem"), study.optimizer, axis.axis)
            in contradicted,
        )
        for study in studies
        for axis in study.axes
    )


def all_rules(axis: AxisFindings) -> tuple[RuleFindings, ...]:
    """Return every rule compared with an axis, and leaving λ as it is."""
    return (*axis.rules, axis.unchanged) if axis.unchanged else axis.rules


def ranked_rules(axis: AxisFindings) -> tuple[RuleFindings, ...]:
    """Return the rules that apply to an axis, the cheapest to follow first.

    Keeping λ as it is stands among them: a rule must beat it.
    """

    def rank(rule: RuleFindings) -> tuple[bool, float, str]:
        return rule.regret is None, rule.regret or 0.0, rule.rule

    return tuple(sorted((rule for rule in all_rules(axis) if rule.applies), key=rank))


def regret_order(findings: Findings) -> tuple[str, ...]:
    """Return the rules with any regret, the widest and then cheapest ones first."""
    known: dict[str, list[float]] = {}
    for axis in findings.axes:
        for rule in all_rules(axis):
            if rule.applies and rule.regret is not None:
                known.setdefault(rule.rule, []).append(rule.regret)
    # A rule that applies to one easy axis only would otherwise lead the list.
    return tuple(
        sorted(known, key=lambda name: (-len(known[name]), sum(known[name]), name))
    )


def find_rule(axis: AxisFindings, name: str) -> RuleFindings | None:
    """Return a rule's findings on an axis if it applies there."""
    found = (rule for rule in all_rules(axis) if rule.rule == name and rule.applies)
    return next(found, None)


def course_of(axis: AxisFindings) -> Course:
    """Return which way the best λ goes along an axis, or that it is unknown.

    ``still`` needs an interval that holds 0 and excludes a square root in both
    directions; a wide interval around 0 is no evidence that nothing happens. Two cells
    do not check the power law itself, so theirs must be half as wide.
    """
    if axis.exponent is None or axis.low is None or axis.high is None:
        return "unknown"
    telling = [cell for cell in axis.cells if cell.shows_best_decay and cell.value > 0]
    return course_within(axis.low, axis.high, cells=len(telling))


def surely_costs_less(one: RuleFindings, other: RuleFindings) -> bool:
    """Return whether one rule loses less than another, by their 90 % difference.

    Without seeds that both have, their intervals must be apart.
    """
    if _are_paired(one, other):
        return _surely_more(other, one)
    if one.regret_high is None or other.regret_low is None:
        return False
    return one.regret_high < other.regret_low


def judged_axes(study: Findings) -> tuple[AxisFindings, ...]:
    """Return the axes on which regrets exist."""
    return tuple(
        axis
        for axis in study.axes
        if axis.unchanged is not None and axis.unchanged.regret is not None
    )


def rank_rules(study: Findings) -> tuple[RuleCost, ...]:
    """Return every rule that applies to some axis, and leaving λ alone; cheapest first.

    Axes without any regret (no cell to start from) do not count; there may be none.
    """
    axes = judged_axes(study)
    names = {rule.rule for axis in axes for rule in axis.rules if rule.applies}
    costs = [_cost(name, axes) for name in sorted(names | {UNCHANGED}) if axes]
    return tuple(sorted(costs, key=lambda cost: (cost.regret, cost.rule)))


def tied_with_best(costs: Sequence[RuleCost]) -> tuple[RuleCost, ...]:
    """Return the rules that noise does not separate from the cheapest, itself first."""
    best = costs[0]

    def is_dearer(cost: RuleCost) -> bool:
        if _are_paired(best, cost):
            return _surely_more(cost, best)
        return cost.regret > best.high

    return tuple(cost for cost in costs if not is_dearer(cost))


def _are_paired(one: RuleFindings | RuleCost, other: RuleFindings | RuleCost) -> bool:
    return len(set(one.by_seed) & set(other.by_seed)) >= SEEDS_FOR_AN_INTERVAL


def _surely_more(one: RuleFindings | RuleCost, other: RuleFindings | RuleCost) -> bool:
    """Whether one rule costs more than another, in one seed and from one anchor."""
    # Both start from the same anchor and are judged by the same seeds: noise that they
    # share cancels in the difference.
    shared = sorted(set(one.by_seed) & set(other.by_seed))
    more = np.array([one.by_seed[seed] - other.by_seed[seed] for seed in shared])
    # A rule that leads nowhere has no places; then the other's are the difference.
    places = max(len(one.by_anchor), len(other.by_anchor))
    moved = [(each.by_anchor or (0.0,) * places) for each in (one, other)]
    below, _ = limits_of([a - b for a, b in zip(*moved, strict=True)])
    return float(more.mean()) > math.hypot(half_width(more), below)


def _cost(name: str, axes: Sequence[AxisFindings]) -> RuleCost:
    # A silent rule changes nothing, and costs there what that costs.
    followed = [find_rule(axis, name) or axis.unchanged for axis in axes]
    regrets = [(rule.regret if rule else None) or 0.0 for rule in followed]
    highs = [
        regret if rule is None or rule.regret_high is None else rule.regret_high
        for rule, regret in zip(followed, regrets, strict=True)
    ]
    regret, high = sum(regrets) / len(regrets), sum(highs) / len(highs)
    tables = [rule.by_seed if rule else {} for rule in followed]
    shared = sorted(set.intersection(*map(set, tables)))
    by_seed = {seed: fmean(table[seed] for table in tables) for seed in shared}
    moved = [rule.by_anchor for rule in followed if rule and rule.by_anchor]
    by_anchor = tuple(sum(at) / len(followed) for at in zip(*moved, strict=True))
    if len(by_seed) >= SEEDS_FOR_AN_INTERVAL:
        half = half_width(np.array(list(by_seed.values())))
        high = regret + math.hypot(half, limits_of(by_anchor)[1])
    return RuleCost(
        rule=name,
        regret=regret,
        high=high,
        by_seed=by_seed,
        by_anchor=by_anchor,
    )
