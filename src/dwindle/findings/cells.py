"""One scale: its curve over λ, its optimum, and whether decay matters there."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from dwindle.findings import names
from dwindle.findings.model import CellFindings, CurvePoint
from dwindle.stats.curve import Curve, curve_from_losses, lost_seeds, read_losses
from dwindle.stats.matters import MattersVerdict, judge_whether_decay_matters
from dwindle.stats.optimum import Optimum, measure_optimum
from dwindle.stats.student import mean_interval
from dwindle.store.records import Outcome, Scale, Trial, chance_loss
from dwindle.wording import counted

# Networks at chance are filled in from their seed and their λ; where more than this
# share of a cell is, means at different λ are means of different survivors.
MOST_AT_CHANCE = 0.1

Rows = Iterable[tuple[Trial, Outcome]]
# λ -> seed -> outcome
Trainings = Mapping[float, Mapping[int, Outcome]]


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyCell:
    """A cell with the arrays behind its findings.

    ``coefficient`` stands between the study's λ and the λ that an average weight feels.
    """

    findings: CellFindings
    coefficient: float
    curve: Curve | None
    optimum: Optimum | None

    @property
    def is_of_few(self) -> bool:
        """Whether so many networks stayed at chance that each λ has other seeds."""
        if self.curve is None:
            return False
        return self.curve.left_out > MOST_AT_CHANCE * self.curve.losses.size

    @property
    def excluded_because(self) -> str:
        """Why the cell may not enter a slope, in a few words; empty if it may."""
        if self.findings.shows_best_decay:
            return ""
        if self.curve is None:
            return self.findings.why
        if self.findings.matters == "no":
            top = self.findings.idle_up_to
            reach = f" up to {names.decay(top)}, where the grid ends" if top else ""
            return f"decay does not matter there{reach}"
        if self.findings.matters == "cannot tell":
            return f"whether decay matters there is unknown ({self.findings.why})"
        if self.findings.optimum is not None:
            return "the interval of its best λ reaches beyond both ends of the grid"
        return f"its best λ lies at the {self.findings.at_edge} edge of the grid"


def gather(rows: Rows) -> dict[Scale, dict[float, dict[int, Outcome]]]:
    """Sort trainings by scale, λ and seed."""
    found: dict[Scale, dict[float, dict[int, Outcome]]] = {}
    for trial, outcome in rows:
        at_scale = found.setdefault(trial.scale, {})
        at_scale.setdefault(trial.weight_decay, {})[trial.seed] = outcome
    return found


def measure_cell(
    trainings: Trainings,
    *,
    value: float,
    scale: Mapping[str, float],
    coefficient: float,
    classes: int,
) -> StudyCell:
    """Return all that the trainings of one scale show, or why a number is missing.

    ``value`` is the cell's on its axis, ``scale`` every quantity of it, ``coefficient``
    the factor between the study's λ and the λ at an average weight. The number of
    ``classes`` decides what chance is.
    """
    chance = chance_loss(classes, scale["dataset_size"])
    lost = lost_seeds(
        {
            decay: {seed: [out.status != "diverged"] for seed, out in outcomes.items()}
            for decay, outcomes in trainings.items()
        }
    )
    trainings = {
        decay: {seed: each for seed, each in outcomes.items() if seed not in lost}
        for decay, outcomes in trainings.items()
    }
    curve = _curve(trainings, chance)
    blank = CellFindings(
        value=value,
        scale=dict(scale),
        matters="cannot tell",
        why="",
        curve=tuple(
            _point(decay, trainings[decay], chance) for decay in sorted(trainings)
        ),
    )
    without = blank.undecayed
    blank = replace(blank, loss_without_decay=without.mean if without else None)
    if curve is None:
        blank = replace(blank, why=_why_no_curve(blank))
        return StudyCell(
            findings=blank, coefficient=coefficient, curve=None, optimum=None
        )
    optimum = measure_optimum(curve)
    verdict = judge_whether_decay_matters(curve)
    findings = _filled(blank, curve, optimum, verdict)
    failed = len(_failed_seeds(trainings) - set(curve.seeds))
    for count, what in (
        (failed, "with failed trainings"),
        (len(lost), "that diverged at most λ"),
    ):
        if count:
            left_out = f"{counted(count, 'seed')} {what} left out"
            findings = replace(findings, why=f"{findings.why}; {left_out}")
    cell = StudyCell(
        findings=findings, coefficient=coefficient, curve=curve, optimum=optimum
    )
    if not cell.is_of_few:
        return cell
    why = (
        f"too many networks are at chance to compare one λ with another; {findings.why}"
    )
    # The few that train may be lucky ones: more seeds would not make it a comparison.
    unclear = replace(findings, matters="cannot tell", why=why, seeds_needed=None)
    return replace(cell, findings=unclear)


def _curve(trainings: Trainings, chance: float) -> Curve | None:
    decays = sorted(trainings)
    # Seeds with less than half of the cell's λ are still being trained. One of which a
    # training failed, of no fault of its λ, does not count either, as long as there are
    # others: it would take its λ from all of them.
    counts = Counter(seed for outcomes in trainings.values() for seed in outcomes)
    most, failed = max(counts.values(), default=0), _failed_seeds(trainings)
    begun = [seed for seed, count in sorted(counts.items()) if 2 * count >= most]
    seeds = [seed for seed in begun if seed not in failed] or begun
    losses = np.full((len(seeds), len(decays)), np.nan)
    untrained = np.zeros(losses.shape, dtype=bool)
    for column, decay in enumerate(decays):
        for row, seed in enumerate(seeds):
            outcome = trainings[decay].get(seed)
            if outcome is not None:
                losses[row, column] = _loss(outcome)
                untrained[row, column] = outcome.is_untrained(chance)
    return curve_from_losses(np.array(decays), losses, seeds=seeds, untrained=untrained)


def _failed_seeds(trainings: Trainings) -> set[int]:
    return {
        seed
        for outcomes in trainings.values()
        for seed, outcome in outcomes.items()
        if outcome.status == "error"
    }


def _loss(outcome: Outcome) -> float:
    """Return the loss: infinite if it diverged, NaN if the training failed."""
    if outcome.status == "diverged":
        return math.inf
    return math.nan if outcome.loss is None else outcome.loss


def _point(decay: float, outcomes: Mapping[int, Outcome], chance: float) -> CurvePoint:
    ended = [o for o in outcomes.values() if math.isfinite(_loss(o))]
    untrained = [o for o in ended if o.is_untrained(chance)]
    # Where most of them stayed at chance this λ ruins training: then they count.
    at_chance = bool(outcomes) and 2 * len(untrained) >= len(outcomes)
    if not at_chance:
        ended = [outcome for outcome in ended if outcome not in untrained]
    losses = np.array([_loss(outcome) for outcome in ended])
    interval = mean_interval(losses) if ended else None
    return CurvePoint(
        weight_decay=decay,
        mean=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(ended),
        diverged=sum(o.status == "diverged" for o in outcomes.values()),
        train_loss=_mean([outcome.train_loss for outcome in ended]),
        penalty=_mean([outcome.penalty for outcome in ended]),
        untrained=len(untrained),
        at_chance=at_chance,
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _why_no_curve(cell: CellFindings) -> str:
    decayed = cell.decayed
    if cell.ruined_from is not None:
        how = [
            *(["diverged"] if any(point.diverged for point in decayed) else []),
            *(["stayed at chance"] if any(p.untrained for p in decayed) else []),
        ]
        return f"without decay these train, and every λ > 0 {' or '.join(how)}"
    if any(point.diverged for point in cell.curve):
        return "no λ has a finite loss from every seed"
    tried = [point for point in decayed if point.n]
    if tried and all(point.at_chance for point in tried):
        return "at every λ half of the networks or more stay at chance"
    return "no λ has a loss from every seed"


def _filled(
    blank: CellFindings, curve: Curve, optimum: Optimum, verdict: MattersVerdict
) -> CellFindings:
    inside = optimum.at_edge is None
    # The gain is that of seeds that have both, so the loss beside it is theirs.
    gain, compared = verdict.gain, curve.only(curve.compared)
    without = compared.without_decay if compared.n else None
    return replace(
        blank,
        optimum=math.exp(optimum.log_decay) if inside else None,
        low=_decay(optimum.low) if inside else None,
        high=_decay(optimum.high) if inside else None,
        matters=verdict.matters,
        why="; ".join([verdict.why, *_remarks(curve, optimum)]),
        at_edge=optimum.at_edge,
        loss_at_optimum=float(read_losses(curve, optimum.log_decay).values.mean()),
        loss_without_decay=None if without is None else float(without.mean()),
        gain=gain.value if gain else None,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        seeds_needed=verdict.seeds_needed,
    )


def _decay(log_decay: float | None) -> float | None:
    """Return λ, or None for a limit that is missing or open."""
    if log_decay is None or math.isinf(log_decay):
        return None
    return math.exp(log_decay)


def _remarks(curve: Curve, optimum: Optimum) -> list[str]:
    """What a reader of the optimum has to know besides the verdict."""
    remarks = []
    if optimum.at_edge:
        remarks.append(f"the best λ is at the {optimum.at_edge} edge of the grid")
    elif optimum.coarse:
        remarks.append(
            "the λ around the best one are more than a third of a decade apart, or too "
            "few, so its interval reaches those on both sides"
        )
    if curve.left_out:
        count, of = curve.left_out, curve.losses.size
        remarks.append(f"{count} of {of} networks stayed at chance and are left out")
    if curve.dropped:
        count = len(curve.dropped)
        remarks.append(f"{count} λ without a finite loss from every seed left out")
    return remarks
