"""One axis: the exponent of the best λ, from the cells that show one."""

import math
from collections.abc import Sequence

from dwindle.decay.rules import RULES
from dwindle.findings import names
from dwindle.findings.cells import StudyCell
from dwindle.findings.model import AxisFindings, WithoutCell
from dwindle.findings.rule_verdict import (
    WEAKEST_POWER,
    AxisEvidence,
    course_within,
    drop_uninformative_agreement,
    judge_rule,
    judge_unchanged,
)
from dwindle.stats.slope import CELLS_FOR_A_LAW, Slope, fit_slope
from dwindle.stats.student import MOST_SEEDS, SEEDS_FOR_AN_INTERVAL
from dwindle.wording import counted, fixed, listed


def measure_axis(
    axis: str,
    cells: Sequence[StudyCell],
    *,
    policy: str,
    base_value: float,
    family: str,
) -> AxisFindings:
    """Fit the exponent of an axis and compare every rule with its cells.

    ``policy`` describes what moves or stays along the axis, ``base_value`` is that of
    the study's base cell, and ``family`` the update family that rules know. Without an
    exponent ``why_null`` is the reason.
    """
    # A depth of 0 is a value, but has no logarithm.
    telling = [
        cell
        for cell in cells
        if cell.findings.shows_best_decay and cell.findings.value > 0
    ]
    slope = _slope_of(telling)
    alone = _leaning_on(telling, slope)

    def from_base(cell: StudyCell) -> float:
        return abs(math.log(cell.findings.value / base_value)) if base_value > 0 else 0

    # The base cell if it shows a best λ, else the nearest cell that can.
    anchor = min(telling, key=from_base, default=None)
    evidence = AxisEvidence(
        cells=tuple(cells),
        fitted=tuple(telling if slope else (c for c in cells if c.findings.value > 0)),
        anchor=anchor,
        slope=slope,
        family=family,
    )
    # The examples of a study have no length: in tokens a rule is that in examples.
    stated = (rule for rule in RULES if rule.clock != "tokens")
    judged = [
        *(judge_rule(rule, evidence) for rule in stated),
        judge_unchanged(evidence),
    ]
    *rules, unchanged = drop_uninformative_agreement(judged, slope)
    remark = _remark(slope, cells, len(telling))
    if alone:
        limits = f"{fixed(alone.low)} to {fixed(alone.high)}"
        without = f"without {alone.value:g} it is {fixed(alone.exponent)} ({limits})"
        remark = f"{remark}; it leans on one cell: {without}"
    return AxisFindings(
        axis=axis,
        policy=policy,
        exponent=slope.exponent if slope else None,
        low=slope.low if slope else None,
        high=slope.high if slope else None,
        why_null="" if slope else remark,
        note=remark if slope else "",
        anchor=anchor.findings.value if anchor else None,
        cells=tuple(cell.findings for cell in cells),
        rules=tuple(rules),
        unchanged=unchanged,
        would_tell=_what_would_decide(slope, cells, len(telling)),
        leans_on=alone,
    )


def _leaning_on(
    telling: Sequence[StudyCell], slope: Slope | None
) -> WithoutCell | None:
    """Return the cell without which the exponent leaves its interval, if any."""
    # An end of the axis weighs most in a slope; with fewer than three other cells
    # nothing would check the law that is left.
    if slope is None or len(telling) <= CELLS_FOR_A_LAW:
        return None
    found = []
    for cell in telling:
        left = _slope_of([other for other in telling if other is not cell])
        if left and not slope.low <= left.exponent <= slope.high:
            value = cell.findings.value
            without = WithoutCell(
                value=value, exponent=left.exponent, low=left.low, high=left.high
            )
            found.append((abs(left.exponent - slope.exponent), without))
    return max(found, key=lambda each: each[0])[1] if found else None


def _slope_of(cells: Sequence[StudyCell]) -> Slope | None:
    return fit_slope(
        [math.log(cell.findings.value) for cell in cells],
        [cell.optimum for cell in cells if cell.optimum is not None],
    )


def _what_would_decide(
    slope: Slope | None, cells: Sequence[StudyCell], telling: int
) -> str:
    """What would decide which way the best λ goes; empty if that is decided."""
    if slope and course_within(slope.low, slope.high, cells=telling) != "unknown":
        return ""
    # More seeds do not sharpen what the grid itself hides.
    if any(
        c.optimum and c.optimum.coarse and c.findings.matters == "yes" for c in cells
    ):
        return "a finer grid: the λ around the best one a third of a decade apart"
    # A verdict needs three seeds; before that nothing else would help.
    seeds = max((cell.curve.n for cell in cells if cell.curve), default=0)
    if 0 < seeds < SEEDS_FOR_AN_INTERVAL:
        return f"{SEEDS_FOR_AN_INTERVAL} seeds or more instead of {seeds}"
    needed = [c.findings.seeds_needed for c in cells if c.findings.seeds_needed]
    if slope is not None and slope.seeds_decide:
        # Only where the seeds are what makes the interval wide. Its half falls as one
        # over the square root of the seeds; it must come down to the distance from 0,
        # or leave less than a square root around 0.
        half = (slope.high - slope.low) / 2
        weakest = WEAKEST_POWER if slope.law_checked else WEAKEST_POWER / 2
        wanted = max(abs(slope.exponent), weakest - abs(slope.exponent))
        needed.append(max(seeds + 1, math.ceil(seeds * (half / wanted) ** 2)))
    parts = [f"about {max(needed)} seeds instead of {seeds}"] if needed else []
    if needed and max(needed) > MOST_SEEDS:
        parts = [f"more than {MOST_SEEDS:,} seeds"]
    parts += [*_trained_networks(cells), *_wider_grids(cells)]
    if len(cells) < CELLS_FOR_A_LAW:
        # Any line goes through two cells.
        parts.append("three values or more")
    elif slope is not None and not slope.seeds_decide:
        parts.append("more values over a wider range, as no power law fits these well")
    return ", and ".join(parts) or "a larger effect: a stronger or a longer training"


def _trained_networks(cells: Sequence[StudyCell]) -> list[str]:
    """What would make networks train that stay at chance at every λ."""
    found = [cell for cell in cells if cell.findings.is_untrained or cell.is_of_few]
    if not found:
        return []
    steps = min(cell.findings.scale.get("steps", math.inf) for cell in found)
    at = listed([f"{cell.findings.value:g}" for cell in found])
    few = f", or {counted(steps, 'step')} too few" if steps < math.inf else ""
    lr = f"the learning rate is too low or too high{few}"
    return [f"networks that train (at {at} many or all stay at chance: {lr})"]


def _wider_grids(cells: Sequence[StudyCell]) -> list[str]:
    wider = []
    ruined = [at for cell in cells if (at := cell.findings.ruined_from)]
    idle = [at for cell in cells if (at := cell.findings.idle_up_to)]
    if ruined:
        wider.append(f"a grid that goes below {names.decay(min(ruined))}")
    if idle:
        wider.append(f"a grid that goes above {names.decay(max(idle))}")
    for side, limit, pick in (("high", "above", max), ("low", "below", min)):
        ends = [
            pick(p.weight_decay for p in c.findings.curve if p.weight_decay > 0)
            for c in cells
            if c.findings.at_edge == side and c.findings.matters == "yes"
        ]
        if ends:
            wider.append(f"a grid that goes {limit} {names.decay(pick(ends))}")
    return list(dict.fromkeys(wider))


def _remark(slope: Slope | None, cells: Sequence[StudyCell], telling: int) -> str:
    """Why there is no exponent, or what the reader of one has to know."""
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        at_zero = "" if cell.findings.value > 0 else "no power law reaches 0"
        if why := cell.excluded_because or at_zero:
            reasons.setdefault(why, []).append(f"{cell.findings.value:g}")
    left_out = "; ".join(f"{', '.join(at)}: {why}" for why, at in reasons.items())
    if slope is None:
        reason = f"{names.sure_cells(telling, len(cells))}, a slope needs two"
        return f"{reason} ({left_out})" if left_out else reason
    parts = [f"the interval is that of the {slope.decided_by}"]
    if not slope.law_checked:
        parts.append("two cells, so the power law itself is not checked")
    if left_out:
        parts.append(f"left out: {left_out}")
    return "; ".join(parts)
