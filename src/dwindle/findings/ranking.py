"""Which rule to follow: what each costs over all axes of a study.

A rule that is silent on an axis changes nothing there, so following it costs there what
leaving λ alone costs. Only so can rules be compared that speak of different quantities.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.findings.held import UNCHANGED
from dwindle.findings.model import AxisFindings, Findings, RuleFindings
from dwindle.findings.verdict import find_rule


@dataclass(frozen=True, kw_only=True)
class RuleCost:
    """Mean regret of a rule over the axes of a study, and how high it may be.

    ``high`` is the mean of the axes' upper limits: wider than an interval of the mean,
    since the axes share their seeds. ``speaks`` counts the axes the rule speaks of.
    """

    rule: str
    regret: float
    high: float
    speaks: int


def rank_rules(study: Findings) -> tuple[RuleCost, ...]:
    """Return every rule that speaks of some axis, and leaving λ alone; cheapest first.

    Args:
        study: Findings; axes without any regret (no cell to start from) do not count.

    Returns:
        Costs in units of the loss; empty when no axis could be judged.

    """
    axes = judged_axes(study)
    names = {rule.rule for axis in axes for rule in axis.rules if rule.applies}
    costs = [_cost(name, axes) for name in sorted(names | {UNCHANGED}) if axes]
    return tuple(sorted(costs, key=lambda cost: (cost.regret, cost.rule)))


def judged_axes(study: Findings) -> tuple[AxisFindings, ...]:
    """Return the axes on which regrets exist."""
    return tuple(
        axis
        for axis in study.axes
        if axis.unchanged is not None and axis.unchanged.regret is not None
    )


def tied_with_best(costs: Sequence[RuleCost]) -> tuple[RuleCost, ...]:
    """Return the rules that the noise cannot tell from the cheapest one, itself first.

    Example:
        >>> a, b, c = (
        ...     RuleCost(rule=name, regret=value, high=2 * value, speaks=1)
        ...     for name, value in (("a", 0.1), ("b", 0.15), ("c", 0.3))
        ... )
        >>> [cost.rule for cost in tied_with_best([a, b, c])]
        ['a', 'b']

    """
    return tuple(cost for cost in costs if cost.regret <= costs[0].high)


def _cost(name: str, axes: Sequence[AxisFindings]) -> RuleCost:
    spoken = [find_rule(axis, name) for axis in axes]
    followed = [rule or axis.unchanged for rule, axis in zip(spoken, axes, strict=True)]
    return RuleCost(
        rule=name,
        regret=_mean([_regret(rule) for rule in followed]),
        high=_mean([_high(rule) for rule in followed]),
        speaks=sum(rule is not None for rule in spoken),
    )


def _regret(rule: RuleFindings | None) -> float:
    return rule.regret or 0.0 if rule else 0.0


def _high(rule: RuleFindings | None) -> float:
    high = rule.regret_high if rule else None
    return _regret(rule) if high is None else high


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
