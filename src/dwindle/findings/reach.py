"""How far a grid of λ reaches: nothing trained, grids too high or too low."""

from collections.abc import Sequence

from dwindle.findings.model import CellFindings, CurvePoint
from dwindle.stats.matters import NEGLIGIBLE_SHARE


def is_lost(point: CurvePoint) -> bool:
    """Return whether a training diverged at a λ, or half of them stayed at chance."""
    return bool(point.diverged) or 2 * point.untrained >= max(point.n, 1)


def undecayed(points: Sequence[CurvePoint]) -> CurvePoint | None:
    """Return the trainings without decay, if they trained."""
    found = next((point for point in points if point.weight_decay == 0), None)
    return None if found is None or is_lost(found) else found


def is_untrained(cell: CellFindings) -> bool:
    """Return whether networks stay at chance without decay, too: no λ is to blame."""
    tried = [point for point in cell.curve if point.weight_decay == 0]
    return any(2 * point.untrained >= max(point.n, 1) for point in tried)


def ruined_from(cell: CellFindings) -> float | None:
    """Return the lowest λ > 0 where all of them ruin networks that train without."""
    tried = [point for point in cell.curve if point.weight_decay > 0]
    if not tried or undecayed(cell.curve) is None or not all(map(is_lost, tried)):
        return None
    return min(point.weight_decay for point in tried)


def idle_up_to(cell: CellFindings) -> float | None:
    """Return the highest λ where even that one does not raise the loss.

    Every decay does harm in the end. A grid on which none does ends before decay acts,
    and that nothing is gained there says nothing about larger λ.
    """
    tried = [point for point in cell.curve if point.weight_decay > 0]
    without, top = undecayed(cell.curve), max(tried, key=_decay_of, default=None)
    if cell.matters == "yes" or without is None or top is None or is_lost(top):
        return None
    if without.mean is None or top.mean is None:
        return None
    acts = top.mean > without.mean * (1 + NEGLIGIBLE_SHARE)
    return None if acts else top.weight_decay


def _decay_of(point: CurvePoint) -> float:
    return point.weight_decay
