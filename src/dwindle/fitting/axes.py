"""Exponents over what differs between cells, with every published rule beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dwindle.findings.axes import measure_axis
from dwindle.findings.cells import StudyCell
from dwindle.findings.model import AxisFindings, CellFindings, CurvePoint, RuleFindings
from dwindle.fitting.cells import Fitted
from dwindle.fitting.names import SCALES

_POLICY = "all else as in these rows"
# A bound is an answer, too: somewhere beyond it decay is better than at the ends.
_MATTERS = {"optimum": "yes", "at most": "yes", "at least": "yes"}


def fit_axes(
    fitted: Sequence[Fitted],
    *,
    fixed: Mapping[str, float],
    family: str,
    log_scale: bool,
    is_reversed: bool,
) -> tuple[AxisFindings, ...]:
    """Measure how the best weight decay moves over each quantity that differs.

    Along an axis everything else is the same: of several such rows of cells the longest
    counts. Decays of a knob that runs backwards (C) are 1/C here. The update ``family``
    of the knob decides which rules are compared with it.
    """
    axes = []
    for name in dict.fromkeys(name for each in fitted for name in each.cell.scale):
        rows: dict[tuple[object, ...], list[Fitted]] = {}
        for each in fitted:
            others = {k: v for k, v in each.cell.scale.items() if k != name}
            key = (*sorted(others.items()), *sorted(each.cell.settings.items()))
            if each.cell.scale.get(name, 0.0) > 0:
                rows.setdefault(key, []).append(each)
        row = max(rows.values(), key=len, default=[])
        if len(row) < 2:  # noqa: PLR2004 - a line needs two points
            continue
        row.sort(key=lambda each: each.cell.scale[name])
        cells = [_cell(each, name, fixed, is_reversed=is_reversed) for each in row]
        found = measure_axis(
            name,
            cells,
            policy=_POLICY,
            base_value=cells[0].findings.value,
            family=family,
        )
        if not log_scale:
            rules, unchanged = map(_bare, found.rules), found.unchanged
            found = replace(
                found, rules=tuple(rules), unchanged=unchanged and _bare(unchanged)
            )
        axes.append(found)
    return tuple(axes)


def _cell(
    fitted: Fitted, axis: str, fixed: Mapping[str, float], *, is_reversed: bool
) -> StudyCell:
    """Return a cell as the findings of a study have it."""
    cell, optimum = fitted.cell, fitted.optimum

    def decay(typed: float | None) -> float | None:
        return typed if typed is None or not is_reversed else 1 / typed

    low, high = decay(cell.low), decay(cell.high)
    # Rules are about these quantities only; any other axis is the user's.
    known = {k: v for k, v in {**fixed, **cell.scale}.items() if k in SCALES and v > 0}
    at_edge = optimum.at_edge if optimum else None
    # Not the value: no decay, which may be lowest, has no logarithm.
    best = math.exp(optimum.log_decay) if optimum else decay(cell.value)
    points = tuple(
        CurvePoint(
            weight_decay=0.0 if math.isinf(typed) else decay(typed) or 0.0,
            mean=mean,
            low=None,
            high=None,
            n=count,
            diverged=0,
            train_loss=None,
            penalty=None,
        )
        for typed, mean, count in cell.curve
    )
    findings = CellFindings(
        value=cell.scale[axis],
        scale=known,
        optimum=None if at_edge else best,
        low=high if is_reversed else low,
        high=low if is_reversed else high,
        matters="no" if cell.matters == "no" else "cannot tell",
        why=cell.why,
        at_edge=at_edge,
        curve=points,
        seeds_needed=cell.needed and cell.needed + (cell.seeds or 0),
    )
    if cell.verdict in _MATTERS:
        findings = replace(findings, matters="yes")
    return StudyCell(
        findings=findings, coefficient=1.0, curve=fitted.curve, optimum=optimum
    )


def _bare(rule: RuleFindings) -> RuleFindings:
    """Drop regrets, which are in a unit of losses that are positive."""
    return replace(
        rule, regret=None, regret_low=None, regret_high=None, share_lost=None
    )
