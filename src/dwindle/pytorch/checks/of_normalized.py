"""DW016: weights whose size a normalization divides out, and how decay acts on them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dwindle.audit.findings import Finding, Paste
from dwindle.decay.equilibrium import EQUILIBRIA
from dwindle.errors import DwindleError
from dwindle.pytorch.checks.facts import Facts, on_parameters
from dwindle.pytorch.checks.group import AuditedGroup, number_of
from dwindle.pytorch.probing.measuring import steps_by_size
from dwindle.wording import number

# Adaptive classes with a running mean square of the gradient: once updates and a
# coupled decay balance, such weights turn by (lr²·weight_decay) ** (1/3) per step, up
# to a factor. Measured on white noise; it does not hold for Adagrad, Adadelta, Adamax.
_BALANCED = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop")
# Only its own family divides by the root mean square of the gradient.
_ADAM = ("Adam",)
# Walks of a coupled adaptive step without a gradient, with and without momentum.
_COUPLED = ("linear", "other")
# EfficientNet's eps of 1e-3 outweighs the gradients: its steps are nearly those of SGD.
_SMALL_EPS = 1e-6
# What the weight decay is divided by at twice the lr, for the same rotation.
_FACTORS: Mapping[str, float] = {"linear": 2.0, "quadratic": 4.0}
# The value of a finding by how its normalization is known.
_SEEN = {
    "declaration": "declared",
    "forward pass": "flows",
    "parametrization": "parametrized",
}


def size_divided_out(facts: Facts) -> Iterator[Finding]:
    """DW016: decayed weights whose size a normalization takes out again."""
    by = {id(each.parameter): each for each in facts.normalized}
    decaying = facts.decaying("weight")
    found = [held for held in decaying if id(held.parameter) in by]
    if not found:
        return
    known = by[id(found[0].parameter)]
    group = facts.groups_of(found[0])[0]
    case = _kind(group)
    factor = _FACTORS.get(case)
    values: dict[str, Any] = {"number": None, _SEEN[known.known_from]: known.by}
    if factor is not None:
        kept = group.knob / factor
        was = f"{number(group.knob)} is for lr {number(group.lr)}"
        text = f"weight_decay={number(kept)}  # at lr {number(2 * group.lr)}; {was}"
        values |= {"number": kept, "paste": Paste(text=text)}
    if case == "linear":
        values |= _rotation(facts, group)
    yield on_parameters(
        "DW016",
        found,
        [group],
        case=case,
        found=len(found),
        decaying=len(decaying),
        **values,
    )


def _kind(group: AuditedGroup) -> str:
    """Return the effect of decay on such weights: a case of DW016."""
    if not group.is_free or not group.lr:
        return ""
    if steps_by_size(group.optimizer, at=group.at):
        return "by-size"
    if group.is_sgd or group.probe.decouples:
        return "linear"
    # A coupled decay balances the updates where it goes through a running mean square.
    small = number_of(group.options.get("eps")) <= _SMALL_EPS
    balances = group.probe.walk in _COUPLED and small and _is_a(group, _BALANCED)
    return "quadratic" if balances else ""


def _rotation(facts: Facts, group: AuditedGroup) -> dict[str, Any]:
    """Return how far such a weight turns per step once decay and updates balance."""
    # The class shows how the size of an update compares with its gradient: only
    # Adam's own family divides by the gradient's root mean square. Where no formula
    # fits the optimizer there is no angle.
    name = None
    if group.is_sgd:
        name = "sgd"
    elif group.probe.decouples and "betas" in group.options and _is_a(group, _ADAM):
        name = "adamw"
    steps = group.half_life_steps
    if name is None or not group.lr or steps is None:
        return {}
    try:
        balance = EQUILIBRIA[name](group.knob, group.run(facts.run))
    except DwindleError:
        return {}  # so strong a decay has no equilibrium; another check reports it
    angle = balance.rotation_per_step
    return {"angle": angle, "degrees": math.degrees(angle), "half_life": steps}


def _is_a(group: AuditedGroup, classes: tuple[str, ...]) -> bool:
    """Return whether a class steps, or a variant such as Adam8bit or RMSpropTF."""
    found = [cls.__name__ for cls in type(group.optimizer).__mro__]
    others = ("Adamax", "Adadelta")
    named = [name for name in found if not name.startswith(others)]
    return any(plain in name for plain in classes for name in named)
