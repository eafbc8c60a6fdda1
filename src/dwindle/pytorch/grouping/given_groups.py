"""Param groups that somebody already made: their options, parameter by parameter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dwindle.errors import RangeError
from dwindle.pytorch.grouping.selection import Choice
from dwindle.pytorch.options import MARKER

_ONE_EACH = "Keep it in one group only."
_A_LIST = 'Write groups=[{"params": model.head.parameters(), "lr": 1e-3}], say.'
_OF_THE_MODEL = "Give the groups of this model, or the model that has it."


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """The group that a parameter is in: its position, and its options.

    ``options`` has all that the group says besides its parameters: lr, lr_scale, betas,
    weight_decay. ``says_no`` is true where other groups decay and this one does not.
    """

    index: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    says_no: bool = False
    name: str | None = None


def given_groups(
    groups: Sequence[Mapping[str, Any]] | None, choices: Sequence[Choice]
) -> dict[int, Given]:
    """Return the group of each parameter, by ``id``; without groups all share one.

    Args:
        groups: Param groups as an optimizer takes them, or ``optimizer.param_groups``.
        choices: The parameters of the model.

    Raises:
        RangeError: If a group is no mapping with ``params``, if a parameter is in two
            groups, or in no model.

    """
    if groups is None:
        alone = Given()
        return {id(choice.held.parameter): alone for choice in choices}
    found: dict[int, Given] = {}
    known = {id(choice.held.parameter): choice.held.name for choice in choices}
    _check_mappings(groups)
    some_decay = any(_number(group) > 0 for group in groups)
    for index, group in enumerate(groups):
        options = {k: v for k, v in group.items() if k not in _NOT_OPTIONS}
        says_no = some_decay and "weight_decay" in group and _number(group) == 0
        for name, parameter in _members(group):
            _check_member(parameter, index, known, found)
            found[id(parameter)] = Given(
                index=index, options=options, says_no=says_no, name=name
            )
    return found


_NOT_OPTIONS = frozenset({"params", "param_names", MARKER})


def _number(group: Mapping[str, Any]) -> float:
    return float(group.get("weight_decay") or 0.0)


def _check_mappings(groups: Iterable[object]) -> None:
    if isinstance(groups, Mapping):
        raise RangeError("groups", "one mapping", "a list of mappings", _A_LIST)
    for index, group in enumerate(groups):
        if not isinstance(group, Mapping) or "params" not in group:
            got = sorted(group) if isinstance(group, Mapping) else type(group).__name__
            must = "a mapping with params, as an optimizer takes it"
            raise RangeError(f"groups[{index}]", got, must, _A_LIST)


def _members(group: Mapping[str, Any]) -> Iterable[tuple[str | None, object]]:
    """Return (name or None, parameter) of a group, as torch reads ``params``."""
    members = group["params"]
    members = [members] if hasattr(members, "requires_grad") else list(members)
    names = group.get("param_names") or [None] * len(members)
    pairs = zip(names, members, strict=True)
    return [each if isinstance(each, tuple) else (name, each) for name, each in pairs]


def _check_member(
    parameter: object, index: int, known: Mapping[int, str], found: Mapping[int, Given]
) -> None:
    key = id(parameter)
    if key not in known:
        shape = tuple(getattr(parameter, "shape", ()))
        value = f"a {type(parameter).__name__} {shape} that the model does not have"
        must = "made of parameters of the model"
        raise RangeError(f"groups[{index}]", value, must, _OF_THE_MODEL)
    if key in found:
        value = f"{known[key]} again, which is in groups[{found[key].index}]"
        must = "made of parameters of its own"
        raise RangeError(f"groups[{index}]", value, must, _ONE_EACH)
