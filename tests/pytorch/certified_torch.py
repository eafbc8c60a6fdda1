"""Every optimizer class of torch.optim: how it is held, or why it is not."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from pytorch.certified import Build, options_text, takes
from torch.optim import Optimizer

LIBRARY = "torch"
# How each class is held as it comes. A class without a line here fails the tests.
OUTCOMES: Mapping[str, str] = {
    "ASGD": "refused",
    "Adadelta": "multiply",
    "Adafactor": "native",
    "Adagrad": "multiply",
    "Adam": "multiply",
    "AdamW": "native",
    "Adamax": "multiply",
    "LBFGS": "multiply",
    "Muon": "native",
    "NAdam": "multiply",
    "RAdam": "multiply",
    "RMSprop": "multiply",
    "Rprop": "multiply",
    "SGD": "native",
    "SparseAdam": "refused",
}
WHY: Mapping[str, str] = {
    "ASGD": "lambd=0",
    "SparseAdam": "SparseAdam does not support dense gradients",
}
# Options that change how it computes, for every class that takes them.
_WAYS: tuple[Mapping[str, Any], ...] = (
    {"foreach": True},
    {"fused": True},
    {"maximize": True},
    {"amsgrad": True},
    {"centered": True},
)
_DECOUPLED = {"decoupled_weight_decay": True}
_DAMPENED = {"momentum": 0.9, "dampening": 0.9}
_NESTEROV = {"momentum": 0.9, "nesterov": True}
_LR_IN_A_TENSOR = {"lr": torch.tensor(1e-3, dtype=torch.float64)}
_ON_CPU = "If capturable=True, params and state_steps must be on supported devices"
# Builds of one class: its name, the options, the outcome, and a part of the refusal.
_OTHERS: tuple[tuple[str, Mapping[str, Any], str, str], ...] = (
    ("ASGD", {"lambd": 0.0}, "multiply", ""),
    # The for-loop is what torch takes on a CPU by default.
    ("Adam", {"foreach": False}, "multiply", ""),
    ("Adam", _DECOUPLED, "native", ""),
    ("Adam", _DECOUPLED | {"fused": True}, "native", ""),
    ("AdamW", _LR_IN_A_TENSOR, "native", ""),
    ("AdamW", _LR_IN_A_TENSOR | {"fused": True}, "native", ""),
    ("AdamW", {"capturable": True}, "refused", _ON_CPU),
    ("AdamW", {"betas": (0.95, 0.95), "eps": 1e-6}, "native", ""),
    ("Adafactor", {"lr": 0.5}, "native", ""),
    ("LBFGS", {"line_search_fn": "strong_wolfe"}, "multiply", ""),
    ("Muon", {"momentum": 0.0, "nesterov": False}, "native", ""),
    ("Muon", {"adjust_lr_fn": "match_rms_adamw"}, "native", ""),
    ("NAdam", _DECOUPLED, "native", ""),
    ("NAdam", _DECOUPLED | {"foreach": True}, "native", ""),
    ("RAdam", _DECOUPLED, "native", ""),
    ("RMSprop", {"momentum": 0.9}, "multiply", ""),
    ("SGD", {"foreach": False}, "native", ""),
    ("SGD", {"momentum": 0.9}, "multiply", ""),
    ("SGD", {"momentum": 0.9, "fused": True}, "multiply", ""),
    ("SGD", {"momentum": 0.9, "foreach": True}, "multiply", ""),
    ("SGD", {"momentum": 0.9, "weight_decay": 1e-4}, "multiply", ""),
    ("SGD", _DAMPENED, "multiply", ""),
    ("SGD", _NESTEROV, "multiply", ""),
    ("SGD", _LR_IN_A_TENSOR, "native", ""),
)


def classes() -> dict[str, type[Optimizer]]:
    """Return every optimizer class that torch.optim has, found by introspection."""
    found = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
    kinds = [kind for kind in found if issubclass(kind, Optimizer)]
    return {kind.__name__: kind for kind in kinds if kind is not Optimizer}


def builds() -> Iterator[Build]:
    """Return every class as it comes and with every way to compute."""
    for name, kind in classes().items():
        yield _build(name, {}, OUTCOMES[name], WHY.get(name, ""))
        for way in _WAYS:
            if OUTCOMES[name] != "refused" and all(takes(kind, each) for each in way):
                yield _build(name, way, OUTCOMES[name], "")
        for other, options, outcome, why in _OTHERS:
            if other == name:
                yield _build(name, options, outcome, why)


def _fresh(
    kind: type[Optimizer], options: Mapping[str, Any], groups: list[dict[str, Any]]
) -> Optimizer:
    # Schedulers write into an lr that is a tensor: each optimizer gets a new one.
    own = {
        name: value.clone() if isinstance(value, torch.Tensor) else value
        for name, value in options.items()
    }
    return kind(groups, **own)


def _build(name: str, options: Mapping[str, Any], outcome: str, why: str) -> Build:
    return Build(
        library=LIBRARY,
        name=f"torch.optim.{name}",
        options=options_text(options),
        factory=partial(_fresh, classes()[name], options),
        outcome=outcome,
        why=why,
    )
