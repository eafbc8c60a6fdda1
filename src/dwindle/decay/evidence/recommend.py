"""Recommend: what to type after a change of scale, by all that was measured."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dwindle.decay.coordinates import (
    has_shrink,
    number_at_scaled_penalty,
    number_from_shrink,
    shrink_from_number,
)
from dwindle.decay.evidence.change import (
    RANKED,
    ChangePart,
    claimed,
    parts_of_change,
    summed,
)
from dwindle.decay.evidence.peers import (
    family_of_evidence,
    kinds_of_run,
    regime_of,
    resolve_regime,
)
from dwindle.decay.evidence.records import Z90, EvidenceCell, KindOfRun, cell_of
from dwindle.decay.evidence.suggest import Suggestion, suggest
from dwindle.decay.families import family_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.setting import Setting
from dwindle.errors import DwindleError, MissingFactError
from dwindle.plain import Plain

# Text repeated so often is about as good as new (Muennighoff et al., JMLR 26:53, 2025).
_AS_NEW = 4.0
# A grid of seven factors of two holds an optimum that is off by a factor of eight, and
# three seeds are the fewest whose spread is seen: 42 trainings at two scales.
_DECAYS, _SEEDS = 7, 3
# Two rules that differ by less are one candidate.
_APART = 1.25
# What an experiment varies to learn a base exponent, and the fact that has its values.
_VARIED = {
    "lr": ("lr", "lr"),
    "batch": ("batch", "batch_size"),
    "data": ("dataset", "dataset_size"),
    "repetition": ("epochs", "epochs"),
    "width": ("width", "width"),
    "parameters": ("parameters", "weights"),
    "depth": ("depth", "depth"),
}

# The ends of a wider range than this have one digit that means something.
_ONE_DIGIT = 4.0
# A range with a larger ratio of its ends is undecided: nobody has measured the change.
UNDECIDED = 10.0


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One part of a change of scale, and what measurements make of it.

    Args:
        quantity: What changed: ``batch``, ``lr``, ``dataset``, ``epochs``, ``tokens``,
            ``examples``, ``steps``, ``width``, ``parameters``, ``depth``; or the class,
            where the value is that of recipes, as text comes to be repeated.
        ratio: After over before.
        beside: What changed with it, and is only known together with it; its ratios.
        exponent: Power of the ratio that lr·λ goes with; None where the regime changes:
            the value then starts anew, from published ones.
        low: Lower end of its 90 % range, in a new setting.
        high: Upper end.
        factor: What this part multiplies λ by: that power, over the ratio of the lr
            where the lr belongs to the part.
        factor_low: Lower end of its 90 % range.
        factor_high: Upper end.
        records: Measurements of it in this class, with this family of optimizers; of a
            change of regime, how many published values the new one rests on.
        restated: Rules for it there that were restated, without curves that were seen.

    """

    quantity: str
    ratio: float
    beside: Mapping[str, float] = field(default_factory=dict, hash=False)
    exponent: float | None
    low: float | None
    high: float | None
    factor: float
    factor_low: float
    factor_high: float
    records: int
    restated: int = 0

    @property
    def is_assumed(self) -> bool:
        """Whether nobody has measured it in this class with this family."""
        return not self.records


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one rule makes of the change.

    Args:
        rule: Its name; ``unchanged`` where the number stays.
        value: The number to type.

    """

    rule: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The measurement that would shrink the range most.

    Args:
        quantity: What to give two values: ``lr``, ``batch``, ``dataset``, ``epochs``,
            ``width``, ``parameters`` or ``depth``.
        low: Its value before the change; None where it is not known.
        high: Its value after.
        decays: Values of the weight decay to try at each.
        seeds: Trainings at each of them.

    """

    quantity: str
    low: float | None
    high: float | None
    decays: int
    seeds: int

    @property
    def trainings(self) -> int:
        """How many trainings that takes."""
        return 2 * self.decays * self.seeds


@dataclass(frozen=True, kw_only=True)
class Recommendation(Plain):
    """What to type after a change of scale, in one class of trainings.

    Args:
        value: The number to type; None where the knob sets no rate.
        low: Lower end of its 90 % range.
        high: Upper end.
        reasons: Why, part by part.
        kind_of_run: Class of the training.
        candidates: What two rules make of it, where the range is undecided.
        experiment: What would decide it, where it is undecided.
        why_null: Why there is no value; empty where there is one.
        others: The same for the other classes that the training may belong to.

    """

    _WHY = ("reasons", "candidates", "experiment", "why_null")
    IN_JSON = ("value", "low", "high", *_WHY, "others", "class=kind_of_run")

    value: float | None
    low: float | None
    high: float | None
    reasons: tuple[Reason, ...] = ()
    kind_of_run: KindOfRun
    candidates: tuple[Candidate, ...] = ()
    experiment: Experiment | None = None
    why_null: str = ""
    others: tuple["Recommendation", ...] = ()

    @property
    def spread(self) -> float:
        """Upper over lower end of the range; 1 where it is not known."""
        return self.high / self.low if self.high and self.low else 1.0

    @property
    def digits(self) -> int:
        """How many digits of the ends of the range mean something."""
        return 1 if self.spread > _ONE_DIGIT else 2

    @property
    def is_undecided(self) -> bool:
        """Whether the range is so wide that nobody has measured such a change.

        Or whether it lies so far from the number before that two values stand.
        """
        return self.spread > UNDECIDED or bool(self.candidates)


def recommend(
    setting: Setting,
    before: Run,
    after: Run,
    *,
    regime: str | None = None,
    normalized: bool | None = None,
) -> Recommendation:
    """Return what to type after a change of scale, with its range and its reasons.

    The best lr·λ goes with scale by exponents that were measured, pooled over all
    published settings (``scripts/pooled.py``); the range is that of a new
    setting. A change made in two steps gives the value of the change made in one, and
    without a change the value stays exactly.
    """
    regime = resolve_regime(
        setting.knob, before, after, regime=regime, normalized=normalized
    )
    transfer, sides = (
        _Transfer(setting, before, after),
        {regime_of(before), regime_of(after)},
    )
    if regime is None and sides == {"single-pass", "many-epochs"}:
        return _between_regimes(transfer, normalized=normalized)
    kinds = kinds_of_run(after, regime=regime, normalized=normalized)
    first, *others = (_in_class(kind, transfer) for kind in kinds)
    return replace(first, others=tuple(others))


class _Transfer(NamedTuple):
    """A setting, and the runs before and after a change of scale."""

    setting: Setting
    before: Run
    after: Run


def _in_class(kind: KindOfRun, transfer: _Transfer) -> Recommendation:
    setting, before, after = transfer
    cell = cell_of(kind, family_of_evidence(setting.knob))
    parts = parts_of_change(before, after, kind)
    logs = summed(parts)
    mean, sd = cell.of(logs)
    try:
        low, value, high = (_carried(transfer, mean + z * sd) for z in (-Z90, 0.0, Z90))
    except (DwindleError, OverflowError) as error:
        return _none(kind, error)
    found = Recommendation(
        value=value,
        low=min(low, high),  # a half-life falls where lr·λ grows
        high=max(low, high),
        reasons=tuple(_reason(part, cell, setting) for part in parts),
        kind_of_run=kind,
    )
    if not found.is_undecided:
        return found
    return replace(
        found,
        candidates=tuple(_candidates(cell, logs, transfer)),
        experiment=_experiment((cell.decides(logs), *logs), before, after),
    )


def _none(kind: KindOfRun, why: DwindleError | OverflowError) -> Recommendation:
    return Recommendation(
        value=None, low=None, high=None, kind_of_run=kind, why_null=str(why)
    )


def _reason(part: ChangePart, cell: EvidenceCell, setting: Setting) -> Reason:
    mean, sd = cell.of(part.logs)
    family = family_of(setting.knob)
    # Where the number is not multiplied by the lr, λ is the shrink itself.
    through_lr = part.through_lr if family is None or family.reads_lr else 0.0
    through_lr = 0.0 if setting.knob.is_rate else through_lr
    size = math.log(part.ratio)
    ends = sorted((mean + z * sd) / size for z in (-Z90, Z90))
    return Reason(
        quantity=part.quantity,
        ratio=part.ratio,
        beside=part.beside,
        exponent=mean / size,
        low=ends[0],
        high=ends[1],
        factor=math.exp(mean - through_lr),
        factor_low=math.exp(mean - Z90 * sd - through_lr),
        factor_high=math.exp(mean + Z90 * sd - through_lr),
        records=sum(cell.records.get(name, 0) for name in part.measured_as),
        restated=sum(cell.restated.get(name, 0) for name in part.measured_as),
    )


def _carried(transfer: _Transfer, log_factor: float) -> float:
    """Return the number to type where lr·λ is multiplied, by the knob's formulas."""
    (setting, before, after), number = transfer, transfer.setting.number
    knob = setting.knob
    # No round trip: what does not change keeps its last digit, and 0 stays 0.
    if number == 0 or (before == after and log_factor == 0):
        return number
    factor = math.exp(log_factor)
    if has_shrink(knob, before) or knob.family is not None:
        try:
            shrink = shrink_from_number(knob, number, before)
            return number_from_shrink(knob, shrink * factor, after)
        except MissingFactError as error:
            if error.fact == "lr" and before.lr is after.lr is None:
                return number * factor
            raise
    lr_ratio = after.lr / before.lr if before.lr and after.lr else 1.0
    return number_at_scaled_penalty(knob, number, factor / lr_ratio, before, after)


def _candidates(
    cell: EvidenceCell, logs: dict[str, float], transfer: _Transfer
) -> Iterator[Candidate]:
    """Yield two rules whose values lie apart: the number as it is, and the best one."""
    taken: list[float] = []
    for name in ("unchanged", *cell.rules):
        exponents = claimed(RANKED[name])
        log_factor = math.fsum(exponents[base] * log for base, log in logs.items())
        value = _tried(lambda log=log_factor: _carried(transfer, log))  # type: ignore[misc]
        if value and all(
            abs(math.log(value / each)) > math.log(_APART) for each in taken
        ):
            taken.append(value)
            yield Candidate(rule=name, value=value)
        if len(taken) == 2:  # noqa: PLR2004 enough to choose between
            return


def _tried(compute: Callable[[], float]) -> float | None:
    try:
        return compute()
    except (DwindleError, OverflowError):
        return None


def _experiment(bases: Iterable[str], before: Run, after: Run) -> Experiment:
    """Return the measurement at both ends of the first fact that has two."""
    # Where a lr that stays decides, as in a change of the batch alone, it is the batch.
    here, there = before.quantities(), after.quantities()
    for base in bases:
        quantity, fact = _VARIED[base]
        ends = here.get(fact), there.get(fact)
        if None not in ends and ends[0] != ends[1]:
            break
    return Experiment(
        quantity=quantity, low=ends[0], high=ends[1], decays=_DECAYS, seeds=_SEEDS
    )


def _between_regimes(transfer: _Transfer, *, normalized: bool | None) -> Recommendation:
    """Return the answer where data are seen once on one side, and repeated on one."""
    setting, before, after = transfer
    epochs = [run.quantities().get("epochs", 1.0) for run in (before, after)]
    if max(epochs) <= _AS_NEW:  # both see their data once, or hardly more often
        there = _in_class("single-pass", transfer)
    else:
        kind = kinds_of_run(after, normalized=normalized)[0]
        repeated = kinds_of_run(before, normalized=normalized)[0]
        # What repeated text needs was measured, in language models with AdamW (the 16
        # optima of Kim et al. among the recipes), and not how it begins.
        is_text = after.tokens_per_example is not None
        if is_text and family_of_evidence(setting.knob) == "adaptive":
            there = _from_recipes(transfer, kind)
        elif kind == "single-pass":
            there = _by_way_of(transfer, (repeated, kind))
        else:
            there = _by_way_of(transfer, ("single-pass", kind))
    # Three epochs and then one are rarely of a network from scratch.
    return replace(there, others=(_in_class("fine-tuning", transfer),))


def _by_way_of(
    transfer: _Transfer, kinds: tuple[KindOfRun, KindOfRun]
) -> Recommendation:
    """Return the answer in two steps: through few epochs, which are as one."""
    # What else changes goes by the exponents of a single pass. The doubts of both steps
    # add up, as if their exponents were wrong in the same way.
    longer = transfer.after if kinds[0] == "single-pass" else transfer.before
    few = replace(longer, epochs=_AS_NEW, steps=None, schedule=Schedule())
    first = _in_class(kinds[0], transfer._replace(after=few))
    if not first.value:
        return replace(first, kind_of_run=kinds[1])
    halfway = Setting(transfer.setting.knob, first.value)
    there = _in_class(kinds[1], _Transfer(halfway, few, transfer.after))
    if not (there.value and there.low and there.high and first.low and first.high):
        return there
    found = replace(
        there,
        low=there.low * first.low / first.value,
        high=there.high * first.high / first.value,
        reasons=(*first.reasons, *there.reasons),
        candidates=(),
        experiment=None,
    )
    if not found.is_undecided:
        return found
    recipes = _tried(lambda: _suggested(transfer, kinds[1]).value)
    return _between(found, transfer, recipes)


def _between(
    found: Recommendation, transfer: _Transfer, recipes: float | None
) -> Recommendation:
    """Return an answer with the number as it is and that of recipes beside it."""
    number = transfer.setting.number
    candidates = [Candidate(rule="unchanged", value=number)]
    if recipes is not None and not number / _APART < recipes < number * _APART:
        candidates.append(Candidate(rule="recipes", value=recipes))
    return replace(
        found,
        candidates=tuple(candidates),
        experiment=_experiment(("repetition",), transfer.before, transfer.after),
    )


def _suggested(transfer: _Transfer, kind: KindOfRun) -> Suggestion:
    return suggest(transfer.setting.knob.name, run=transfer.after, regime=kind)


def _from_recipes(transfer: _Transfer, kind: KindOfRun) -> Recommendation:
    """Start anew from the published recipes of a class."""
    try:
        there = _suggested(transfer, kind)
    except (DwindleError, OverflowError) as error:
        return _none(kind, error)
    number = transfer.setting.number
    low, value, high = sorted((there.low, there.value, there.high))
    factors = [each / number if number else math.inf for each in (low, value, high)]
    reason = Reason(
        quantity=kind,
        ratio=transfer.after.quantities().get("epochs", 1.0),
        exponent=None,
        low=None,
        high=None,
        factor=factors[1],
        factor_low=factors[0],
        factor_high=factors[2],
        records=len(there.reasons),
    )
    found = Recommendation(
        value=value, low=low, high=high, reasons=(reason,), kind_of_run=kind
    )
    # Recipes are habits: so far from them, the number that served before stands, too.
    is_near = value and number / UNDECIDED <= value <= number * UNDECIDED
    if not number or (is_near and not found.is_undecided):
        return found
    return _between(found, transfer, value)
