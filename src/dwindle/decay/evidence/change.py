"""A change of scale in the base exponents, part by part, and what rules claim of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from dwindle.decay.evidence.records import KindOfRun
from dwindle.decay.rules import RULES, Rule
from dwindle.decay.run import Run
from dwindle.errors import RangeError

# Ratios nearer to 1 are rounding: of a short last batch, or of tokens to steps.
_NOTHING = 1e-9


@dataclass(frozen=True, kw_only=True)
class ChangePart:
    """A part of a change that one line of an answer is about.

    ``ratio`` is after over before, ``beside`` has the ratios of what changed with it
    and is only known together with it. ``logs`` are of the variables of the base
    exponents, ``through_lr`` of the lr's ratio where it belongs to this part;
    ``measured_as`` names the quantities of records that are about it.
    """

    quantity: str
    ratio: float
    beside: Mapping[str, float] = field(default_factory=dict, hash=False)
    logs: Mapping[str, float] = field(hash=False)
    through_lr: float = 0.0
    measured_as: tuple[str, ...]


def parts_of_change(before: Run, after: Run, kind: KindOfRun) -> tuple[ChangePart, ...]:
    """Return what changed, in parts whose logarithms add up to the whole change.

    What stands on one side only, or on neither, is taken as unchanged. Where the width
    or the depth changed they stand for the size of the network, else the number of
    parameters does.

    Example:
        >>> small = Run(lr=1e-3, batch_size=32, dataset_size=1000, epochs=10)
        >>> large = Run(lr=2e-3, batch_size=64, dataset_size=1000, epochs=20)
        >>> parts = parts_of_change(small, large, "many-epochs-plain")
        >>> [(part.quantity, part.ratio, part.beside) for part in parts]
        [('batch', 2.0, {'lr': 2.0}), ('epochs', 2.0, {})]

    """
    logs = _Logs(before, after)
    parts = [*_of_lr(logs), *_of_length(logs, kind)]
    depth = logs.of("depth")
    if depth:
        parts.append(_part("depth", depth, {"depth": depth}, ("depth",)))
    return tuple(parts)


def summed(parts: Iterable[ChangePart]) -> dict[str, float]:
    """Return the logarithms of all parts together."""
    total: dict[str, float] = {}
    for part in parts:
        for name, log in part.logs.items():
            total[name] = total.get(name, 0.0) + log
    return total


class _Logs(dict[str, float]):
    """Logarithms of the ratios of what both sides know."""

    def __init__(self, before: Run, after: Run) -> None:
        there = after.quantities()
        for name, old in before.quantities().items():
            new = there.get(name, old)
            if name not in there or old == new == 0:
                continue
            if not (old and new):
                must = "above 0 on both sides: no power law begins or ends at 0"
                remedy = f"Leave {name} out, or compare with a network that has some."
                raise RangeError(name, f"{old:g} and then {new:g}", must, remedy)
            self[name] = _rounded(math.log(new) - math.log(old))

    def of(self, *names: str) -> float:
        """Return that of the first name that is known, else 0."""
        return next((self[name] for name in names if name in self), 0.0)

    def batch(self) -> float:
        return self.of("tokens_per_step", "batch_size")

    def seen(self) -> float:
        """Return that of the examples, or tokens, that the run sees."""
        whole = self.of("epochs") + self.of("dataset_size")
        whole += self.of("tokens_per_example")
        if {"epochs", "dataset_size"} <= self.keys():
            return whole
        if "tokens" in self:
            return self["tokens"]
        return self["steps"] + self.batch() if "steps" in self else whole


def _part(
    quantity: str,
    log: float,
    logs: Mapping[str, float],
    measured_as: tuple[str, ...],
    beside: Mapping[str, float] = MappingProxyType({}),
) -> ChangePart:
    whole = {quantity: log, **beside}
    # 2.0000000000000004 is 2.
    ratios = {name: float(f"{math.exp(each):.12g}") for name, each in whole.items()}
    return ChangePart(
        quantity=quantity,
        ratio=ratios.pop(quantity),
        beside=ratios,
        logs=logs,
        measured_as=measured_as,
    )


# Quantities of records that are about a change that the lr may go with.
_RECORDED = {
    "batch": ("batch", "batch-sqrt-lr", "batch-linear-lr"),
    "width": ("width", "width-mup"),
    "parameters": ("params", "params-tpp", "params-compute"),
}


def _of_lr(logs: _Logs) -> list[ChangePart]:
    """Return the part of lr, batch and size, which are known only together."""
    # The parameters count where no shape stands for the size.
    has_shape = logs.of("width") or logs.of("depth")
    weights = 0.0 if has_shape else logs.of("weights")
    sizes = {"width": logs.of("width"), "parameters": weights}
    changed = {"batch": logs.batch(), **sizes, "lr": logs.of("lr")}
    # The lr that goes with a size is 1/width, and a layer has width² parameters.
    lr = changed["lr"] + sizes["width"] + sizes["parameters"] / 2 - changed["batch"]
    through_lr, changed = changed["lr"], {k: v for k, v in changed.items() if v}
    if not changed:
        return []
    first, *others = changed
    about = [name for names in map(_RECORDED.get, changed) for name in names or ()]
    part = _part(
        first,
        changed[first],
        {**changed, "lr": _rounded(lr)},
        tuple(about) or ("lr",),
        {name: changed[name] for name in others},
    )
    return [replace(part, through_lr=through_lr)]


def _of_length(logs: _Logs, kind: KindOfRun) -> list[ChangePart]:
    """Return the parts of examples seen and of repetition."""
    seen, as_data = _rounded(logs.seen()), ("tokens", "dataset")
    if kind == "single-pass":
        name = "tokens" if "tokens" in logs else "examples"
        return [_part(name, seen, {"data": seen}, as_data)] if seen else []
    # Without a dataset, a longer run is more epochs over the one that there is.
    known = "epochs" in logs
    epochs = logs.of("epochs") if known else _rounded(seen - logs.of("dataset_size"))
    dataset = _rounded(seen - epochs)
    parts = []
    if dataset:
        parts.append(_part("dataset", dataset, {"data": dataset}, as_data))
    if epochs:
        both = {"data": epochs, "repetition": epochs}
        name = "epochs" if known else "steps"
        parts.append(_part(name, epochs, both, ("epochs", "repetition")))
    return parts


def _rounded(log: float) -> float:
    return log if abs(log) > _NOTHING else 0.0


# Leaving the number as it is: a rule like any other.
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
