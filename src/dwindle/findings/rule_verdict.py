"""A published rule beside a measured axis: what it predicts, what following it costs.

The rule starts from one cell, the anchor, and predicts every other one. The anchor is
never judged: it would agree with itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression
from typing import Any, Literal

import numpy as np

from dwindle.decay.rules import Rule, predict
from dwindle.findings.cells import StudyCell
from dwindle.findings.model import RuleFindings
from dwindle.findings.names import UNCHANGED
from dwindle.stats.curve import Curve, read_log_table, read_losses
from dwindle.stats.optimum import Optimum
from dwindle.stats.regret import (
    JudgedCurve,
    limits_of,
    measure_gain,
    measure_regret,
)
from dwindle.stats.slope import CELLS_FOR_A_LAW, NORMAL_95, Slope

Course = Literal["up", "down", "still", "unknown"]

# The weakest power that any published rule corrects by is a square root. An interval
# around 0 that does not exclude it has not shown that nothing is called for.
WEAKEST_POWER = 0.5
# Places of the anchor at which losses are read: the 5 % limits need as many.
_PLACES = 20
# An exponent on the limit of an interval, but for rounding, is inside.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class AxisEvidence:
    """What rules are compared with: the cells of an axis, and their slope.

    ``fitted`` are the cells that the slope was fitted to, or all of them if there is
    none; ``anchor`` is the cell that predictions start from, if any can serve.
    """

    cells: tuple[StudyCell, ...]
    fitted: tuple[StudyCell, ...]
    anchor: StudyCell | None
    slope: Slope | None
    family: str


def judge_rule(rule: Rule, evidence: AxisEvidence) -> RuleFindings:
    """Compare one rule with an axis.

    The rule's exponent is the slope of the λ that it predicts, over the cells that the
    measured slope was fitted to: a wider network also has more weights, so no exponent
    can be read off the rule itself.
    """
    cells = evidence.cells
    start = evidence.anchor or cells[0]
    before = ratio_quantities(start.findings.scale)
    predictions = [
        predict(
            rule,
            family=evidence.family,
            before=before,
            after=ratio_quantities(cell.findings.scale),
        )
        for cell in cells
    ]
    # A rule that predicts some cells only would be judged on easier ones than others.
    silent = next((each.why_not for each in predictions if each.factor is None), "")
    why_not = "the axis has one cell" if len(cells) == 1 else silent
    if why_not:
        nothing = (None,) * len(cells)
        return RuleFindings(
            rule=rule.name, applies=False, why_not=why_not, predictions=nothing
        )
    # A rule is about the λ at the weights, the cells about the λ that was typed.
    factors = [prediction.factor or 1.0 for prediction in predictions]
    logs = [
        math.log(factor) - math.log(cell.coefficient / start.coefficient)
        for factor, cell in zip(factors, cells, strict=True)
    ]
    return _findings(rule.name, logs, evidence)


def ratio_quantities(scale: dict[str, float]) -> dict[str, float]:
    """Return the quantities that a rule can take a ratio of.

    A network without hidden layers has no width, and no ratio has a depth of 0 in it.
    """
    absent = () if scale.get("depth", 1) else ("width", "depth")
    return {name: value for name, value in scale.items() if name not in absent}


def judge_unchanged(evidence: AxisEvidence) -> RuleFindings:
    """Return what it costs to keep the anchor's λ at every cell of the axis."""
    return _findings(UNCHANGED, [0.0] * len(evidence.cells), evidence)


def drop_uninformative_agreement(
    rules: Sequence[RuleFindings], slope: Slope | None
) -> tuple[RuleFindings, ...]:
    """Return the rules, agreeing with none where the measurement excludes none.

    An interval that holds the exponents of all rules and 0 supports no rule; where all
    predict the same, it must at least exclude a square root more or less. ``agrees`` is
    None where an agreement could not have failed.
    """
    candidates = [rule for rule in rules if rule.exponent is not None]
    if slope is None or any(rule.agrees is False for rule in candidates):
        return tuple(rules)
    # Slopes of computed logarithms: equal ones differ in their last digits.
    exponents = {round(rule.exponent or 0.0, 6) for rule in candidates}
    wide = slope.low <= -WEAKEST_POWER or slope.high >= WEAKEST_POWER
    if len(exponents) > 1 or wide:
        return tuple(
            replace(rule, agrees=None, not_excluded=rule.exponent is not None)
            for rule in rules
        )
    return tuple(rules)


def course_within(low: float, high: float, *, cells: int = CELLS_FOR_A_LAW) -> Course:
    """Return which way the best λ goes if its exponent lies within these limits.

    Fewer than three cells do not show whether the best λ follows a power at all.
    """
    if low > 0:
        return "up"
    if high < 0:
        return "down"
    # Two cells do not check that it is a power: theirs must be half as wide.
    weakest = WEAKEST_POWER if cells >= CELLS_FOR_A_LAW else WEAKEST_POWER / 2
    narrow = low > -weakest and high < weakest
    return "still" if narrow else "unknown"


def _findings(name: str, logs: Sequence[float], evidence: AxisEvidence) -> RuleFindings:
    """Findings of a rule whose predicted ln λ, up to a constant, are ``logs``."""
    by_cell = dict(zip(map(id, evidence.cells), logs, strict=True))
    exponent = _slope_of(
        evidence.fitted, [by_cell[id(cell)] for cell in evidence.fitted]
    )
    predicted: list[float | None] = [None for _ in logs]
    anchor, slope = evidence.anchor, evidence.slope
    if anchor is not None and anchor.optimum is not None:
        # The anchor keeps its own best λ; the rule leads from there to the others.
        start = anchor.optimum.log_decay - by_cell[id(anchor)]
        predicted = [start + log for log in logs]
    inside = None
    if exponent is not None and slope is not None:
        inside = slope.low - _ROUNDING <= exponent <= slope.high + _ROUNDING
    # An interval that holds powers a square root away from its middle supports none.
    is_wide = slope is not None and slope.high - slope.low > 2 * WEAKEST_POWER
    return RuleFindings(
        rule=name,
        exponent=exponent,
        applies=True,
        agrees=None if inside and is_wide else inside,
        not_excluded=inside is True and is_wide,
        predictions=tuple(None if p is None else math.exp(p) for p in predicted),
        **_cost(predicted, evidence),
    )


def _slope_of(cells: Sequence[StudyCell], logs: Sequence[float]) -> float | None:
    scale = [math.log(cell.findings.value) for cell in cells]
    if len(set(scale)) < 2:  # noqa: PLR2004 - a line needs two points
        return None
    return linear_regression(scale, logs).slope


def _cost(
    predicted: Sequence[float | None], evidence: AxisEvidence
) -> dict[str, Any]:  # fields of RuleFindings
    """Return what following predictions of ln λ loses, as far as that can be read."""
    judged: list[JudgedCurve] = []
    places: list[float] = []
    beyond = 0
    for log_decay, cell in zip(predicted, evidence.cells, strict=True):
        if log_decay is None or cell is evidence.anchor or cell.curve is None:
            continue
        if cell.findings.matters == "cannot tell":
            continue  # the noise hides where its best λ is, and so what a rule loses
        reading = read_losses(cell.curve, log_decay)
        judged.append(JudgedCurve(curve=cell.curve, values=reading.values))
        places.append(log_decay)
        beyond += reading.beyond
    regret = measure_regret(judged) if judged else None
    optimum = evidence.anchor.optimum if evidence.anchor else None
    if regret is None or optimum is None:
        return {"beyond_grid": beyond}
    curves = [one.curve for one in judged]
    by_anchor = _lost_by_anchor(optimum, curves, places)
    regret = regret.widened(*limits_of(by_anchor))
    # Noise can put the estimate below zero, where no loss can be; its interval
    # already stops there, and a value outside of its interval misleads.
    value = max(0.0, regret.value)
    # No share of a gain that may be none: decay must surely buy something.
    gain = measure_gain(curves)
    is_sure = gain is not None and gain.low is not None and gain.low > 0
    return {
        "regret": value,
        "regret_low": regret.low,
        "regret_high": regret.high,
        "share_lost": value / gain.value if gain and is_sure else None,
        "beyond_grid": beyond,
        "by_seed": regret.by_seed,
        "by_anchor": by_anchor,
    }


def _lost_by_anchor(
    anchor: Optimum, curves: Sequence[Curve], places: Sequence[float]
) -> tuple[float, ...]:
    """Return what would be lost more from places where the anchor may lie."""
    # Every prediction moves with the anchor's best λ, in all judged cells alike. The
    # loss is read at the predictions from places that its draws, with their floor, put
    # equal weight on.
    if not len(anchor.draws):
        return ()
    noise = np.random.default_rng(0).standard_normal(len(anchor.draws))
    drawn = anchor.draws - anchor.log_decay + noise * anchor.floor / NORMAL_95
    moves = np.quantile(drawn, (np.arange(_PLACES) + 0.5) / _PLACES)
    moves = np.append(moves, 0.0)  # the last: where nothing moves
    lost = np.zeros(len(moves))
    for curve, place in zip(curves, places, strict=True):
        x = curve.log_decay
        inside = np.clip(place + moves, x[0], x[-1])
        lost += np.exp(read_log_table(curve, inside)).mean(axis=1) / len(curves)
    return tuple((lost[:-1] - lost[-1]).tolist())
