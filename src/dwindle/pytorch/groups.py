"""Param groups of which only weights decay, for any torch optimizer.

Nothing is changed: neither the model nor the groups that are given. Who decides, and in
which order, stands in :mod:`dwindle.pytorch.selection`.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch.options import KNOB, MARKER, check_not_negative, weight_decay_of
from dwindle.pytorch.selection import (
    Choice,
    check_patterns,
    choices_of,
    coefficients_of,
    first_fit,
)
from dwindle.show import Column, Line, Sheet, Table, as_text
from dwindle.wording import counted

_UNFREEZE = "Unfreeze what shall learn: parameter.requires_grad_(True)."
_GIVE_LR = (
    "Give lr=1e-3, for example: each group then has an lr, which the schedulers of "
    "torch keep in proportion (a bare lr_scale does nothing without timm's)."
)
_A_LIST = 'Write groups=[{"params": model.head.parameters(), "lr": 1e-3}].'
_WIDTH = 110  # of the table: names of parameters are long
# They are made anew: members are divided, and a scale belongs to its members.
_NOT_OPTIONS = frozenset({"params", "param_names", MARKER})


class DecayGroups(list[dict[str, Any]]):
    """Param groups, and for every parameter where it went and why (``rows``).

    A list of dicts as ``torch.optim`` takes it. As with any such list, the optimizer
    that is built from it fills in its defaults: make new groups for another one.
    Each group has ``decay_scale``: 0 never decays, 1 decays, another number is the
    factor of the normalization. ``DecayController`` reads it.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, rows: tuple[Choice, ...], model: str
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
        return table_of(self.model, self, self.rows, heads=True).html()


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
        weight_decay: Coefficient in the optimizer's convention, 0 or more. None
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
    choices: Sequence[Choice] = choices_of(
        model,
        embeddings=embeddings,
        decay=decay,
        no_decay=no_decay,
        model_says=model_says,
    )
    _check(model, choices, weight_decay, lr)
    given: Sequence[Mapping[str, Any]] = [{}] if groups is None else groups
    # Their author decides, unless the caller gives another number.
    choices = _in_given_groups(groups, choices, may_spare=weight_decay is None)
    choices = _scaled(choices, normalization, lr_scales or {})
    buckets: dict[tuple[Any, ...], list[Choice]] = {}
    for each in choices:
        if each.given is not None:
            key = (each.given, not each.decays, each.coefficient, each.lr_factor)
            buckets.setdefault(key, []).append(each)
    # Decaying ones first. The sort is stable: else the order is that of the model.
    ordered = [buckets[key] for key in sorted(buckets, key=lambda key: key[:2])]
    places = {id(each): at for at, bucket in enumerate(ordered) for each in bucket}
    made = DecayGroups(
        (_group(each, given[each[0].given or 0], weight_decay, lr) for each in ordered),
        rows=tuple(replace(each, group=places.get(id(each))) for each in choices),
        model=type(model).__name__,
    )
    # Under torchrun only the first process prints.
    if explain and os.environ.get("RANK", "0") == "0":
        from rich.console import Console

        Console().print(made)
    return made


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


def _in_given_groups(
    groups: Sequence[Mapping[str, Any]] | None,
    choices: Sequence[Choice],
    *,
    may_spare: bool,
) -> list[Choice]:
    """Return the choices with the given group of each; without groups, one for all."""
    names = {id(choice.held.parameter): choice.name for choice in choices}
    found: dict[int, tuple[int, str | None]] = {}
    if groups is None:
        found, groups = dict.fromkeys(names, (0, None)), ()
    for index, group in enumerate(_checked(groups)):
        for name, each in _members(group):
            where, must, key = f"groups[{index}]", "made of parameters", id(each)
            if key not in names:
                kind, shape = type(each).__name__, tuple(getattr(each, "shape", ()))
                got = f"a {kind} {shape} that the model does not have"
                remedy = "Give the groups of this model, or the model that has it."
                raise RangeError(where, got, f"{must} of the model", remedy)
            if key in found:
                got = f"{names[key]} again, which is in groups[{found[key][0]}]"
                remedy = "Keep it in one group only."
                raise RangeError(where, got, f"{must} of no other group", remedy)
            found[key] = index, name
    # 0 in every group is Adam's default, and no decision against decay.
    some_decay = any(weight_decay_of(group) > 0 for group in groups)
    spared = {
        index
        for index, group in enumerate(groups if may_spare and some_decay else ())
        if KNOB in group and weight_decay_of(group) == 0
    }
    return [_placed(each, found, spared) for each in choices]


def _placed(
    choice: Choice, found: Mapping[int, tuple[int, str | None]], spared: Collection[int]
) -> Choice:
    index, name = found.get(id(choice.held.parameter), (None, None))
    if not choice.held.trainable:
        return choice
    if index is None:
        return replace(choice, decays=False, why="in none of the given groups")
    placed = replace(choice, given=index, listed_as=name)
    if not choice.decays or index not in spared:
        return placed
    return replace(placed, decays=False, why="weight_decay=0 in the given group")


def _checked(groups: Any) -> Iterable[Mapping[str, Any]]:  # of any type, so far
    if isinstance(groups, Mapping):
        raise RangeError("groups", "one mapping", "a list of mappings", _A_LIST)
    for index, group in enumerate(groups):
        if not isinstance(group, Mapping) or "params" not in group:
            got = sorted(group) if isinstance(group, Mapping) else type(group).__name__
            must = "a mapping with params, as an optimizer takes it"
            raise RangeError(f"groups[{index}]", got, must, _A_LIST)
    return groups  # type: ignore[no-any-return]  # checked just now


def _members(group: Mapping[str, Any]) -> Iterator[tuple[str | None, object]]:
    """Yield (name or None, parameter) of a group, as torch reads ``params``."""
    members = group["params"]
    members = [members] if hasattr(members, "requires_grad") else list(members)
    names = group.get("param_names") or [None] * len(members)
    # named_parameters() in a group brings pairs.
    for name, each in zip(names, members, strict=True):
        yield each if isinstance(each, tuple) else (name, each)


def _scaled(
    choices: Sequence[Choice], normalization: str, lr_scales: Mapping[str, float]
) -> list[Choice]:
    """Return the choices with the factor on their decay, and that on their lr."""
    check_patterns("lr_scales", lr_scales, [n for c in choices for n in c.names])
    # 0 freezes, which is a choice; a negative factor climbs.
    for pattern, factor in lr_scales.items():
        check_not_negative(f"lr_scales[{pattern!r}]", factor)
    weights = [choice.held for choice in choices if choice.decays]
    factors = iter(coefficients_of(normalization, weights))
    return [
        replace(
            choice,
            coefficient=next(factors) if choice.decays else 0.0,
            lr_factor=lr_scales.get(first_fit(lr_scales, choice.names) or ""),
        )
        for choice in choices
    ]


def _group(
    bucket: Sequence[Choice],
    given: Mapping[str, Any],
    weight_decay: float | None,
    lr: float | None,
) -> dict[str, Any]:
    """Return the group of choices that are alike and come from one given group."""
    first = bucket[0]
    group: dict[str, Any] = {"params": [each.held.parameter for each in bucket]}
    if first.listed_as is not None:
        group["param_names"] = [each.listed_as for each in bucket]
    group |= {name: given[name] for name in given if name not in _NOT_OPTIONS}
    own = given.get("lr", lr)
    if own is None and first.lr_factor is not None:
        raise RangeError("lr", "None", "given beside lr_scales", _GIVE_LR)
    if own is not None:
        group["lr"] = own if first.lr_factor is None else own * first.lr_factor
    number = group.get(KNOB) if weight_decay is None else weight_decay
    if not first.decays:
        group[KNOB] = 0.0
    # None leaves the number to the optimizer, and the factor to a controller.
    elif number is not None:
        group[KNOB] = number * first.coefficient
    group[MARKER] = first.coefficient
    return group


# Not one within a name: conv1 and conv2 are layers of different sizes.
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


def table_of(
    model: str,
    groups: Sequence[Mapping[str, Any]],
    rows: Sequence[Choice],
    *,
    heads: bool = False,
) -> Sheet:
    """Return the table, group by group; what is in none comes at the end."""
    parts: list[Line | Table | str] = [Line(text=_heading(model, rows), style="bold")]
    members: dict[int | None, list[Choice]] = {}
    for row in rows:
        members.setdefault(row.group, []).append(row)
    for position, group in enumerate(groups):
        here = members[position]
        color = "green" if here[0].decays else "yellow"
        title = Line(text=_title(position, group, here), style=f"bold {color}")
        parts += ["", title, _lines(here, color, heads=heads)]
    if None in members:
        title = Line(text=f"in no group: {_counted(members[None])}", style="bold dim")
        parts += ["", title, _lines(members[None], "dim", heads=heads)]
    return Sheet(parts=parts)


def _heading(model: str, rows: Sequence[Choice]) -> str:
    decaying = [row for row in rows if row.decays]
    if not decaying:
        return f"{model}: nothing decays, of {_counted(rows)}"
    some, whole = (sum(row.held.numbers for row in each) for each in (decaying, rows))
    return (
        f"{model}: {len(decaying)} of {len(rows)} tensors decay, "
        f"{some:,} of {whole:,} numbers ({100 * some / whole:.3g} %)"
    )


def _title(position: int, group: Mapping[str, Any], rows: Sequence[Choice]) -> str:
    decays, coefficient = rows[0].decays, rows[0].coefficient
    verb = "decays" if decays else "does not decay"
    options = {name: group[name] for name in ("lr", "lr_scale") if name in group}
    if decays and "weight_decay" in group:
        options = {"weight_decay": group["weight_decay"], **options}
    if coefficient not in (0, 1):
        options["decay_scale"] = coefficient
    # An lr may be a tensor that holds one number.
    shown = (f"{name} {float(number):.4g}" for name, number in options.items())
    return " · ".join((f"group {position} {verb}", _counted(rows), *shown))


def _counted(rows: Sequence[Choice]) -> str:
    numbers = sum(row.held.numbers for row in rows)
    return f"{counted(len(rows), 'tensor')} ({numbers:,} numbers)"


def _lines(rows: Sequence[Choice], color: str, *, heads: bool) -> Table:
    # Only what is there for one and the same reason is one line.
    alike: dict[tuple[str, str], list[Choice]] = {}
    for row in rows:
        key = (_NUMBER.sub("#", " = ".join(row.names)), row.why)
        alike.setdefault(key, []).append(row)
    columns = (
        Column("parameter", "name", style=color),  # a name is for copying
        Column("tensors", style="dim"),
        Column("shape"),
        Column("why", style="dim"),
    )
    lines = [
        (_names(each), f"×{len(each)}" if each[1:] else "", _shapes(each), each[0].why)
        for each in alike.values()
    ]
    return Table(columns=columns, rows=lines, heads=heads, indent=2)


def _names(rows: Sequence[Choice]) -> str:
    """Return the one name, or one for all with the range of each number in it."""
    texts = [" = ".join(row.names) for row in rows]
    columns = zip(*(map(int, _NUMBER.findall(text)) for text in texts), strict=True)
    ranges = iter([(min(column), max(column)) for column in columns])

    def one_or_all(_: re.Match[str]) -> str:
        low, high = next(ranges)
        return str(low) if low == high else f"{low}–{high}"

    return _NUMBER.sub(one_or_all, texts[0])


def _shapes(rows: Sequence[Choice]) -> str:
    shapes = {row.held.shape for row in rows}
    if len(shapes) == 1:
        return "×".join(map(str, rows[0].held.shape)) or "one number"
    return f"{len(shapes)} shapes"
