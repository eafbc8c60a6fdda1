"""Scaling rules: vectors of exponents in one coordinate, for named families.

``penalty`` rules are about the coefficient λ itself, ``shrink`` rules about the
fraction that one step takes off a weight with zero gradient. What the lr does to a
shrink is known, so a shrink rule also predicts λ when only the lr changes.

Left out, because they are no power laws between runs: decay that follows the lr
squared (a family, ``corrected``), decay ~ 1/t within a run, update-size matching across
optimizers, factors found for one data set, and rules about β₂. Exponents are as
published; ``evidence`` is what they were tested on, ``checked`` what was read.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

from dwindle.decay.families import FAMILIES
from dwindle.decay.read_numbers import Clock
from dwindle.errors import RangeError, UnknownNameError
from dwindle.plain import table_beside

# From these the others follow, where they are not given.
PRIMARY = (
    "width",
    "depth",
    "batch_size",
    "dataset_size",
    "epochs",
    "tokens_per_example",
    "lr",
)
# Quantities that must be unchanged for a derived quantity to be unchanged.
DRIVERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "weights": ("width", "depth"),
        "steps": ("batch_size", "dataset_size", "epochs"),
        "tokens_per_step": ("batch_size", "tokens_per_example"),
        "tokens": (
            "batch_size",
            "dataset_size",
            "epochs",
            "steps",
            "tokens_per_example",
        ),
    }
)
QUANTITIES = (*PRIMARY, *DRIVERS)
# How to give a quantity, where its name does not show it.
HINTS = {"weights": "weights (give --parameters, or --units of every layer)"}
# A published pair of lr and decay still counts as followed at a rounded lr.
COMPANION_TOLERANCE = 0.1
# Far beyond any training, and near enough that no product of powers overflows.
_SMALLEST, _LARGEST = 1e-30, 1e30

Scale = Mapping[str, float]
Checked = Literal["primary text", "secondary text", "from memory"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a decay should change with scale, as it was published.

    ``exponents`` are over ``QUANTITIES``; an explicit 0 means that a quantity does not
    matter, an absent one that the rule does not cover it. ``lr_exponents`` is the lr
    that the rule was published with: under another lr it does not apply. ``keeps``
    names what stays fixed, ``evidence`` what it was tested on. ``clock`` is set where
    the rule keeps the half-life on that clock, exactly, also under short last batches.
    ``measured_over`` names the quantities whose change was measured, not argued, and
    ``measured_for`` the families, where not all of them were.
    ``decoupled_optimizers`` names optimizers to whose decoupled decay, times the lr,
    the rule applies too.
    ``checked`` is what was read for this record: the text, code or abstract itself, a
    text about it, or neither.
    """

    name: str
    coordinate: Literal["penalty", "shrink"]
    families: tuple[str, ...]
    exponents: Scale = field(hash=False)
    source: str
    evidence: str
    sentence: str
    keeps: str
    checked: Checked
    clock: Clock | None = None
    measured_over: tuple[str, ...] = ()
    measured_for: tuple[str, ...] | None = None
    decoupled_optimizers: tuple[str, ...] = ()
    lr_exponents: Scale = field(default_factory=dict, hash=False)

    def covers(self, changed: frozenset[str]) -> bool:
        """Return whether any of these changes is in the rule.

        A shrink rule covers a change of the lr, but only where nothing else changed:
        beside a change that is not in the rule, that does not count.
        """
        only_lr = self.coordinate == "shrink" and changed == {"lr"}
        return only_lr or bool(changed & self.covered)

    @property
    def covered(self) -> frozenset[str]:
        """The quantities of its exponents, and what makes those that are derived.

        A rule about steps is one about batch, data and epochs too.
        """
        names = self.exponents
        drivers = chain.from_iterable(DRIVERS.get(name, ()) for name in names)
        return frozenset(names) | frozenset(drivers)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a rule predicts for one change of scale.

    ``factor`` multiplies the knob λ; None means that the rule does not apply, and
    ``why_not`` is the reason. ``shrink_factor`` multiplies the shrink per step.
    ``silent_on`` names what changed and is not in the rule.
    ``measured`` is whether its authors measured such a change in such a family.
    """

    factor: float | None
    why_not: str = ""
    shrink_factor: float | None = None
    silent_on: tuple[str, ...] = ()
    measured: bool = False


# Sets of families by their names in the file. A penalty, or a prior, is a term of an
# objective, as coupled knobs are; a shrink is a known fraction of a weight per step.
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
    """Return the rule of a name."""
    if name not in _BY_NAME:
        raise UnknownNameError.among("rule", name, _BY_NAME, "See: dwindle rules.")
    return _BY_NAME[name]


def rules() -> tuple[Rule, ...]:
    """Return every published rule that dwindle knows.

    Example:
        >>> [rule.name for rule in rules() if rule.exponents.get("weights")]
        ['question-layer-mean', 'power-lines']

    """
    return RULES


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
        'it does not cover batch_size'

    """
    rule = resolve_rule(rule) if isinstance(rule, str) else rule
    before, after = _completed(before, after)
    ratios = {name: after[name] / before[name] for name in before if name in after}
    changed = frozenset(name for name, ratio in ratios.items() if ratio != 1)
    why_not = _why_not(rule, family, ratios, changed, _given_on_one_side(before, after))
    if why_not:
        return Prediction(factor=None, why_not=why_not)
    product = math.exp(_log_product(rule.exponents, ratios))
    # Where the optimizer does not multiply by the lr, λ is the shrink itself.
    record = FAMILIES.get(family)
    reads_lr = record is None or record.reads_lr
    through_lr = ratios.get("lr", 1.0) if reads_lr else 1.0
    is_shrink = rule.coordinate == "shrink"
    made = _changes_made(changed)
    reasons = set(made) - {"lr"}
    return Prediction(
        # The shrink is lr · λ, so λ changes by what the lr does not change.
        factor=product / through_lr if is_shrink else product,
        shrink_factor=product if is_shrink else product * through_lr,
        silent_on=tuple(name for name in made if name not in {*rule.covered, "lr"}),
        measured=bool(reasons)
        and reasons <= set(rule.measured_over)
        and family in (rule.measured_for or rule.families),
    )


def _completed(before: Scale, after: Scale) -> tuple[Scale, Scale]:
    """Add the derived quantities where the primary ones give them on both sides."""
    # Only ratios matter here, so what stands on neither side counts as 1: without a
    # sequence length tokens stand for examples, without a batch epochs for steps.
    sides = _checked(before), _checked(after)
    for name, derive in _DERIVED.items():
        if any(name in side for side in sides):
            continue
        # A factor given on one side only may have changed: nothing can be derived.
        one_sided = _given_on_one_side(*sides) & set(DRIVERS[name])
        derived = [derive(side) for side in sides]
        if all(derived) and not one_sided:
            for side, value in zip(sides, derived, strict=True):
                side[name] = value
    return sides


def _checked(scale: Scale) -> dict[str, float]:
    for name, value in scale.items():
        fits = _SMALLEST <= value <= _LARGEST or (name, value) == ("depth", 0)
        if not fits or isinstance(value, bool):
            must = f"a number above 0, from {_SMALLEST:g} to {_LARGEST:g}"
            raise RangeError(name, value, must)
    # A depth of 0 has no power law; the number of weights still shows the change.
    return {name: float(value) for name, value in scale.items() if value}


def _steps(scale: Scale) -> float:
    if "epochs" not in scale:
        return 0.0
    if not {"dataset_size", "batch_size"} <= set(scale):
        return (
            scale["epochs"] * scale.get("dataset_size", 1) / scale.get("batch_size", 1)
        )
    steps_per_epoch = math.ceil(scale["dataset_size"] / scale["batch_size"])
    # As ``Run`` counts: a short last batch is a step, a fraction of one is none.
    return max(1.0, round(scale["epochs"] * steps_per_epoch))


def _tokens_per_step(scale: Scale) -> float:
    if "tokens_per_step" in scale:
        return scale["tokens_per_step"]
    if not {"batch_size", "tokens_per_example"} & set(scale):
        return 0.0
    return scale.get("batch_size", 1) * scale.get("tokens_per_example", 1)


def _tokens(scale: Scale) -> float:
    if "epochs" in scale:
        length = scale.get("tokens_per_example", 1)
        return scale["epochs"] * scale.get("dataset_size", 1) * length
    return scale.get("steps", 0.0) * (_tokens_per_step(scale) or 1)


_DERIVED: Mapping[str, Callable[[Scale], float]] = MappingProxyType(
    {"steps": _steps, "tokens_per_step": _tokens_per_step, "tokens": _tokens}
)


def _given_on_one_side(before: Scale, after: Scale) -> frozenset[str]:
    return frozenset(set(before) ^ set(after))


def _why_not(
    rule: Rule,
    family: str,
    ratios: Scale,
    changed: frozenset[str],
    one_sided: frozenset[str],
) -> str:
    """Return why a rule does not apply; an empty text where it does."""
    if family not in rule.families:
        stated = dict.fromkeys(FAMILIES[name].title for name in rule.families)
        here = FAMILIES[family].title if family in FAMILIES else family
        return f"it was stated for {', '.join(stated)}, not for {here}"
    needed = {name for name, power in rule.exponents.items() if power}
    unknown = sorted(needed & one_sided) + sorted(
        name
        for name in needed - set(ratios) - one_sided
        if (changed | one_sided) & set(DRIVERS.get(name, ()))
    )
    if unknown:
        return f"it needs {_listed(unknown)} before and after"
    if changed and not rule.covers(changed):
        return f"it does not cover {_listed(_changes_made(changed))}"
    return _companion_missed(rule, ratios)


def _companion_missed(rule: Rule, ratios: Scale) -> str:
    if not rule.lr_exponents:
        return ""
    log_wanted = _log_product(rule.lr_exponents, ratios)
    log_given = math.log(ratios.get("lr", 1.0))
    if abs(log_wanted - log_given) <= COMPANION_TOLERANCE:
        return ""
    return (
        f"it goes with an lr times {math.exp(log_wanted):.3g}, "
        f"here the lr goes times {math.exp(log_given):.3g}"
    )


def _log_product(exponents: Scale, ratios: Scale) -> float:
    # A sum of logarithms: a product of such powers could overflow.
    return math.fsum(
        power * math.log(ratios.get(name, 1.0)) for name, power in exponents.items()
    )


def _changes_made(changed: frozenset[str]) -> list[str]:
    """Name the changes that a person made, not what follows from them."""
    made = [name for name in PRIMARY if name in changed]
    return made or [
        name
        for name, drivers in DRIVERS.items()
        if name in changed and not changed & set(drivers)
    ]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(HINTS.get(name, name) for name in names)
