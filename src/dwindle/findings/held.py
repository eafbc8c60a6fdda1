"""A published rule held against an axis: what it predicts, and what following it costs.

The rule starts from one cell, the anchor, and predicts every other one. The anchor is
never judged: it would agree with itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dwindle.decay.rules import Prediction, Rule, predict
from dwindle.findings.cells import Cell
from dwindle.findings.model import RuleFindings
from dwindle.findings.sizes import speakable
from dwindle.stats.reading import read_losses
from dwindle.stats.regret import Judged, measure_gain, measure_regret
from dwindle.stats.slope import CELLS_FOR_A_LAW, Slope
from dwindle.stats.student import Interval

Course = Literal["up", "down", "still", "unknown"]

UNCHANGED = "unchanged"
# The weakest power that any published rule corrects by is a square root. An interval
# around 0 that does not exclude it has not shown that nothing is called for.
WEAKEST_POWER = 0.5
# An exponent on the limit of an interval, but for rounding, is inside.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """What rules are held against: the cells of an axis and what they say together.

    ``fitted`` are the cells that the slope was fitted to, or all of them if there is
    none; ``anchor`` is the cell that predictions start from, if any can serve.
    """

    cells: tuple[Cell, ...]
    fitted: tuple[Cell, ...]
    anchor: Cell | None
    slope: Slope | None
    family: str


@dataclass(frozen=True, kw_only=True)
class _Cost:
    regret: Interval | None
    share: float | None
    beyond: int


def hold_rule(rule: Rule, ground: Ground) -> RuleFindings:
    """Hold one rule against an axis.

    The rule's exponent is the slope of the λ that it predicts, over the cells that the
    measured slope was fitted to: a wider network also has more weights, so no exponent
    can be read off the rule itself.

    Args:
        rule: The rule.
        ground: The cells, their slope and the anchor.

    Returns:
        What the rule predicts and costs; ``why_not`` where it does not speak.

    """
    cells = ground.cells
    start = ground.anchor or cells[0]
    predictions = [_predict(rule, start, cell, ground.family) for cell in cells]
    why_not = _why_not(predictions)
    if why_not:
        return _not_applicable(rule.name, why_not, len(cells))
    factors = [prediction.factor or 1.0 for prediction in predictions]
    logs = [
        math.log(factor) - math.log(cell.coefficient / start.coefficient)
        for factor, cell in zip(factors, cells, strict=True)
    ]
    return _findings(rule.name, logs, ground)


def hold_unchanged(ground: Ground) -> RuleFindings:
    """Return what it costs to keep the anchor's λ at every cell of the axis."""
    return _findings(UNCHANGED, [0.0] * len(ground.cells), ground)


def without_idle_agreement(
    rules: Sequence[RuleFindings], slope: Slope | None
) -> tuple[RuleFindings, ...]:
    """Return the rules, agreeing with none where the measurement tells none apart.

    An interval that holds the exponents of all rules and 0 supports no rule; where they
    all say the same, it must at least exclude a square root more or less.

    Args:
        rules: Every rule as :func:`hold_rule` returns it, and leaving λ as it is, which
            is a rule like the others here.
        slope: The measured slope, if there is one.

    Returns:
        The rules; ``agrees`` is None where an agreement could not have failed.

    """
    candidates = [rule for rule in rules if rule.exponent is not None]
    if slope is None or any(rule.agrees is False for rule in candidates):
        return tuple(rules)
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

    Args:
        low: Lower limit of the exponent.
        high: Upper limit.
        cells: How many cells the limits come from; fewer than three do not show
            whether the best λ follows a power at all.

    """
    if low > 0:
        return "up"
    if high < 0:
        return "down"
    weakest = WEAKEST_POWER if cells >= CELLS_FOR_A_LAW else WEAKEST_POWER / 2
    narrow = low > -weakest and high < weakest
    return "still" if narrow else "unknown"


def _predict(rule: Rule, start: Cell, cell: Cell, family: str) -> Prediction:
    before, after = speakable(start.findings.scale), speakable(cell.findings.scale)
    return predict(rule, family=family, before=before, after=after)


def _why_not(predictions: Sequence[Prediction]) -> str:
    """Why the rule does not apply to the axis; empty if it speaks of every cell.

    A rule that speaks of some cells only would be judged on easier ones than others.
    """
    if len(predictions) == 1:
        return "the axis has one cell"
    return next((p.why_not for p in predictions if p.factor is None), "")


def _not_applicable(name: str, why_not: str, cells: int) -> RuleFindings:
    return RuleFindings(
        rule=name,
        exponent=None,
        applies=False,
        why_not=why_not,
        agrees=None,
        regret=None,
        regret_low=None,
        regret_high=None,
        share_lost=None,
        predictions=(None,) * cells,
    )


def _findings(name: str, logs: Sequence[float], ground: Ground) -> RuleFindings:
    """Findings of a rule whose predicted ln λ, up to a constant, are ``logs``."""
    by_cell = dict(zip(map(id, ground.cells), logs, strict=True))
    exponent = _slope_of(ground.fitted, [by_cell[id(cell)] for cell in ground.fitted])
    predicted = _from_anchor(by_cell, ground)
    cost = _cost(predicted, ground)
    inside = _is_inside(exponent, ground.slope)
    return RuleFindings(
        rule=name,
        exponent=exponent,
        applies=True,
        why_not="",
        agrees=None if inside and _is_wide(ground.slope) else inside,
        not_excluded=inside is True and _is_wide(ground.slope),
        regret=cost.regret.value if cost.regret else None,
        regret_low=cost.regret.low if cost.regret else None,
        regret_high=cost.regret.high if cost.regret else None,
        share_lost=cost.share,
        predictions=tuple(None if p is None else math.exp(p) for p in predicted),
        beyond_grid=cost.beyond,
    )


def _slope_of(cells: Sequence[Cell], logs: Sequence[float]) -> float | None:
    scale = [math.log(cell.findings.value) for cell in cells]
    if len(set(scale)) < 2:  # noqa: PLR2004 - a line needs two points
        return None
    middle = sum(scale) / len(scale)
    spread = sum((x - middle) ** 2 for x in scale)
    return sum((x - middle) * y for x, y in zip(scale, logs, strict=True)) / spread


def _from_anchor(logs: dict[int, float], ground: Ground) -> list[float | None]:
    """Predicted ln λ per cell; the anchor keeps its own optimum."""
    anchor = ground.anchor
    if anchor is None or anchor.optimum is None:
        return [None for _ in ground.cells]
    start = anchor.optimum.log_decay - logs[id(anchor)]
    return [start + logs[id(cell)] for cell in ground.cells]


def _cost(predicted: Sequence[float | None], ground: Ground) -> _Cost:
    judged: list[Judged] = []
    beyond = 0
    for log_decay, cell in zip(predicted, ground.cells, strict=True):
        if log_decay is None or cell is ground.anchor or cell.curve is None:
            continue
        if cell.findings.matters == "cannot tell":
            continue  # the noise hides where its best λ is, and so what a rule loses
        reading = read_losses(cell.curve, log_decay)
        judged.append(Judged(curve=cell.curve, values=reading.values))
        beyond += reading.beyond
    regret = measure_regret(judged) if judged else None
    if regret is not None:
        # Noise can put the estimate below zero, where no loss can be; its interval
        # already stops there, and a value outside of its interval misleads.
        regret = replace(regret, value=max(0.0, regret.value))
    return _Cost(regret=regret, share=_share(regret, judged), beyond=beyond)


def _share(regret: Interval | None, judged: Sequence[Judged]) -> float | None:
    """Regret as a share of what decay buys; None unless decay surely buys something."""
    gain = measure_gain([one.curve for one in judged]) if judged else None
    if regret is None or gain is None or gain.low is None or gain.low <= 0:
        return None
    return regret.value / gain.value


def _is_wide(slope: Slope | None) -> bool:
    """Whether the interval holds powers a square root away from its middle."""
    return slope is not None and slope.high - slope.low > 2 * WEAKEST_POWER


def _is_inside(exponent: float | None, slope: Slope | None) -> bool | None:
    if exponent is None or slope is None:
        return None
    return slope.low - _ROUNDING <= exponent <= slope.high + _ROUNDING
