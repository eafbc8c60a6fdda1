"""What texts and tables call rules and optimizers, and the few numbers both share."""

from typing import NamedTuple

from dwindle import wording
from dwindle.findings.model import AxisFindings, RuleFindings

OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW", "adam": "Adam with L2"}
UNCHANGED = "unchanged"


class _Called(NamedTuple):
    title: str  # in tables and figures
    phrase: str  # in a sentence


# Rules that the question or its answer quotes; all others go by their own names.
_RULES = {
    "question-layer-mean": _Called(
        "the question: λ / weights", "dividing by the number of weights"
    ),
    "answer": _Called(
        "the answer: constant decay", "the answer's constant decay of one weight"
    ),
    "bengio-map": _Called("Bengio, MAP", "Bengio's 1/N"),
    "neal": _Called("Neal's prior", "Neal's prior"),
    "half-life-epochs": _Called(
        "half-life in epochs", "a constant half-life in epochs"
    ),
    "half-life-examples": _Called(
        "half-life in examples", "a constant half-life in examples"
    ),
    "half-life-run": _Called(
        "half-life as share of run", "a half-life that is a constant share of the run"
    ),
    "half-life-steps": _Called("half-life in steps", "a constant half-life in steps"),
    UNCHANGED: _Called("λ left as it is", "leaving λ as it is"),
}


def rule_title(rule: str) -> str:
    """Return the name of a rule in tables and figures."""
    called = _RULES.get(rule)
    return called.title if called else wording.clean(rule, limit=40)


def rule_phrase(rule: str) -> str:
    """Return how a sentence calls a rule."""
    called = _RULES.get(rule)
    return called.phrase if called else f"the rule {wording.clean(rule, limit=40)}"


def quantity(axis: str) -> str:
    """Return the name of an axis, which a study file may have made up."""
    return wording.quantity(wording.clean(axis, limit=40))


def optimizer_name(optimizer: str) -> str:
    """Return what people call an optimizer of a study."""
    return OPTIMIZERS.get(optimizer, wording.clean(optimizer, limit=20))


# What the problems of studies are: toys, which a line that is pasted has to name.
_DIGITS = "a toy, 1,797 small images of digits"
_CLOTHES = "a toy, small images of clothes"
_CHARACTERS = "a toy, the next character of a text"
_TOYS = {
    "digits-mlp": _DIGITS,
    "digits-mlp-layernorm": _DIGITS,
    "digits-logistic": _DIGITS,
    "fashion-mlp": _CLOTHES,
    "fashion-mlp-layernorm": _CLOTHES,
    "text-mlp": _CHARACTERS,
    "text-mlp-layernorm": _CHARACTERS,
}


def toy_of(problem: str) -> str:
    """Return what a study was trained on, for a reader who has another model."""
    return _TOYS.get(problem, wording.clean(problem, limit=40))


def decay(value: float | None) -> str:
    """Return a λ with two digits: more is never measured."""
    return wording.number(value, digits=2)


def sure_cells(telling: int, cells: int) -> str:
    """Return in how many cells the best λ is sure enough to enter a slope.

    Tables show a best λ for more of them: one where decay may not matter, or whose
    limits lie beyond the grid.
    """
    return f"best λ sure in {telling} of {wording.counted(cells, 'cell')}"


def exponent(axis: AxisFindings) -> str:
    """Return the measured exponent of an axis with its interval."""
    return wording.measured(axis.exponent, axis.low, axis.high)


def regret(rule: RuleFindings) -> str:
    """Return what following a rule loses; beyond the grid that is a lower bound."""
    if rule.regret is None:
        return wording.NOTHING
    return f"{'≥ ' if rule.beyond_grid else ''}{wording.fixed(rule.regret, 3)}"


def regret_interval(rule: RuleFindings) -> str:
    """Return the 90 % interval of a regret."""
    if rule.regret_low is None or rule.regret_high is None:
        return wording.NOTHING
    return f"{wording.fixed(rule.regret_low, 3)}–{wording.fixed(rule.regret_high, 3)}"
