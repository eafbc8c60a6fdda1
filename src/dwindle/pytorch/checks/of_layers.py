"""Checks of layers: rows that get no gradient."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.remedies import without_decay
from dwindle.pytorch.checks.words import (
    attribute,
    listed,
    names,
    number,
    settings,
    tensors,
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
        line=without_decay(facts, [each.held for each in idle]),
    )


def idle_layers(facts: Facts) -> Iterator[Finding]:
    """DW015: weights of which no number has a gradient, beside others that have."""
    decaying = [
        held for held in facts.decaying("weight") if held.parameter.grad is not None
    ]
    idle = [held for held in decaying if not _has_gradient(held)]
    if not idle or len(idle) == len(decaying):
        return  # after zero_grad all are zero
    group = facts.groups_of(idle[0])[0]
    yield Finding(
        code="DW015",
        where=names(idle),
        evidence=f"The whole gradient of {tensors(idle)} is exactly zero now, and they "
        f"decay all the same ({settings([group])}; {_rate(group)}). It passes where it "
        "comes from a start at zero (LoRA's B, a last gain), and stays where a hook "
        "or a mask makes it.",
        remedy="If they shall stay as they are, freeze them:",
        line="\n".join(map(_frozen, idle)),
        is_slight=True,
    )


def _has_gradient(held: Held) -> bool:
    gradient = held.parameter.grad
    if gradient is None or gradient.is_meta or gradient.is_sparse:
        return True
    return bool(_local(gradient).any())


def _frozen(held: Held) -> str:
    written = attribute(held.name)
    return f"{written}.requires_grad_(requires_grad=False)\n{written}.grad = None"


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
