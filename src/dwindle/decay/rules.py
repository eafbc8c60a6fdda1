"""The published scaling rules as records, and what each predicts for a change of scale.

Left out, because they are no power laws between runs: decay that follows the lr
squared (a family, ``corrected``), decay ~ 1/t within a run, update-size matching across
optimizers, factors found for one data set, and rules about β₂. Exponents are as
published; ``evidence`` says on what, ``checked`` what of it was read for this table.
"""

from itertools import chain
from typing import Any

from dwindle.decay.families import FAMILIES
from dwindle.decay.rule import Prediction, Rule, Scale, predict_change
from dwindle.errors import UnknownNameError
from dwindle.errors.nearest import nearest_names
from dwindle.plain import table_beside

__all__ = ["RULES", "Prediction", "Rule", "predict", "resolve_rule"]

# What the file calls families by. A penalty, or a prior, is a term of an objective, and
# coupled knobs are that term; a shrink takes a known fraction off a weight in a step.
_SETS = {
    "every penalty": [each.name for each in FAMILIES.values() if each.is_penalty],
    "every shrink": [each.name for each in FAMILIES.values() if each.has_half_life],
    "every decoupled": [each.name for each in FAMILIES.values() if each.is_decoupled],
}


def _rule(cells: dict[str, Any]) -> Rule:  # Any: texts, lists and tables
    for name in ("families", "measured_for"):
        if name in cells:
            named = (_SETS.get(each, [each]) for each in cells[name])
            cells[name] = tuple(chain.from_iterable(named))
    for name in ("measured_over", "decoupled_optimizers"):
        cells[name] = tuple(cells.get(name, ()))
    return Rule(**cells)


RULES = tuple(map(_rule, table_beside(__file__)["rule"]))

_BY_NAME = {rule.name: rule for rule in RULES}


def resolve_rule(name: str) -> Rule:
    """Return the rule of a name.

    Raises:
        UnknownNameError: If there is none; the nearest names are offered.

    Example:
        >>> resolve_rule("bengio-map").coordinate
        'penalty'

    """
    if name not in _BY_NAME:
        raise UnknownNameError(
            "rule", name, nearest_names(name, _BY_NAME), "See: dwindle rules."
        )
    return _BY_NAME[name]


def predict(
    rule: Rule | str, *, family: str, before: Scale, after: Scale
) -> Prediction:
    """Predict how λ moves when the scale changes, by one rule.

    A penalty rule multiplies λ by Π (after/before)^exponent. A shrink rule multiplies
    the shrink per step by that product, and λ by the product divided by the ratio of
    the learning rates, since lr · λ is the shrink.

    Args:
        rule: A rule, or its name.
        family: Update family of the knob, for example ``"coupled-sgd"`` (SGD with L2)
            or ``"decoupled"`` (AdamW).
        before: Quantities of scale, any of width, depth, weights, batch_size,
            dataset_size, epochs, steps, lr, tokens_per_example, tokens_per_step and
            tokens (of the run); each above 0.
        after: The same, after the change. A quantity that stands on neither side is
            taken as unchanged.

    Returns:
        A prediction; its factor is None where the rule does not apply.

    Raises:
        UnknownNameError: If there is no such rule.
        RangeError: If a quantity is not above 0.

    Example:
        >>> small, large = (
        ...     {"batch_size": 256, "lr": 1.0},
        ...     {"batch_size": 512, "lr": 1.0},
        ... )
        >>> predict(  # doctest: +ELLIPSIS
        ...     "power-lines-batch", family="decoupled", before=small, after=large
        ... )
        Prediction(factor=2.0, why_not='', shrink_factor=2.0, silent_on=(), ...)
        >>> predict("fan", family="decoupled", before=small, after=large).why_not
        'it says nothing about batch_size'

    """
    record = resolve_rule(rule) if isinstance(rule, str) else rule
    return predict_change(record, family=family, before=before, after=after)


def rules() -> tuple[Rule, ...]:
    """Return every published rule that dwindle knows.

    Example:
        >>> [rule.name for rule in rules() if rule.exponents.get("weights")]
        ['question-layer-mean', 'power-lines']

    """
    return RULES
