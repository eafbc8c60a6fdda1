"""Rescale: my scale changes, what do I type now? The answer, and every rule's."""

from dataclasses import fields

from dwindle.decay.coordinates import (
    has_shrink,
    number_at_scaled_penalty,
    number_from_shrink,
    penalty_convention_of,
    shrink_from_number,
)
from dwindle.decay.evidence.peers import LORA, TUNED_BY_ITS_LR
from dwindle.decay.evidence.recommend import recommend
from dwindle.decay.explain import explain_setting
from dwindle.decay.families import DECOUPLED, OF_A_RATE, SGD, family_of
from dwindle.decay.half_life import (
    HalfLife,
    half_life_from_shrink,
    shrink_from_half_life,
)
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import runs_at_knobs
from dwindle.decay.python_inputs import RunLike, read_input, run_of
from dwindle.decay.rescaling import Rescaling, RuleAnswer
from dwindle.decay.rules import RULES, Prediction, Rule, predict
from dwindle.decay.run import Run
from dwindle.decay.setting import Setting, at_peak, read_setting
from dwindle.decay.typed_facts import facts_after
from dwindle.errors import DwindleError, MissingFactError


def rescale(  # noqa: PLR0913 facts by name
    value: object,
    knob: object = None,
    *,
    before: RunLike,
    after: RunLike,
    regime: str | None = None,
    normalized: bool | None = None,
) -> Rescaling:
    """Return what to type after a change of scale, how sure that is, and why.

    The recommendation goes by exponents that were measured, pooled over all published
    settings of the class of the training. Beside it stands every published rule.

    Half-life rules are exact on their clock, under momentum and with short last
    batches too; the others multiply the penalty or the rate of decay by their power
    law.

    Args:
        value: What is typed at ``knob`` before the change.
        knob: Where it is typed: a name, or a class; it may come first. A live optimizer
            is knob, value and facts.
        before: Facts of the training before the change, also as a mapping.
        after: Facts of the training after it.
        regime: ``single-pass``, ``many-epochs``, ``fine-tuning`` or ``lora``; without
            it, the regime is inferred from the facts.
        normalized: Whether the network has normalization layers.

    Returns:
        The recommendation and every rule's answer, beside the effect of the unchanged
        number.

    Raises:
        RangeError: If the value is impossible.
        UnknownNameError: If the knob is not known; the nearest are offered.
        AmbiguousNameError: If a short name fits several knobs.

    Example:
        >>> small = Run(lr=1e-3, batch_size=100, dataset_size=10_000, epochs=10)
        >>> large = Run(lr=1e-3, batch_size=200, dataset_size=10_000, epochs=10)
        >>> there = rescale(0.1, "torch.optim.AdamW", before=small, after=large)
        >>> answers = {answer.rule: answer.value for answer in there.rules}
        >>> round(answers["half-life-epochs"], 4), answers["bengio-map"]
        (0.2, None)
        >>> there.recommendation.low < there.recommendation.value < 1
        True

    """
    # No exponent was measured with low-rank factors alone.
    regime = "fine-tuning" if regime == LORA else regime
    given = read_input(value, knob)
    overruled = given.overruled(before)
    before, after = given.run(before), given.run(run_of(facts_after(before, after)))
    setting = at_peak(read_setting(given.value, given.knob), before)
    before, after = runs_at_knobs((setting.knob, before), (setting.knob, after))
    # First: a rule refuses a quantity of 0 by its name.
    answers = tuple(_answer(rule, setting, before, after) for rule in RULES)
    recommendation = recommend(
        setting, before, after, regime=regime, normalized=normalized
    )
    # Without a regime, a fine-tune is inferred from the lr alone.
    is_by_lr = regime is None and recommendation.kind_of_run == "fine-tuning"
    return Rescaling(
        knob=setting.knob.name,
        before=explain_setting(setting, before),
        unchanged=explain_setting(setting, after),
        recommendation=recommendation,
        rules=answers,
        runs=(before, after),
        notes=(
            *overruled,
            *([TUNED_BY_ITS_LR] if is_by_lr else []),
            *([_ANOTHER_SCHEDULE] if before.schedule != after.schedule else []),
            *_lacking(before, after),
        ),
    )


_ANOTHER_SCHEDULE = (
    "No measurement covers a change of schedule: the value is that of the peak lr, and "
    "the run as a whole decays more or less by it (unchanged, above)."
)


def _lacking(before: Run, after: Run) -> tuple[str, ...]:
    """Return a note on facts that the run after the change lacks."""
    names = [
        each.name
        for each in fields(Run)
        if each.init and before.is_given(each.name) and not after.is_given(each.name)
    ]
    if not names:
        return ()
    note = f"Given before the change and not after it: {', '.join(names)}."
    return (f"{note} Nothing is carried over: give what stays on both sides.",)


def _answer(rule: Rule, setting: Setting, before: Run, after: Run) -> RuleAnswer:
    change = _prediction(rule, setting.knob, before, after)
    value, why_not = None, change.why_not
    if change.factor is not None:
        value, why_not = _attempted(rule, setting, change, before, after)
    there = (
        None if value is None else explain_setting(Setting(setting.knob, value), after)
    )
    return RuleAnswer(
        rule=rule.name,
        value=value,
        keeps=rule.keeps,
        half_life=there.half_life if there else {},
        e_folds=there.e_folds if there else None,
        penalty=there.penalty if there else None,
        evidence=rule.evidence,
        applies=value is not None,
        why_not=why_not,
        silent_on=change.silent_on,
        measured=value is not None and change.measured,
        sentence=rule.sentence,
        source=rule.source,
    )


def _prediction(rule: Rule, knob: Knob, before: Run, after: Run) -> Prediction:
    """Return what the rule predicts for such a knob, or why it does not fit it."""
    why_not, convention = "", penalty_convention_of(knob)
    if rule.coordinate == "shrink" and not (has_shrink(knob) or knob.family):
        why_not = "it is about a decay per step, and a bare penalty has none"
    if rule.coordinate == "penalty" and knob.is_rate:
        why_not = "it is about a coefficient, and a rate of decay has none"
    is_about_shape = any(map(rule.exponents.get, ("width", "depth", "weights")))
    is_spread = convention is not None and convention.normalization != "none"
    if rule.coordinate == "penalty" and is_about_shape and is_spread:
        why_not = "the knob is normalized by layer already"
    if why_not:
        return Prediction(factor=None, why_not=why_not)
    # A knob's name is module.Class:variant; papers name the class.
    optimizer = knob.name.partition(":")[0].rpartition(".")[2].upper()
    family = knob.family or (OF_A_RATE if knob.is_rate else SGD).name
    if family_of(knob) is DECOUPLED and optimizer in rule.decoupled_optimizers:
        family = rule.families[0]
    return predict(
        rule,
        family=family,
        before=before.quantities(),
        after=after.quantities(),
    )


def _attempted(
    rule: Rule, setting: Setting, change: Prediction, before: Run, after: Run
) -> tuple[float | None, str]:
    """Return the number to type, or why there is none."""
    # No round trip: what does not change keeps its last digit.
    if before == after:
        return setting.number, ""
    # Both are products of powers, and never 0.
    factor, shrink_factor = change.factor or 1.0, change.shrink_factor or 1.0
    try:
        if rule.clock == "tokens":  # other facts that both runs lack count as 1
            after.require("tokens_per_example", rule.name)
        if rule.coordinate == "penalty":
            knob, number = setting.knob, setting.number
            return number_at_scaled_penalty(knob, number, factor, before, after), ""
        return _by_shrink(rule, setting, shrink_factor, before, after), ""
    except MissingFactError as error:
        if error.fact == "lr" and before.lr is after.lr is None:
            return setting.number * factor, ""
        return None, f"it needs {error.fact}: give it as {error.option}"
    except (DwindleError, OverflowError) as error:
        return None, str(error)


def _by_shrink(
    rule: Rule, setting: Setting, factor: float, before: Run, after: Run
) -> float:
    knob = setting.knob
    shrink = shrink_from_number(knob, setting.number, before)
    if shrink == 0:
        return setting.number
    if rule.clock is None:
        # The papers scale lr · λ itself, not the logarithm of what it leaves.
        return number_from_shrink(knob, shrink * factor, after)
    # Of a knob that is a timescale, 1/s is the time that the rule keeps.
    steps = 1 / shrink if knob.timescale else half_life_from_shrink(shrink)
    try:
        steps = HalfLife.from_steps(steps, clock=rule.clock, run=before).in_steps(after)
    except MissingFactError:
        # A fact that both runs lack is taken as unchanged: the rule's powers suffice.
        steps /= factor
    there = 1 / steps if knob.timescale else shrink_from_half_life(steps)
    return number_from_shrink(knob, there, after)
