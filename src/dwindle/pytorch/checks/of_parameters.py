"""Checks of parameters: which groups have them, and whether they get gradients."""

import inspect
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS

from dwindle.audit.codes import short
from dwindle.audit.findings import Finding, Paste
from dwindle.pytorch.checks.facts import (
    Facts,
    decays_like_recipes,
    in_groups,
    on_parameters,
)
from dwindle.pytorch.checks.group import AuditedGroup
from dwindle.pytorch.checks.remedies import (
    FIRST_TIME,
    attribute,
    by_role,
    frozen,
    held_instead,
    keeping,
    sound_knob,
    with_decay,
    with_the_lost,
    without_decay,
)
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.parameters.slots import modules_of
from dwindle.pytorch.selection import choices_of

# Roles with random initial numbers.
_DRAWN = ("weight", "embedding")
# Roles that recipes of transformers do not decay, by the code of each.
_ROLES_THAT_STAY = {
    "DW001": ("bias", "vector"),
    "DW002": ("norm",),
    "DW003": ("embedding", "token"),
}


def decayed_vectors(facts: Facts) -> Iterator[Finding]:
    """DW001 to DW003: biases and vectors, gains, embeddings and tokens that decay."""
    for code, roles in _ROLES_THAT_STAY.items():
        held = facts.decaying(*roles)
        if not held:
            continue
        groups = facts.groups_with(held)
        yield on_parameters(
            code,
            held,
            groups,
            paste=without_decay(facts, held),
            is_slight=decays_like_recipes(groups, facts.network, facts.run),
            first=held[0].why,
        )


def in_no_group(facts: Facts) -> Iterator[Finding]:
    """DW004: trainable parameters that no optimizer has."""
    lost = [each for each in facts.held if each.trainable and not facts.groups_of(each)]
    if not lost:
        return
    strangers = sum(group.strangers for group in facts.groups)
    copies = _copies(facts, lost)
    yield on_parameters(
        "DW004",
        lost,
        case="copies" if copies else "replaced" if strangers else "",
        paste=frozen(copies) if copies else with_the_lost(facts, lost),
        is_slight=bool(copies),
        lost=len(lost),
        trainable=sum(each.trainable for each in facts.held),
        strangers=strangers or None,
        copies=tuple(copies) or None,
    )


def _copies(facts: Facts, lost: Sequence[ParameterRole]) -> list[str]:
    """Return the modules that lost parameters make up, if all are copies; else none."""
    # Weights are drawn at random: two that are equal are no coincidence.
    weights = [each for each in lost if each.role in _DRAWN]
    trained = [each for each in facts.held if facts.groups_of(each)]
    twins = (
        any(
            (other.shape, other.role) == (each.shape, each.role)
            and not each.parameter.is_meta
            and torch.equal(each.parameter, other.parameter)
            for other in trained
        )
        for each in weights
    )
    if not weights or not all(twins):
        return []
    missing = {name for each in lost for name in each.names}
    whole: list[str] = []
    for path, module in modules_of(facts.model):
        inside = {
            f"{path}.{name}" if path else name for name, _ in module.named_parameters()
        }
        above = any(path.startswith(f"{outer}.") for outer in whole)
        if inside and inside <= missing and not above:
            whole.append(path)
            missing -= inside
    return [] if missing else whole


def in_two_groups(facts: Facts) -> Iterator[Finding]:
    """DW005: parameters that a step updates more than once."""
    twice = [each for each in facts.held if len(facts.groups_of(each)) > 1]
    if twice:
        yield on_parameters(
            "DW005",
            twice,
            facts.groups_with(twice),
            paste=keeping(facts, FIRST_TIME, before="seen = set()\n"),
            first=twice[0].name,
            times=len(facts.groups_of(twice[0])),
        )


def tied_by_storage(facts: Facts) -> Iterator[Finding]:
    """DW006: two Parameters share memory, and a step updates and decays both."""
    # Tied by assignment they would be one Parameter: a view or .data ties the memory.
    seen: dict[int, list[ParameterRole]] = {}
    pairs: dict[str, list[_Pair]] = {"": [], "partly": []}
    for held in facts.held:
        local = _local(held.parameter)
        is_here = local.layout is torch.strided and not local.is_meta and local.numel()
        if not is_here or not facts.groups_of(held):
            continue
        beside = seen.setdefault(local.untyped_storage().data_ptr(), [])
        shares = ((each, _shared(each, held)) for each in beside)
        first, numbers = next((each for each in shares if each[1]), (held, 0))
        if numbers:
            sizes = {_local(each.parameter).numel() for each in (first, held)}
            case = "" if sizes == {numbers} else "partly"
            pairs[case].append((first, held, numbers))
        beside.append(held)
    for case, found in pairs.items():
        if found:
            yield _tied(facts, found, case)


# Two parameters, and how many numbers of memory they have in common.
_Pair = tuple[ParameterRole, ParameterRole, int]


def _tied(facts: Facts, pairs: Sequence[_Pair], case: str) -> Finding:
    one, other, numbers = pairs[0]
    twins = "{" + ", ".join(f"id({attribute(held.name)})" for _, held, _ in pairs) + "}"
    ties = [
        f"{attribute(second.name)} = {attribute(held.name)}"
        for held, second, _ in pairs
    ]
    before = "\n".join([f"twins = {twins}", *ties, ""])
    names = tuple(held.name for first, second, _ in pairs for held in (first, second))
    return Finding(
        code="DW006",
        case=case,
        where=short(names),
        values={
            "names": names,
            "one": one.name,
            "other": other.name,
            "numbers": numbers,
            "more": len(pairs) - 1 or None,
        },
        # What is shared in part has no one Parameter that could stand for both.
        paste=None if case else keeping(facts, "id(p) not in twins", before=before),
    )


def _shared(one: ParameterRole, other: ParameterRole) -> int:
    """Return how many numbers two parameters of one storage have in common."""
    views = [_local(each.parameter.detach()) for each in (one, other)]
    starts = [view.storage_offset() for view in views]
    ends = [
        start + 1 + sum((n - 1) * by for n, by in zip(v.shape, v.stride(), strict=True))
        for start, v in zip(starts, views, strict=True)
    ]
    low, high = min(starts), max(ends)
    if max(starts) >= min(ends) or views[0].dtype != views[1].dtype:
        return 0  # as parts of one flat buffer, the usual case
    masks = [torch.zeros(high - low, dtype=torch.bool) for _ in views]
    for mask, view, start in zip(masks, views, starts, strict=True):
        mask.as_strided(view.shape, view.stride(), start - low).fill_(True)  # noqa: FBT003  torch has no name for it
    return int((masks[0] & masks[1]).sum())


def frozen_that_decays(facts: Facts) -> Iterator[Finding]:
    """DW022: requires_grad is off, and still a step takes something off."""
    moved = [
        each
        for each in facts.held
        if not each.trainable
        and any(
            group.decays
            and (each.parameter.grad is not None or group.steps_without_gradient)
            for group in facts.groups_of(each)
        )
    ]
    left = [each for each in moved if each.parameter.grad is not None]
    filled = [each for each in moved if each.parameter.grad is None]
    for case, held, line in (
        ("left", left, Paste(text=_DROP)),
        ("", filled, keeping(facts, "p.requires_grad")),
    ):
        if held:
            groups = facts.groups_with(held)
            yield on_parameters("DW022", held, groups, case=case, paste=line)


# A gradient that is None stops a step; one of zeros does not stop a decay.
_DROP = """\
for p in model.parameters():
    if not p.requires_grad:
        p.grad = None"""


def nothing_decays(facts: Facts) -> Iterator[Finding]:
    """DW021: no group decays, and no penalty is known."""
    moving = [group for group in facts.groups if group.moving]
    if not moving or any(group.decays for group in facts.groups) or facts.penalties:
        return
    if any(group.knob for group in facts.groups):
        return  # a number without effect is DW027
    if facts.meant is not None and any(KNOB in group.options for group in moving):
        return  # what was meant, and is not there, is DW040
    # LBFGS takes one group alone: no line could spare its biases.
    alone = any(isinstance(group.optimizer, LBFGS) for group in moving)
    grouped, held = by_role(facts), held_instead(facts, moving)
    yield Finding(
        code="DW021",
        case="one-group" if alone else "",
        where=", ".join(dict.fromkeys(group.class_path for group in moving)),
        values={"groups": len(facts.groups)} | _typed_elsewhere(moving),
        paste=None if alone else held if grouped is None else grouped.then(held),
    )


def _typed_elsewhere(groups: Iterable[AuditedGroup]) -> dict[str, Any]:
    """Return which number the optimizer, or its class, has where no group has it."""
    for group in groups:
        built = group.optimizer.defaults.get(KNOB)
        signature = inspect.signature(type(group.optimizer).__init__).parameters
        own = signature[KNOB].default if KNOB in signature else None
        own = own if isinstance(own, int | float) else None
        if built and built != own:
            return {"optimizer": group.class_path, "built": built}
        if own:
            return {"optimizer": group.class_path, "default": own}
    return {}


def weights_out_of_reach(facts: Facts) -> Iterator[Finding]:
    """DW040: weights do not decay while others do, or not by the number meant."""
    weights = _weights(facts)
    if facts.meant is not None and any(KNOB in group.options for group in facts.groups):
        yield from _otherwise(facts, weights, facts.meant)
        return
    lost = [
        each
        for each in weights
        # Groups of decay_groups were chosen on purpose.
        if not any(
            MARKER in group.options or group.decays for group in facts.groups_of(each)
        )
    ]
    decaying = [group for group in facts.groups if group.decays]
    if not lost or not decaying:
        return
    some = bool(facts.decaying("weight") or facts.penalties)
    knob = sound_knob(decaying)
    theirs = in_groups(decaying)
    yield on_parameters(
        "DW040",
        lost,
        facts.groups_with(lost),
        case="" if some else "all",
        advice="faulty" if knob is None else "",
        paste=None if knob is None else with_decay(facts, lost, knob),
        is_slight=some,
        share=_share(lost, weights),
        decaying=theirs["groups"],
        their_settings=theirs["settings"],
    )


def _weights(facts: Facts) -> list[ParameterRole]:
    """Return the weights that decay_groups lets decay, where a step can move them."""
    # Those under a penalty, or a controller, decay by that.
    penalized = {id(p) for each in facts.penalties for p in each.parameters.values()}
    return [
        choice.held
        for choice in choices_of(facts.model)
        if choice.decays
        and id(choice.held.parameter) not in penalized
        and facts.groups_of(choice.held)
        and not any(
            group.rests or not group.is_free for group in facts.groups_of(choice.held)
        )
    ]


def _share(some: Iterable[ParameterRole], whole: Iterable[ParameterRole]) -> float:
    part, all_of_them = (sum(each.numbers for each in held) for held in (some, whole))
    return part / all_of_them


def _otherwise(
    facts: Facts, weights: Sequence[ParameterRole], meant: float
) -> Iterator[Finding]:
    """Yield a finding on weights whose groups have another number than was meant."""
    other = [
        each
        for each in weights
        if any(
            not math.isclose(group.knob, meant * group.options.get(MARKER, 1.0))
            for group in facts.groups_of(each)
        )
    ]
    if other:
        yield on_parameters(
            "DW040",
            other,
            facts.groups_with(other),
            case="meant",
            paste=with_decay(facts, other, meant),
            meant=meant,
            share=_share(other, weights),
        )


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
    # A padding row never gets a gradient; one of zeros has nothing to lose.
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
    """DW015: weights whose whole gradient is zero, beside others with a gradient."""
    decaying = [
        held for held in facts.decaying("weight") if held.parameter.grad is not None
    ]
    gradients = [(held, held.parameter.grad) for held in decaying]
    idle = [
        held
        for held, grad in gradients
        if not (grad is None or grad.is_meta or grad.is_sparse or _local(grad).any())
    ]
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
    """Return the part of a sharded tensor that lies here."""
    local: Tensor = getattr(tensor, "_local_tensor", tensor)
    return local
