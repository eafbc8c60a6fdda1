"""What each published rule says of the base exponents, so that rules can be ranked."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.rule import Rule
from dwindle.decay.rules import RULES

# What people do who change nothing: a rule like any other.
UNCHANGED = Rule(
    name="unchanged",
    coordinate="penalty",
    families=(),
    exponents={},
    source="no source: the number stays",
    checked="primary text",
    evidence="practice",
    sentence="The number that is typed stays.",
    keeps="λ",
)
RANKED: Mapping[str, Rule] = MappingProxyType(
    {rule.name: rule for rule in (UNCHANGED, *RULES)}
)

# What grows by a factor e when the variable of a base exponent does, all others fixed.
# Where sizes grow, lr ∝ 1/width; a layer has width² weights, and two networks of one
# family differ in width rather than in depth.
_GROWS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "lr": {"lr": 1.0},
        "batch": {"batch_size": 1.0, "tokens_per_step": 1.0, "steps": -1.0, "lr": 1.0},
        "data": {"dataset_size": 1.0, "steps": 1.0, "tokens": 1.0},
        "repetition": {"epochs": 1.0, "dataset_size": -1.0},
        "width": {"width": 1.0, "weights": 2.0, "lr": -1.0},
        "parameters": {"weights": 1.0, "width": 0.5, "lr": -0.5},
        "depth": {"depth": 1.0, "weights": 1.0},
    }
)
# Whose records a rule is judged without: its own authors'.
AUTHORS: Mapping[str, str] = MappingProxyType(
    {
        "loshchilov-hutter": "Loshchilov & Hutter",
        "half-life-epochs": "Wang & Aitchison",
        "wang-aitchison-width": "Wang & Aitchison",
        "power-lines": "Power Lines",
        "power-lines-batch": "Power Lines",
        "half-life-run": "Power Lines",
        "sde-sqrt": "Complete(d)P",
        "completed-p": "Complete(d)P",
        "linear-lr": "Goyal et al.",
        "completep": "CompleteP",
        "fan": "Fan et al.",
        "qiu": "Qiu et al.",
        "nanochat": "nanochat",
        "nanochat-width": "nanochat",
    }
)
# Where a class has no record of an exponent: the rule that is best for it, or, of
# fine-tuning, that nobody measured, the one that asks for nothing.
DEFAULTS: Mapping[KindOfRun, str] = MappingProxyType(
    {
        "single-pass": "power-lines",
        "many-epochs-normalized": "half-life-epochs",
        "many-epochs-plain": "unchanged",
        "fine-tuning": "unchanged",
    }
)


def claimed(rule: Rule) -> dict[str, float]:
    """Return the base exponents of s = lr·λ under a rule.

    What a rule is silent about leaves its coordinate as it was: s, or λ.

    Example:
        >>> there = claimed(RANKED["half-life-epochs"])
        >>> there["batch"], there["data"], there["repetition"]
        (1.0, -1.0, 1.0)
        >>> claimed(UNCHANGED)["lr"]
        1.0

    """
    powers = dict(rule.exponents)
    if rule.coordinate == "penalty":  # s = lr·λ
        powers["lr"] = 1.0 + powers.get("lr", 0.0)
    return {
        base: math.fsum(powers.get(name, 0.0) * rate for name, rate in grows.items())
        for base, grows in _GROWS.items()
    }
