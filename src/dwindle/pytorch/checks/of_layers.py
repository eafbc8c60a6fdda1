"""Checks of layers: rows and weights that get no gradient."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts, on_parameters
from dwindle.pytorch.checks.remedies import frozen, without_decay
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.parameters.slots import modules_of


def idle_rows(facts: Facts) -> Iterator[Finding]:
    """DW015: rows without gradient, of an embedding that decays."""
    decaying = facts.decaying("embedding")
    padded = {
        id(module.weight): module.padding_idx
        for _, module in modules_of(facts.model)
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
        and module.padding_idx is not None
    }
    without = {held: rows for held in decaying if (rows := _without_gradient(held))}
    paddings = {
        held: (row, norm)
        for held in decaying
        if (row := padded.get(id(held.parameter))) is not None
        and (norm := _norm_of_row(held, row))
    }
    idle = [*without, *(held for held in paddings if held not in without)]
    if idle:
        yield on_parameters(
            "DW015",
            idle,
            facts.groups_of(idle[0])[:1],
            paste=without_decay(facts, idle),
            half_life=facts.groups_of(idle[0])[0].half_life_steps,
            idle=tuple((held.name, *without[held]) for held in without) or None,
            padding=tuple((held.name, *paddings[held]) for held in paddings) or None,
        )


def idle_layers(facts: Facts) -> Iterator[Finding]:
    """DW015: weights of which no number has a gradient, beside others that have."""
    decaying = [
        held for held in facts.decaying("weight") if held.parameter.grad is not None
    ]
    idle = [held for held in decaying if not _has_gradient(held)]
    if idle and len(idle) < len(decaying):  # after zero_grad all are zero
        yield on_parameters(
            "DW015",
            idle,
            facts.groups_of(idle[0])[:1],
            case="layers",
            paste=frozen([held.name for held in idle], with_gradients=True),
            is_slight=True,
            half_life=facts.groups_of(idle[0])[0].half_life_steps,
        )


def _has_gradient(held: ParameterRole) -> bool:
    gradient = held.parameter.grad
    if gradient is None or gradient.is_meta or gradient.is_sparse:
        return True
    return bool(_local(gradient).any())


def _without_gradient(held: ParameterRole) -> tuple[int, int] | None:
    """Return how many rows of a matrix have no gradient, and how many there are."""
    gradient = held.parameter.grad
    if gradient is None or gradient.is_sparse or gradient.ndim < 2:  # noqa: PLR2004 rows
        return None
    rows = _local(gradient).flatten(1)
    idle = int((~rows.any(dim=1)).sum())
    return (idle, len(rows)) if 0 < idle < held.shape[0] else None


def _norm_of_row(held: ParameterRole, row: int) -> float:
    """Return the norm of a row that never gets a gradient; 0 where it is not here."""
    values = _local(held.parameter.detach())
    if values.is_meta or values.shape != held.shape:
        return 0.0
    return float(torch.linalg.vector_norm(values[row].float()))


def _local(tensor: Tensor) -> Tensor:
    local: Tensor = getattr(tensor, "_local_tensor", tensor)
    return local
