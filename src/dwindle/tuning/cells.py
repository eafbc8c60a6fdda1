"""Cells: the best decay at each scale that a store holds, of any kind of study."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dwindle.decay.run import Run
from dwindle.errors import StoreFormatError
from dwindle.finding.found import found_of, unit_of
from dwindle.finding.records import (
    Former,
    StoredFind,
    find_from_stored,
    run_from_facts,
)
from dwindle.findings.build import findings_of
from dwindle.findings.model import Findings
from dwindle.stats.law import Law, LawCell, Prior
from dwindle.store.store import read_store, study_from_stored
from dwindle.wording import quantity

# An interval of 90 % is so many standard errors wide.
_WIDTH = 2 * 1.6449
# Published exponents of λ: batch and lr go together (λ ∝ (batch/lr)^.5), more data
# wants less. The prior is wide: they were measured on other nets.
_MEANS = {"batch_size": 0.5, "lr": -0.5, "dataset_size": -0.5}
_PRIOR_SD = 1.0  # from no effect to one in proportion lies within
_BEYOND = "its best value lies beyond what was searched"
_OPEN = "its 90 % interval has an open end: more seeds may close it"
# Why a cell gives no best value to a law.
_MATTERS_NOT = {
    "yes": "",
    "no": "no decay helps measurably there",
    "cannot tell": "whether decay matters is undecided there",
}
# The optimizers of the built-in problems.
_OPTIMIZERS = {
    "sgd": "torch.optim.SGD",
    "adamw": "torch.optim.AdamW",
    "adam": "torch.optim.Adam",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The best decay at one scale, in the number of its knob.

    ``why_not`` is the reason why a law cannot use it; ``scale`` has what may differ.
    """

    scale: Mapping[str, float]
    value: float | None
    low: float | None
    high: float | None
    trainings: int
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """All cells of a store, in the order of their training, and what their number is.

    ``run`` has facts that all cells share, for the rules; ``axes`` are what differs
    between them, and it runs ``backwards`` where a larger number is less decay.
    ``target`` is the scale that a tune was for; ``base`` has the quantities that a
    target may leave out. ``former`` trainings do not count.
    """

    knob: str
    symbol: str
    run: Run
    cells: tuple[Cell, ...]
    axes: tuple[str, ...]
    backwards: bool = False
    name: str = ""
    target: Mapping[str, float] | None = None
    base: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    former: tuple[Former, ...] = ()

    @property
    def usable(self) -> tuple[Cell, ...]:
        """The cells that show a best decay."""
        return tuple(cell for cell in self.cells if not cell.why_not)

    def law(self, axes: tuple[str, ...]) -> Law:
        """Return the law over these axes, through the cells that show a best decay."""
        sign = -1.0 if self.backwards else 1.0
        cells = [
            LawCell(
                scale=cell.scale,
                log_decay=math.log(cell.value),
                sd=math.log(cell.high / cell.low) / _WIDTH,
            )
            for cell in self.usable
            if cell.value and cell.low and cell.high
        ]
        priors = {
            axis: Prior(mean=sign * _MEANS.get(axis, 0.0), sd=_PRIOR_SD)
            for axis in axes
        }
        return Law(priors=priors, cells=cells)


def cells_in(path: str | Path) -> Cells:
    """Return the cells of a store of ``find``, ``tune`` or of a built-in study.

    Nothing is imported or started that the store names.
    """
    stored = read_store(Path(path))
    cells = (
        cells_of_find(find_from_stored(stored))
        if stored.kind == "own"
        else cells_of_study(findings_of(study_from_stored(stored)))
    )
    if not cells.cells:
        raise StoreFormatError(str(path), "no trainings in it", "Train first.")
    return cells


def cells_of_find(stored: StoredFind) -> Cells:
    """Return the cells of a user's own trainings, in the order of their training."""
    scales = stored.scales
    unit = unit_of(stored.conditions, {})
    names = dict.fromkeys(name for scale in scales for name in scale)
    return Cells(
        knob=unit.knob.name,
        symbol=unit.symbol,
        run=run_from_facts(stored.conditions.facts),
        cells=tuple(_found_cell(stored, scale) for scale in scales),
        axes=tuple(each for each in names if len({s.get(each) for s in scales}) > 1),
        backwards=unit.runs_backwards,
        name=stored.spec.name,
        target=stored.spec.target or None,
        former=stored.former,
    )


def _found_cell(stored: StoredFind, scale: Mapping[str, float]) -> Cell:
    found = found_of(stored.at(scale))
    why_not = ""
    has_zero = any(each.is_without for each in found.curve)
    if found.value is None:
        why_not = found.why_null or "no best value"
    elif found.at_edge is not None:
        why_not = _BEYOND
    elif found.low is None or found.high is None:
        why_not = found.range_text
    elif found.matters == "no":
        why_not = _MATTERS_NOT["no"]
    elif not found.low or math.isinf(found.high):
        why_not = _OPEN
    elif found.matters == "cannot tell" and has_zero:
        why_not = _MATTERS_NOT["cannot tell"]
    return Cell(
        scale=scale,
        value=found.value,
        low=found.low,
        high=found.high,
        trainings=found.trainings,
        why_not=why_not,
    )


def cells_of_study(findings: Findings) -> Cells:
    """Return the cells of a built-in study, whose optimizers are torch's."""
    seen: dict[tuple[tuple[str, float], ...], Cell] = {}
    for axis in findings.axes:
        for cell in axis.cells:
            why_not = _MATTERS_NOT[cell.matters]
            if not why_not and (cell.optimum is None or not cell.low or not cell.high):
                why_not = _BEYOND
            # Several axes go through the base cell.
            seen[tuple(sorted(cell.scale.items()))] = Cell(
                scale=cell.scale,
                value=cell.optimum,
                low=cell.low,
                high=cell.high,
                trainings=sum(point.n + point.diverged for point in cell.curve),
                why_not=why_not,
            )
    plain = findings.normalization == "none"
    return Cells(
        # A decay that is spread over layers is no number of the optimizer's.
        knob=_OPTIMIZERS[findings.optimizer] if plain else findings.normalization,
        symbol="weight_decay",
        run=Run(),
        name=findings.study,
        cells=tuple(seen.values()),
        axes=tuple(axis.axis for axis in findings.axes),
        base=findings.base,
        notes=tuple(
            f"Along {quantity(axis.axis)}: {axis.policy}."
            for axis in findings.axes
            if axis.policy
        ),
    )
