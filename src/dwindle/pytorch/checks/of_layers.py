"""Checks of layers: rows that get no gradient, weights whose size is divided out."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dwindle.audit.findings import Finding
from dwindle.decay.equilibrium import EQUILIBRIA
from dwindle.errors import DwindleError
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.checks.words import (
    counted,
    listed,
    names,
    number,
    optimizer_line,
    settings,
)
from dwindle.pytorch.parameters.roles import Held
from dwindle.pytorch.parameters.slots import modules_of


@dataclass(frozen=True, kw_only=True)
class _Idle:
    """Rows of an embedding that get no gradient."""

    held: Held
    said: str


def idle_rows(facts: Facts) -> Iterator[Finding]:
    """DW015: rows without gradient, of an embedding that decays."""
    decaying = facts.decaying("embedding")
    paddings = _paddings(facts.model)
    idle = [
        *_without_gradient(decaying),
        *(
            each
            for held in decaying
            for each in _padding(held, paddings.get(id(held.parameter)))
        ),
    ]
    if not idle:
        return
    group = facts.groups_of(idle[0].held)[0]
    rate = f"{settings([group])}; {_rate(group)}"
    yield Finding(
        code="DW015",
        where=names([each.held for each in idle]),
        evidence=f"{listed([each.said for each in idle])}. They decay with the rest "
        f"({rate}).",
        remedy="Leave embeddings out of the decay:",
        line=optimizer_line(facts),
    )


def _rate(group: Group) -> str:
    steps = group.half_life_steps
    if steps is None:
        return "no half-life"
    return f"half of them is left after {steps:,.0f} steps"


def _without_gradient(decaying: tuple[Held, ...]) -> Iterator[_Idle]:
    for held in decaying:
        gradient = held.parameter.grad
        if gradient is None or gradient.is_sparse or gradient.ndim < 2:  # noqa: PLR2004 rows
            continue
        rows = _local(gradient).flatten(1)
        idle = int((~rows.any(dim=1)).sum())
        if 0 < idle < held.shape[0]:
            said = f"{idle:,} of {len(rows):,} rows of {held.name} have a gradient of "
            yield _Idle(held=held, said=f"{said}exactly zero now")


def _paddings(model: nn.Module) -> dict[int, int]:
    return {
        id(module.weight): module.padding_idx
        for _, module in modules_of(model)
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
        and module.padding_idx is not None
    }


def _padding(held: Held, row: int | None) -> Iterator[_Idle]:
    """A padding row never gets a gradient; one of zeros has nothing to lose."""
    values = _local(held.parameter.detach())
    if row is None or values.is_meta or values.shape != held.shape:
        return
    norm = float(torch.linalg.vector_norm(values[row].float()))
    if norm:
        said = f"row {row} of {held.name} is padding and has norm {number(norm)}"
        yield _Idle(held=held, said=said)


def _local(tensor: Tensor) -> Tensor:
    local: Tensor = getattr(tensor, "_local_tensor", tensor)
    return local


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
    yield Finding(
        code="DW016",
        where=names(found),
        evidence=f"The size of {share} is divided out again ({_how(known)}): it "
        f"changes nothing that the model computes. {_turning(facts, group)}",
        remedy=_REMEDY,
        line=_line(group) if group.is_free else "",
    )


_REMEDY = (
    "Nothing is wrong. Decay and lr are one knob for these weights: when the lr "
    "changes, keep their product to keep what the decay does, and tune both together."
)


def _line(group: Group) -> str:
    return f"weight_decay = {number(group.knob * group.lr)} / lr"


def _how(known: Normalized) -> str:
    ways = {
        "declaration": f"{known.by}, is declared right behind the first",
        "forward pass": f"the first flows into {known.by}, and nowhere else",
        "parametrization": f"the first is under {known.by}",
    }
    return ways[known.known_from]


def _turning(facts: Facts, group: Group) -> str:
    """Say how far such a weight turns per step once decay and updates balance."""
    decay_sets = "Decay sets their effective lr"
    angle = rotation_per_step(facts, group)
    steps = group.half_life_steps
    if angle is None or steps is None or not group.is_free:
        return f"{decay_sets}."
    degrees = torch.rad2deg(torch.tensor(angle)).item()
    return (
        f"{decay_sets}: with {settings([group])} they come to turn {angle:.3g} rad "
        f"({degrees:.2g}°) per step, within a few half-lives of {steps:,.0f} steps."
    )


def rotation_per_step(facts: Facts, group: Group) -> float | None:
    """Return the angle in radians; None where no formula fits the optimizer.

    How the size of an update compares with its gradient is told by the class: only
    Adam's own family divides by the gradient's root mean square.
    """
    name = None
    if group.is_sgd:
        name = "sgd"
    elif group.probe.decouples and _is_adam(group):
        name = "adamw"
    if name is None or not group.lr:
        return None
    try:
        balance = EQUILIBRIA[name](group.knob, group.run(facts.run))
    except DwindleError:
        return None  # so strong a decay has no equilibrium; another check says so
    return balance.rotation_per_step


def _is_adam(group: Group) -> bool:
    found = [cls.__name__ for cls in type(group.optimizer).__mro__]
    return "betas" in group.options and any("Adam" in name for name in found)
