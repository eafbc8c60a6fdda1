"""Findings as frozen data: exactly what the terminal, the page and the JSON show.

All intervals are 90 %, but for fields that name another level. None means "there is no
such number"; a reason stands beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dwindle.plain import INTERNAL, Plain
from dwindle.stats.matters import NEGLIGIBLE_SHARE, Matters
from dwindle.stats.optimum import Edge

ClaimVerdict = Literal["holds", "holds with a correction", "does not hold"]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """All seeds of one λ in one cell; ``mean`` is the validation loss.

    ``untrained`` counts networks that stayed at chance, with their training set as with
    any other data. They are not in the mean, unless half of the seeds or more did:
    then λ is ``at_chance``.
    """

    weight_decay: float
    mean: float | None
    low: float | None
    high: float | None
    n: int
    diverged: int
    train_loss: float | None
    penalty: float | None
    untrained: int = 0
    at_chance: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether a training diverged there, or half of them stayed at chance."""
        return self.diverged > 0 or self.at_chance


@dataclass(frozen=True, kw_only=True)
class CellFindings:
    """One scale: a loss curve over λ, its optimum, and whether decay matters.

    ``value`` is the cell's value on its axis; ``scale`` holds every quantity (width,
    depth, weights, batch_size, dataset_size, epochs, steps, lr). ``optimum`` is None
    when the best λ lies at an edge of the grid (``at_edge``: which one); it has no
    limits with fewer than three seeds, and a single missing limit is open: it lies
    beyond the grid. ``gain`` is what decay buys: loss without it minus loss at the
    optimum, corrected for the optimum's having been chosen on the same seeds.
    ``seeds_needed`` is how many would decide a "cannot tell", if any number would.
    """

    value: float
    scale: dict[str, float]
    optimum: float | None = None
    low: float | None = None
    high: float | None = None
    matters: Matters
    why: str
    at_edge: Edge | None = None
    loss_at_optimum: float | None = None
    loss_without_decay: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    curve: tuple[CurvePoint, ...]
    seeds_needed: int | None = None

    @property
    def best_decay(self) -> float | None:
        """The best λ where decay matters: elsewhere it is mostly noise."""
        return self.optimum if self.matters == "yes" else None

    @property
    def shows_best_decay(self) -> bool:
        """Whether decay matters and the best λ has a limit: it may enter a slope."""
        limited = self.low is not None or self.high is not None
        return self.best_decay is not None and limited

    @property
    def decayed(self) -> list[CurvePoint]:
        """The points of λ > 0."""
        return [point for point in self.curve if point.weight_decay > 0]

    @property
    def undecayed(self) -> CurvePoint | None:
        """The trainings without decay, if they trained."""
        found = next((point for point in self.curve if point.weight_decay == 0), None)
        return None if found is None or found.is_lost else found

    @property
    def is_untrained(self) -> bool:
        """Whether networks stay at chance without decay, too: no λ is to blame."""
        return any(p.at_chance for p in self.curve if p.weight_decay == 0)

    @property
    def ruined_from(self) -> float | None:
        """The lowest λ > 0 where all of them ruin networks that train without."""
        if self.undecayed is None or not all(point.is_lost for point in self.decayed):
            return None
        return min((point.weight_decay for point in self.decayed), default=None)

    @property
    def idle_up_to(self) -> float | None:
        """The highest λ where even that one does not raise the loss.

        A decay that is large enough always does harm. A grid on which none does ends
        before decay acts: that nothing is gained there is no evidence about larger λ.
        """
        without = self.undecayed
        top = max(self.decayed, key=lambda point: point.weight_decay, default=None)
        if self.matters == "yes" or without is None or top is None or top.is_lost:
            return None
        if without.mean is None or top.mean is None:
            return None
        # By as much as a gain must be to count.
        acts = top.mean > without.mean * (1 + NEGLIGIBLE_SHARE)
        return None if acts else top.weight_decay


@dataclass(frozen=True, kw_only=True)
class RuleFindings:
    """A published rule held against one axis.

    ``exponent`` is what the rule predicts for these very cells (slope of the λ that it
    predicts). ``agrees`` is None where the measurement leaves it open: the exponent
    is ``not_excluded`` where a wide interval holds it. Regret is the
    validation loss lost by following the rule from the anchor cell, over the other
    cells, in nats; ``share_lost`` is regret as a share of what decay buys there.
    Neither they nor the interval lie below zero: so much is known before measuring.
    The interval includes where the anchor's own best λ may lie. ``by_seed`` holds the
    regret seed by seed, ``by_anchor`` what is lost more with the anchor at places that
    are as likely as each other: from both rules are compared, and neither is shown.
    ``beyond_grid`` counts predictions that the grid does not reach: the regret is then
    at least so much.
    """

    rule: str
    exponent: float | None = None
    applies: bool
    why_not: str = ""
    agrees: bool | None = None
    regret: float | None = None
    regret_low: float | None = None
    regret_high: float | None = None
    share_lost: float | None = None
    predictions: tuple[float | None, ...]
    beyond_grid: int = 0
    not_excluded: bool = False
    by_seed: Mapping[int, float] = field(default_factory=dict, metadata=INTERNAL)
    by_anchor: tuple[float, ...] = field(default=(), metadata=INTERNAL)


@dataclass(frozen=True, kw_only=True)
class WithoutCell:
    """The exponent of an axis without the cell at a value, and its 90 % limits."""

    value: float
    exponent: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class AxisFindings:
    """One axis: its cells, the measured exponent of the best λ, and every rule.

    ``anchor`` is the value of the cell from which rules predict the others.
    ``unchanged`` holds what it costs to keep that cell's λ everywhere: also the cost of
    a rule that does not apply to this axis. ``would_tell`` is what would decide an axis
    whose course is unknown. ``leans_on`` is the one cell without which the exponent
    would lie outside of its interval, if there is one.
    """

    axis: str
    policy: str
    exponent: float | None
    low: float | None
    high: float | None
    why_null: str
    note: str
    anchor: float | None
    cells: tuple[CellFindings, ...]
    rules: tuple[RuleFindings, ...]
    unchanged: RuleFindings | None = None
    would_tell: str = ""
    leans_on: WithoutCell | None = None

    @property
    def remark(self) -> str:
        """What to know of the exponent, or why there is none."""
        return self.why_null if self.exponent is None else self.note


@dataclass(frozen=True, kw_only=True)
class Findings(Plain):
    """All findings of one study.

    ``validation`` describes the samples that losses are measured on, and whether the
    intervals include their choice. ``base`` holds the base cell's quantities of scale.
    """

    study: str
    optimizer: str
    normalization: str
    conditions: dict[str, Any]  # JSON-like
    axes: tuple[AxisFindings, ...]
    law: dict[str, dict[str, float | None]]
    trials: dict[str, int]
    seconds: float
    seeds: int
    complete: bool = True
    validation: str = ""
    base: dict[str, float] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """What was trained, as its store calls it."""
        return str(self.conditions.get("problem", "the problem of this study"))

    @property
    def is_plain(self) -> bool:
        """Whether its λ is one that an optimizer takes."""
        return self.normalization == "none"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the question or of its answer, checked live.

    ``number`` is the one figure that decides, ``table`` the evidence behind it (first
    row: column names).
    """

    id: str
    claim: str
    whose: str
    how: str
    number: str
    verdict: ClaimVerdict
    explanation: str = ""
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The whole answer: claims and studies, from which all else follows."""

    claims: tuple[Claim, ...]
    studies: tuple[Findings, ...]
    seconds: float
