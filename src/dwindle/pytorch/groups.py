"""Param groups of which only weights decay, for any torch optimizer.

Nothing is changed: neither the model nor the groups that are given. Who decides, and in
which order, stands in :mod:`dwindle.pytorch.grouping.selection`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch.grouping.group_table import Row, table_of
from dwindle.pytorch.grouping.selection import (
    Choice,
    check_patterns,
    choices_of,
    coefficients_of,
    first_fit,
)
from dwindle.pytorch.options import KNOB, MARKER, check_not_negative, weight_decay_of
from dwindle.show import Sheet, as_text

_UNFREEZE = "Unfreeze what shall learn: parameter.requires_grad_(True)."
_GIVE_LR = (
    "Give lr=1e-3, for example: each group then has an lr, which the schedulers of "
    "torch keep in proportion (a bare lr_scale does nothing without timm's)."
)
_A_LIST = 'Write groups=[{"params": model.head.parameters(), "lr": 1e-3}].'
_WIDTH = 110  # of the table: names of parameters are long
_NOT_OPTIONS = frozenset({"params", "param_names", MARKER})


class DecayGroups(list[dict[str, Any]]):
    """Param groups, and for every parameter where it went and why (``rows``).

    A list of dicts as ``torch.optim`` takes it. As with any such list, the optimizer
    that is built from it fills its own defaults in: make new groups for another one.
    Each group has ``decay_scale``: 0 never decays, 1 decays, another number is the
    factor of the normalization. ``DecayController`` reads it.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, rows: tuple[Row, ...], model: str
    ) -> None:
        super().__init__(groups)
        self.rows = rows
        self.model = model

    def __rich__(self) -> Sheet:
        return table_of(self.model, self, self.rows)

    def __repr__(self) -> str:
        # That of a list would print every number of every tensor.
        return as_text(self.__rich__(), width=_WIDTH)

    def _repr_html_(self) -> str:
        return self.__rich__().html()


def decay_groups(  # noqa: PLR0913 - one argument for each decision
    model: nn.Module,
    *,
    weight_decay: float | None = None,
    normalization: str = "none",
    embeddings: bool = False,
    decay: str | Sequence[str] = (),
    no_decay: str | Sequence[str] = (),
    model_says: bool = True,
    groups: Sequence[Mapping[str, Any]] | None = None,
    lr: float | None = None,
    lr_scales: Mapping[str, float] | None = None,
    explain: bool = False,
) -> DecayGroups:
    """Return new param groups: weights decay; biases, gains and other vectors do not.

    A weight is known by the layer that owns it and by its original shape (matrices,
    convolutions), never by parts of its name, so the groups are the same before and
    after DDP, ``torch.compile`` and FSDP2's ``fully_shard`` (which puts other
    parameters into the model: like the optimizer, make the groups after it). Tied
    weights come once, frozen parameters not at all.

    Under ``weight_norm`` the direction of a weight decays, which sets its effective lr,
    and its length does not, as the gain of a normalization does not:
    ``decay="*.original0"`` lets that decay.

    Args:
        model: The model; it is not changed.
        weight_decay: Coefficient in the optimizer's own convention, 0 or more. None
            leaves that of the optimizer, or of the groups that are given, to the
            decaying groups. The others always get 0.
        normalization: ``none``, ``layer-mean`` (divides by layers and by the weight's
            size), ``global-mean`` or ``fan-in``, over the weights that decay. Its
            factor is in ``weight_decay`` and, for a controller, in ``decay_scale``.
        embeddings: Whether embeddings and tokens (position embeddings) decay.
        decay: Patterns of names that decay in any role, as a shell reads them:
            ``"*.gate.*"``.
        no_decay: Patterns of names that never decay; stronger than ``decay``.
        model_says: Whether ``no_weight_decay()`` of the model, or of a model inside of
            it, counts. Patterns are stronger.
        groups: Groups that exist: each is split where needed and keeps its options, so
            a learning rate per layer survives. Parameters in none stay in none.
        lr: Learning rate of every group that has none.
        lr_scales: Pattern → factor on the lr; the first that fits counts.
        explain: Whether to print the table of what went where and why.

    Returns:
        The groups; they print, and show in a notebook, as that table.

    Raises:
        PatternError: If a pattern fits no parameter.
        RangeError: If a number is out of range, nothing in the model is trainable, or
            ``groups`` are not groups of this model.
        RefusedError: If the roles cannot be inferred: FSDP1, lazy layers, no module.
        UnknownNameError: If the normalization is unknown.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
        >>> groups = decay_groups(net, weight_decay=0.1)
        >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
        [(2, 0.1), (4, 0.0)]
        >>> optimizer = torch.optim.AdamW(groups, lr=3e-4)

    """
    choices = choices_of(
        model,
        embeddings=embeddings,
        decay=decay,
        no_decay=no_decay,
        model_says=model_says,
    )
    _check(model, choices, weight_decay, lr)
    given = _given_groups(groups, choices)
    factors = _lr_factors(lr_scales or {}, choices)
    members = []
    for choice in choices:
        key = id(choice.held.parameter)
        if not choice.held.trainable or key not in given:
            continue
        # Their author decides, unless the caller gives another number.
        spared = choice.decays and given[key].spares and weight_decay is None
        why = "weight_decay=0 in the given group"
        decided = replace(choice, decays=False, why=why) if spared else choice
        member = _Member(choice=decided, given=given[key], lr_factor=factors[key])
        members.append(member)
    buckets = _buckets(_normalized(members, normalization))
    made = DecayGroups(
        (_group(bucket, weight_decay, lr) for bucket in buckets),
        rows=_rows(choices, buckets),
        model=type(model).__name__,
    )
    # Under torchrun only the first process prints.
    if explain and os.environ.get("RANK", "0") == "0":
        from rich.console import Console

        Console().print(made)
    return made


@dataclass(frozen=True, kw_only=True, eq=False)
class _Given:
    """The group that a parameter was in: its position, and its options.

    ``options`` has all of the group besides its parameters: lr, lr_scale, betas,
    weight_decay. ``spares`` is true where other groups decay and this one does not.
    """

    index: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    spares: bool = False
    name: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Member:
    """A parameter on its way into a group: all that decides which one."""

    choice: Choice
    given: _Given
    coefficient: float = 0.0
    lr_factor: float | None = None


def _check(
    model: nn.Module, choices: Sequence[Choice], weight_decay: float | None, lr: object
) -> None:
    for name, value in {"weight_decay": weight_decay, "lr": lr}.items():
        if value is not None:
            check_not_negative(name, value)
    if not any(choice.held.trainable for choice in choices):
        frozen = f"{len(choices)} of them, all frozen" if choices else "none at all"
        must = "parameters that can be trained"
        name = f"The parameters of {type(model).__name__}"
        raise RangeError(name, frozen, must, _UNFREEZE)


def _given_groups(
    groups: Sequence[Mapping[str, Any]] | None, choices: Sequence[Choice]
) -> dict[int, _Given]:
    """Return the given group of each parameter, by ``id``; without groups, one for all.

    Raises:
        RangeError: If a group is no mapping with ``params``, if a parameter is in two
            groups, or not in the model.

    """
    known = {id(choice.held.parameter): choice.held.name for choice in choices}
    if groups is None:
        return dict.fromkeys(known, _Given())
    _check_mappings(groups)
    found: dict[int, _Given] = {}
    # 0 in every group is Adam's default, and no decision against decay.
    some_decay = any(weight_decay_of(group) > 0 for group in groups)
    for index, group in enumerate(groups):
        options = {k: v for k, v in group.items() if k not in _NOT_OPTIONS}
        spares = some_decay and KNOB in group and weight_decay_of(group) == 0
        for name, parameter in _members(group):
            where, must, key = f"groups[{index}]", "made of parameters", id(parameter)
            if key not in known:
                shape = tuple(getattr(parameter, "shape", ()))
                got = (
                    f"a {type(parameter).__name__} {shape} that the model does not have"
                )
                remedy = "Give the groups of this model, or the model that has it."
                raise RangeError(where, got, f"{must} of the model", remedy)
            if key in found:
                got = f"{known[key]} again, which is in groups[{found[key].index}]"
                remedy = "Keep it in one group only."
                raise RangeError(where, got, f"{must} of no other group", remedy)
            found[key] = _Given(index=index, options=options, spares=spares, name=name)
    return found


def _check_mappings(groups: Iterable[object]) -> None:
    if isinstance(groups, Mapping):
        raise RangeError("groups", "one mapping", "a list of mappings", _A_LIST)
    for index, group in enumerate(groups):
        if not isinstance(group, Mapping) or "params" not in group:
            got = sorted(group) if isinstance(group, Mapping) else type(group).__name__
            must = "a mapping with params, as an optimizer takes it"
            raise RangeError(f"groups[{index}]", got, must, _A_LIST)


def _members(group: Mapping[str, Any]) -> Iterator[tuple[str | None, object]]:
    """Yield (name or None, parameter) of a group, as torch reads ``params``."""
    members = group["params"]
    members = [members] if hasattr(members, "requires_grad") else list(members)
    names = group.get("param_names") or [None] * len(members)
    # named_parameters() in a group brings pairs.
    for name, each in zip(names, members, strict=True):
        yield each if isinstance(each, tuple) else (name, each)


def _lr_factors(
    lr_scales: Mapping[str, float], choices: Sequence[Choice]
) -> dict[int, float | None]:
    """Return the factor on the lr of each parameter, None where no pattern fits."""
    names = [name for choice in choices for name in choice.held.names]
    check_patterns("lr_scales", lr_scales, names)
    # 0 freezes, which is a choice; a negative factor climbs.
    for pattern, factor in lr_scales.items():
        check_not_negative(f"lr_scales[{pattern!r}]", factor)
    fits = {id(c.held.parameter): first_fit(lr_scales, c.held.names) for c in choices}
    return {key: None if fit is None else lr_scales[fit] for key, fit in fits.items()}


def _normalized(members: Sequence[_Member], normalization: str) -> list[_Member]:
    weights = [member.choice.held for member in members if member.choice.decays]
    factors = iter(coefficients_of(normalization, weights))
    return [
        replace(member, coefficient=next(factors)) if member.choice.decays else member
        for member in members
    ]


def _buckets(members: Iterable[_Member]) -> list[list[_Member]]:
    """Return the members of each new group: in the order given, decaying ones first."""
    buckets: dict[tuple[object, ...], list[_Member]] = {}
    for member in members:
        decays = member.choice.decays
        key = (member.given.index, not decays, member.coefficient, member.lr_factor)
        buckets.setdefault(key, []).append(member)
    # The sort is stable: within a given group the order is that of the model.
    return [buckets[key] for key in sorted(buckets, key=lambda key: key[:2])]


def _group(
    bucket: Sequence[_Member], weight_decay: float | None, lr: float | None
) -> dict[str, Any]:
    first = bucket[0]
    group: dict[str, Any] = {"params": [each.choice.held.parameter for each in bucket]}
    if first.given.name is not None:
        group["param_names"] = [each.given.name for each in bucket]
    # All members of a bucket came from one given group.
    group |= first.given.options
    group |= _lr_of(first, lr)
    if not first.choice.decays:
        group["weight_decay"] = 0.0
    else:
        number = group.get("weight_decay") if weight_decay is None else weight_decay
        # None leaves the number to the optimizer, and the factor to a controller.
        if number is not None:
            group["weight_decay"] = number * first.coefficient
    group[MARKER] = first.coefficient
    return group


def _lr_of(member: _Member, lr: float | None) -> dict[str, Any]:
    own = member.given.options.get("lr", lr)
    if member.lr_factor is None:
        return {} if own is None else {"lr": own}
    if own is None:
        raise RangeError("lr", "None", "given beside lr_scales", _GIVE_LR)
    return {"lr": own * member.lr_factor}


def _rows(
    choices: Sequence[Choice], buckets: Sequence[Sequence[_Member]]
) -> tuple[Row, ...]:
    placed = {
        id(member.choice.held.parameter): (position, member)
        for position, bucket in enumerate(buckets)
        for member in bucket
    }
    rows = []
    for choice in choices:
        held = choice.held
        group, member = placed.get(id(held.parameter), (None, None))
        why = choice.why if member is None else member.choice.why
        if member is None and held.trainable:
            why = "in none of the given groups"
        row = Row(
            name=held.name,
            names=held.names,
            role=held.role,
            owner=held.owner,
            shape=held.shape,
            decays=member is not None and member.choice.decays,
            coefficient=0.0 if member is None else member.coefficient,
            why=why,
            group=group,
        )
        rows.append(row)
    return tuple(rows)
