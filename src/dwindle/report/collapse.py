"""The corrections of a collapse plot: which λ a rule makes equal across scales.

A rule holds when the loss curves of all scales line up after λ was brought to the
anchor scale by it: λ · (predicted at the anchor) / (predicted at the cell).
"""

import math
from dataclasses import dataclass, replace

from dwindle.findings.model import AxisFindings, CellFindings, RuleFindings
from dwindle.findings.names import rule_title
from dwindle.findings.verdict import ranked_rules
from dwindle.wording import fixed

# The rules of the question and of its answer come first; one more, the cheapest
# to follow, joins them. Six panels are what a reader still compares.
HEADLINE_RULES = ("question-layer-mean", "bengio-map", "neal", "half-life-epochs")
MOST_PANELS = 6

Factors = tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A named factor per cell that brings its λ to the anchor scale.

    ``also`` names the rules that come to the same; ``agrees`` is whether the measured
    exponent supports one of them; ``is_measured`` that it is this exponent itself.
    """

    title: str
    factors: Factors
    is_measured: bool = False
    also: tuple[str, ...] = ()
    agrees: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether the curves stay where they are."""
        return all(f is None or math.isclose(f, 1.0) for f in self.factors)


def corrections(axis: AxisFindings) -> tuple[Correction, ...]:
    """Return the corrections worth a panel: none, the rules, what was measured.

    Rules that correct alike share a panel; a rule that corrects nothing joins the
    uncorrected one.
    """
    found = [Correction(title="as typed", factors=tuple(1.0 for _ in axis.cells))]
    by_name = {rule.rule: rule for rule in axis.rules if rule.applies}
    headline = [by_name[name] for name in HEADLINE_RULES if name in by_name]
    ranked = ranked_rules(axis)
    # λ as typed is the first panel already.
    others = (r for r in ranked if r not in headline and r is not axis.unchanged)
    for rule in [*headline, *list(others)[:1]]:
        factors = rule_factors(axis, rule)
        if factors is not None:
            title, agrees = rule_title(rule.rule), rule.agrees is True
            _join(found, Correction(title=title, factors=factors, agrees=agrees))
    measured = measured_factors(axis)
    if measured is not None:
        title = f"measured exponent {fixed(axis.exponent)}"
        found.append(Correction(title=title, factors=measured, is_measured=True))
    return tuple(found)


def _join(found: list[Correction], new: Correction) -> None:
    def is_same(one: float | None, other: float | None) -> bool:
        if one is None or other is None:
            return one is other
        # Nobody sees two hundredths in a panel of two hundred pixels.
        return math.isclose(one, other, rel_tol=0.02)

    for i, old in enumerate(found):
        if all(map(is_same, old.factors, new.factors)):
            agrees = old.agrees or new.agrees
            found[i] = replace(old, also=(*old.also, new.title), agrees=agrees)
            return
    # One place is kept for what was measured.
    if len(found) < MOST_PANELS - 1:
        found.append(new)


def anchor_cell(axis: AxisFindings) -> int | None:
    """Return the position of the cell from which the rules predict, if there is one."""
    at = (i for i, cell in enumerate(axis.cells) if cell.value == axis.anchor)
    return next(at, None)


def rule_factors(axis: AxisFindings, rule: RuleFindings) -> Factors | None:
    """Return the factor of every cell under a rule; None without an anchor."""
    anchor = anchor_cell(axis)
    if anchor is None or len(rule.predictions) != len(axis.cells):
        return None
    # The rule is followed from the best λ of the anchor, also where it is not repeated.
    start = rule.predictions[anchor] or axis.cells[anchor].optimum
    if not start:
        return None
    factors = [start / each if each else None for each in rule.predictions]
    factors[anchor] = 1.0
    return tuple(factors)


def measured_factors(axis: AxisFindings) -> Factors | None:
    """Return the factor of every cell under the measured exponent, if there is one."""
    anchor = anchor_cell(axis)
    if axis.exponent is None or anchor is None:
        return None
    start, power = axis.cells[anchor].value, axis.exponent
    return tuple(
        (start / cell.value) ** power if cell.value > 0 else None for cell in axis.cells
    )


def spread(axis: AxisFindings, factors: Factors) -> float | None:
    """Return the largest corrected best λ over the smallest; 1 is a perfect collapse.

    Only cells where decay matters and the optimum is inside the grid count.
    """
    found = [
        cell.best_decay * factor
        for cell, factor in zip(axis.cells, factors, strict=True)
        if cell.best_decay and factor
    ]
    return max(found) / min(found) if len(found) > 1 else None


def lowest_loss(cell: CellFindings) -> float | None:
    """Return the loss from which a curve is measured: the lowest that was trained."""
    means = [p.mean for p in cell.curve if p.mean is not None and p.weight_decay > 0]
    return min(means, default=cell.loss_at_optimum)


def loss_ceiling(axis: AxisFindings) -> float:
    """Return the highest loss above the lowest that a panel shows.

    Curves leave through the top where λ is far too large; what decay buys fills most of
    the panel.
    """
    gains = [c.gain for c in axis.cells if c.gain is not None and c.matters == "yes"]
    if gains and max(gains) > 0:
        # 1.6: the gain fills most of a panel, and the wall beside it is still a wall.
        return 1.6 * max(gains)
    heights = sorted(
        point.mean - lowest
        for cell in axis.cells
        if (lowest := lowest_loss(cell)) is not None
        for point in cell.curve
        if point.mean is not None and point.mean > lowest
    )
    # Nothing is gained anywhere: the median keeps the wall from flattening the rest.
    return heights[len(heights) // 2] if heights else 1.0


def clearest_axis(axes: tuple[AxisFindings, ...]) -> AxisFindings | None:
    """Return the axis on which the best λ moves most against its own uncertainty."""
    # A steep exponent of two cells is no clear picture.
    clarity = {
        i: abs(axis.exponent) / max(axis.high - axis.low, 1e-9)
        for i, axis in enumerate(axes)
        if axis.exponent and axis.low is not None and axis.high is not None
    }
    return axes[max(clarity, key=clarity.__getitem__)] if clarity else None


def best_correction(axis: AxisFindings) -> Correction | None:
    """Return the correction to show beside the curves as typed.

    The published rule after which they line up best, of those that agree with the
    measured exponent. Without any it is that exponent, without a rule's name: that it
    collapses the cells that it was fitted to supports no rule. None where there is no
    exponent.
    """
    typed, *others = corrections(axis)
    apart = spread(axis, typed.factors) or math.inf
    rules = [
        (width, each)
        for each in others
        if each.agrees and (width := spread(axis, each.factors)) and width < apart
    ]
    if rules:
        return min(rules, key=lambda pair: pair[0])[1]
    return next((each for each in others if each.is_measured), None)
