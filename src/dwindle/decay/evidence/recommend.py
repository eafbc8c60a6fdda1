"""Recommend: what to type after a change of scale, by all that was measured."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from dwindle.decay.coordinates import (
    has_shrink,
    number_from_shrink,
    penalty_convention_of,
    shrink_from_number,
)
from dwindle.decay.evidence.change import Part, parts_of_change
from dwindle.decay.evidence.claims import RANKED, claimed
from dwindle.decay.evidence.kinds import (
    family_of_evidence,
    kinds_of_run,
    regime_of,
    regime_told,
)
from dwindle.decay.evidence.posterior import Cell, cell_of
from dwindle.decay.evidence.recommendation import (
    UNDECIDED,
    Candidate,
    Experiment,
    Reason,
    Recommendation,
)
from dwindle.decay.evidence.records import Z90, KindOfRun
from dwindle.decay.evidence.suggest import suggest
from dwindle.decay.families import family_of
from dwindle.decay.half_life import shrink_from_half_life
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting
from dwindle.errors import DwindleError, MissingFactError

__all__ = ["recommend"]

# Half-lives in epochs at the peak lr of the 16 joint optima for repeated text of Kim et
# al. 2025: least, geometric mean, most.
REPEATED_HALF_LIVES = (0.135, 0.203, 0.361)
_OPTIMA = 16
# Text repeated so often is about as good as new (Muennighoff et al., JMLR 26:53, 2025).
_AS_NEW = 4
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

Refusal = DwindleError | OverflowError


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
    published settings (:mod:`dwindle.stats.pooled`); the range is that of a new
    setting. A change made in two steps gives the value of the change made in one, and
    without a change the value stays exactly.

    Args:
        setting: The knob, and what is typed there before the change.
        before: Facts of the training before the change.
        after: Facts of the training after it.
        regime: ``single-pass``, ``many-epochs`` or ``fine-tuning``, where the facts do
            not tell.
        normalized: Whether the network has normalization layers.

    Returns:
        The recommendation of the most likely class; those of the others that the facts
        allow are its ``others``.

    Raises:
        UnknownNameError: If there is no such regime.

    Example:
        >>> from dwindle.decay.setting import read_setting
        >>> small = Run(lr=0.1, batch_size=128, dataset_size=50_000, epochs=200)
        >>> large = Run(lr=0.8, batch_size=1024, dataset_size=50_000, epochs=200)
        >>> found = recommend(
        ...     read_setting(5e-4, "torch.optim.SGD"), small, large, normalized=True
        ... )
        >>> 3e-4 < found.value < 7e-4, found.reasons[0].beside
        (True, {'lr': 8.0})

    """
    regime = regime_told(
        setting.knob, before, after, regime=regime, normalized=normalized
    )
    sides = {regime_of(before), regime_of(after)}
    if regime is None and sides == {"single-pass", "many-epochs"}:
        return _between_regimes(setting, before, after, normalized=normalized)
    kinds = kinds_of_run(after, regime=regime, normalized=normalized)
    first, *others = (_in_class(kind, setting, before, after) for kind in kinds)
    return replace(first, others=tuple(others))


def _in_class(
    kind: KindOfRun, setting: Setting, before: Run, after: Run
) -> Recommendation:
    cell = cell_of(kind, family_of_evidence(setting.knob))
    parts = parts_of_change(before, after, kind)
    logs = _summed(parts)
    mean, sd = cell.of(logs)
    try:
        low, value, high = (
            _carried(setting, mean + z * sd, before, after) for z in (-Z90, 0.0, Z90)
        )
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
        candidates=tuple(_candidates(cell, logs, setting, before, after)),
        experiment=_experiment(cell.decides(logs), before, after),
    )


def _none(kind: KindOfRun, why: Refusal) -> Recommendation:
    return Recommendation(
        value=None, low=None, high=None, kind_of_run=kind, why_null=str(why)
    )


def _summed(parts: tuple[Part, ...]) -> dict[str, float]:
    names = dict.fromkeys(name for part in parts for name in part.logs)
    return {
        name: math.fsum(part.logs.get(name, 0.0) for part in parts) for name in names
    }


def _reason(part: Part, cell: Cell, setting: Setting) -> Reason:
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
    )


def _carried(setting: Setting, log_factor: float, before: Run, after: Run) -> float:
    """Return the number to type where lr·λ is multiplied, by the knob's own formulas.

    Raises:
        DwindleError: If the knob sets no rate, or not that one.

    """
    knob, number = setting.knob, setting.number
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
    convention = penalty_convention_of(knob)
    lr_ratio = after.lr / before.lr if before.lr and after.lr else 1.0
    if convention is None:
        return number * factor / lr_ratio
    penalty = convention.penalty_from_number(number, before)
    return convention.number_from_penalty(penalty * factor / lr_ratio, after)


def _candidates(
    cell: Cell,
    logs: dict[str, float],
    setting: Setting,
    before: Run,
    after: Run,
) -> Iterator[Candidate]:
    """Yield two rules whose values lie apart: the number as it is, and the best one."""
    taken: list[float] = []
    for name in ("unchanged", *cell.rules):
        exponents = claimed(RANKED[name])
        log_factor = math.fsum(exponents[base] * log for base, log in logs.items())
        value = _tried(lambda log: _carried(setting, log, before, after), log_factor)
        if value and all(
            abs(math.log(value / each)) > math.log(_APART) for each in taken
        ):
            taken.append(value)
            yield Candidate(rule=name, value=value)
        if len(taken) == 2:  # noqa: PLR2004 enough to choose between
            return


def _tried(compute: Callable[[float], float], log_factor: float) -> float | None:
    try:
        return compute(log_factor)
    except (DwindleError, OverflowError):
        return None


def _experiment(base: str, before: Run, after: Run) -> Experiment:
    quantity, fact = _VARIED[base]
    there, here = after.quantities(), before.quantities()
    return Experiment(
        quantity=quantity,
        low=here.get(fact),
        high=there.get(fact),
        decays=_DECAYS,
        seeds=_SEEDS,
    )


def _is_few(before: Run, after: Run) -> bool:
    """Return whether both sides see their data once, or hardly more often."""
    sides = (before.quantities(), after.quantities())
    return all(side.get("epochs", 1.0) <= _AS_NEW for side in sides)


def _between_regimes(
    setting: Setting, before: Run, after: Run, *, normalized: bool | None
) -> Recommendation:
    """Return the answer where data are seen once on one side, and repeated on one."""
    if _is_few(before, after):
        there = _in_class("single-pass", setting, before, after)
    elif regime_of(after) == "single-pass":
        there = _from_recipes(setting, after, "single-pass")
    # The optima for repeated data are of language models, with AdamW.
    elif (
        after.tokens_per_example is not None
        and family_of_evidence(setting.knob) == "adaptive"
    ):
        return _into_repeated_text(setting, after)
    else:
        first, *_ = kinds_of_run(after, normalized=normalized)
        return _from_recipes(setting, after, first)
    # Three epochs and then one are rarely of a network from scratch.
    return replace(there, others=(_in_class("fine-tuning", setting, before, after),))


def _into_repeated_text(setting: Setting, after: Run) -> Recommendation:
    """Start anew from the published optima for repeated text, in half-lives."""
    kind: KindOfRun = "many-epochs-normalized"
    try:
        values = [
            number_from_shrink(
                setting.knob,
                shrink_from_half_life(epochs * after.steps_per("epochs")),
                after,
            )
            for epochs in REPEATED_HALF_LIVES
        ]
    except (DwindleError, OverflowError) as error:
        return _none(kind, error)
    repeats = after.quantities()["epochs"]
    return _anew(setting, kind, values, ("regime", repeats, _OPTIMA))


def _from_recipes(setting: Setting, after: Run, kind: KindOfRun) -> Recommendation:
    """Start anew from the published recipes of a class."""
    try:
        there = suggest(setting.knob.name, run=after, regime=kind)
    except (DwindleError, OverflowError) as error:
        return _none(kind, error)
    values = [there.low, there.value, there.high]
    repeats = after.quantities().get("epochs", 1.0)
    found = _anew(setting, kind, values, (kind, repeats, len(there.reasons)))
    number, value = setting.number, there.value
    # Recipes are habits: so far from them, the number that served before stands, too.
    is_near = value and number / UNDECIDED <= value <= number * UNDECIDED
    if is_near or not number:
        return found
    unchanged = Candidate(rule="unchanged", value=number)
    return replace(
        found, candidates=(unchanged, Candidate(rule="recipes", value=value))
    )


def _anew(
    setting: Setting,
    kind: KindOfRun,
    values: list[float],
    why: tuple[str, float, int],
) -> Recommendation:
    """Return values that do not go back to the one before the change.

    Args:
        setting: Knob and number before the change.
        kind: Class of the training after it.
        values: The least, the one to type, and the most.
        why: What changed, its ratio, and how many published values it rests on.

    """
    quantity, ratio, records = why
    number = setting.number
    low, value, high = sorted(values)
    factors = [each / number if number else math.inf for each in (low, value, high)]
    reason = Reason(
        quantity=quantity,
        ratio=ratio,
        exponent=None,
        low=None,
        high=None,
        factor=factors[1],
        factor_low=factors[0],
        factor_high=factors[2],
        records=records,
    )
    return Recommendation(
        value=value, low=low, high=high, reasons=(reason,), kind_of_run=kind
    )
