"""DW016: weights whose size a normalization divides out, and what decay is to them."""

import math
from collections.abc import Iterator

from dwindle.audit.findings import Finding
from dwindle.decay.equilibrium import EQUILIBRIA
from dwindle.errors import DwindleError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group, number_of
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.checks.words import counted, names, number, settings
from dwindle.pytorch.probing.measuring import steps_by_size

# Adaptive classes whose gradient's mean square is a running one: once updates and a
# coupled decay balance, such weights turn by (lr²·weight_decay) ** (1/3) per step and
# a factor of the rest. Stepped on white noise: of Adagrad, Adadelta, Adamax this was
# not seen.
_BALANCED = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop")
_ADAM = ("Adam",)
# What a coupled adaptive step looks like without a gradient, with and without momentum.
_COUPLED = ("linear", "other")
# EfficientNet's eps of 1e-3 outweighs the gradients: its steps are nearly those of SGD.
_SMALL_EPS = 1e-6


def size_divided_out(facts: Facts) -> Iterator[Finding]:
    """DW016: decayed weights whose size a normalization takes out again."""
    by = {id(each.parameter): each for each in facts.normalized}
    decaying = facts.decaying("weight")
    found = [held for held in decaying if id(held.parameter) in by]
    if not found:
        return
    known = by[id(found[0].parameter)]
    group = facts.groups_of(found[0])[0]
    share = f"{len(found)} of {counted(len(decaying), 'decayed weight')}"
    told, remedy, line = _turning(facts, group)
    yield Finding(
        code="DW016",
        where=names(found),
        evidence=f"The size of {share} is divided out again ({_how(known)}): it "
        f"changes nothing that the model computes. {told}".strip(),
        remedy=f"Nothing is wrong. {remedy}".strip(),
        line=line,
    )


def _how(known: Normalized) -> str:
    ways = {
        "declaration": f"{known.by}, is declared right behind the first",
        "forward pass": f"the first flows into {known.by}, and nowhere else",
        "parametrization": f"the first is under {known.by}",
    }
    return ways[known.known_from]


def _turning(facts: Facts, group: Group) -> tuple[str, str, str]:
    """Return what decay is to such weights, what to keep under another lr, a line.

    The line has the number for twice the lr. Where no rule is known all are empty.
    """
    if not group.is_free or not group.lr:
        return "", "", ""
    if steps_by_size(group.optimizer, at=_place(group)):
        return _BY_SIZE, "", ""
    if group.is_sgd or group.probe.decouples:
        told = f"Decay sets their effective lr{_by_how_much(facts, group)}."
        kept, value = "lr·weight_decay", group.knob / 2
    elif _balances(group):
        told = "Decay sets their effective lr, with the square of the lr."
        kept, value = "lr²·weight_decay", group.knob / 4
    else:
        return "", "", ""
    remedy = f"Under another lr keep {kept}; at twice the lr:"
    was = f"{number(group.knob)} is for lr {number(group.lr)}"
    line = f"weight_decay={number(value)}  # at lr {number(2 * group.lr)}; {was}"
    return told, remedy, line


def _balances(group: Group) -> bool:
    """Whether a coupled decay goes through a running mean square, and little else."""
    eps = group.options.get("eps")
    small = eps is None or number_of(eps) <= _SMALL_EPS
    return group.probe.family in _COUPLED and small and _is_a(group, _BALANCED)


_BY_SIZE = (
    "This optimizer's steps grow with the weights: they turn by the lr, whatever the "
    "decay is."
)


def _place(group: Group) -> int:
    """Return the place of a group in its own optimizer."""
    params = [{id(each) for each in g["params"]} for g in group.optimizer.param_groups]
    mine = {id(held.parameter) for held in group.held}
    return next(at for at, ids in enumerate(params) if mine <= ids)


def _by_how_much(facts: Facts, group: Group) -> str:
    """Say how far such a weight turns per step once decay and updates balance."""
    angle, steps = rotation_per_step(facts, group), group.half_life_steps
    if angle is None or steps is None:
        return ""
    return (
        f": with {settings([group])} they come to turn {angle:.3g} rad "
        f"({math.degrees(angle):.2g}°) per step, within a few half-lives of "
        f"{steps:,.0f} steps"
    )


def rotation_per_step(facts: Facts, group: Group) -> float | None:
    """Return the angle in radians; None where no formula fits the optimizer.

    How the size of an update compares with its gradient is told by the class: only
    Adam's own family divides by the gradient's root mean square.
    """
    name = None
    if group.is_sgd:
        name = "sgd"
    elif group.probe.decouples and "betas" in group.options and _is_a(group, _ADAM):
        name = "adamw"
    if name is None or not group.lr:
        return None
    try:
        balance = EQUILIBRIA[name](group.knob, group.run(facts.run))
    except DwindleError:
        return None  # so strong a decay has no equilibrium; another check says so
    return balance.rotation_per_step


def _is_a(group: Group, words: tuple[str, ...]) -> bool:
    """Whether a class is called so, or a variant: Adam8bit, RMSpropTF, FusedAdam."""
    found = [cls.__name__ for cls in type(group.optimizer).__mro__]
    others = ("Adamax", "Adadelta")
    return any(
        word in name for word in words for name in found if not name.startswith(others)
    )
