"""Copies of an optimizer that work on other parameters and share nothing with it.

The user's optimizer is only read. Its state stays behind: a copy starts afresh.
"""

import inspect
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from types import ModuleType
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

# A parameter's id and the tensor that stands for it in the copy.
Twins = Mapping[int, Tensor]
# What copy.deepcopy keeps: the id of an object and what it becomes.
_Memo = dict[int, Any]  # Any: objects of all kinds

_NOT_OPTIONS = ("params", "param_names")


def copied(optimizer: Optimizer, twins: Twins) -> Optimizer:
    """Copy the optimizer as it is configured, without running its constructor.

    Optimizers inside of it (a Lookahead has one) are copied too; whatever two of them
    share, their copies share.

    Args:
        optimizer: Stays untouched.
        twins: For each parameter's id the tensor to work on instead.

    Raises:
        Exception: Whatever an attribute raises that cannot be copied.

    """
    memo: _Memo = dict(twins)
    found = list(_all_inside(optimizer, set()))
    for each in found:
        memo[id(each)] = object.__new__(type(each))
        memo |= _left_behind(each)
    for each in found:
        memo[id(each)].__dict__.update(_attributes(each, memo))
    copy: Optimizer = memo[id(optimizer)]
    for each in found:
        for group in vars(memo[id(each)]).get("param_groups", ()):
            _once_each(group)
    return copy


def rebuilt(optimizer: Optimizer, twins: Twins) -> Optimizer:
    """Call the constructor again with the options that the optimizer shows.

    For classes that fill their state when they are built, or hold what cannot be
    copied. Each argument is looked for in the defaults and the attributes.

    Raises:
        Exception: Whatever the constructor raises, also for an argument not found.

    """
    arguments = list(inspect.signature(type(optimizer)).parameters.values())
    known = {**vars(optimizer), **getattr(optimizer, "defaults", {})}
    given = {a.name: _own(known[a.name], twins) for a in arguments if a.name in known}
    first = arguments[0].name
    if not isinstance(given.get(first), Optimizer):
        given[first] = [_group_of(group, twins) for group in optimizer.param_groups]
    build: Any = type(optimizer)  # Any: constructors differ in what they take
    copy: Optimizer = build(**given)
    # A rate that the constructor remembered: the one of then, not that of now.
    for name, value in vars(optimizer).items():
        if isinstance(value, float) and name in vars(copy):
            setattr(copy, name, value)
    return copy


def _own(value: object, twins: Twins) -> object:
    if isinstance(value, Optimizer):
        return copied(value, twins)
    return deepcopy(value, dict(twins))


def _all_inside(thing: object, seen: set[int]) -> Iterator[Optimizer]:
    """The optimizer and those that it holds, also in lists and dicts."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Optimizer):
        yield thing
        inner = [value for name, value in vars(thing).items() if name != "state"]
    elif isinstance(thing, dict):
        inner = list(thing.values())
    elif isinstance(thing, list | tuple):
        inner = list(thing)
    else:
        return
    for value in inner:
        yield from _all_inside(value, seen)


def _left_behind(optimizer: Optimizer) -> _Memo:
    """What becomes empty or is shared: state, hooks, and modules of Python."""
    memo: _Memo = {}
    for name, value in vars(optimizer).items():
        if name == "state":
            memo[id(value)] = defaultdict(dict)
        elif name.startswith("_optimizer_") and name.endswith("_hooks"):
            memo[id(value)] = OrderedDict()
        elif isinstance(value, ModuleType):
            memo[id(value)] = value
    return memo


def _attributes(optimizer: Optimizer, memo: _Memo) -> dict[str, Any]:
    """The attributes of a copy; patched methods stay away.

    A learning-rate scheduler replaces ``step`` by a closure over the original.
    """
    return {
        name: deepcopy(value, memo)
        for name, value in vars(optimizer).items()
        if not (callable(value) and callable(getattr(type(optimizer), name, None)))
    }


def _once_each(group: dict[str, Any]) -> None:
    """Several parameters have one twin: it is listed once."""
    params, names = group["params"], group.get("param_names")
    first = {id(param): at for at, param in reversed(list(enumerate(params)))}
    kept = sorted(first.values())
    if isinstance(names, list) and len(names) == len(params):
        names[:] = [names[at] for at in kept]
    params[:] = [params[at] for at in kept]


def _group_of(group: Mapping[str, Any], twins: Twins) -> dict[str, Any]:
    options = {key: value for key, value in group.items() if key not in _NOT_OPTIONS}
    mine = list({id(t): t for t in (twins[id(p)] for p in group["params"])}.values())
    return {**deepcopy(options, dict(twins)), "params": mine}
