"""Copies of an optimizer on other parameters, and stretches of code without a trace.

The user's optimizer is only read. Its state stays behind: a copy starts afresh. While
copies are made and stepped, no random number is drawn and no hook of others is called.
"""

import inspect
import random
import sys
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

# What copy.deepcopy keeps: the id of an object and what it becomes.
_Memo = dict[int, Any]  # Any: objects of all kinds

# In each group beside its options.
_NOT_OPTIONS = ("params", "param_names")
_BYSTANDER = "bystander"
# Hooks that people register for all optimizers; a copy is none of their business.
_GLOBAL_HOOKS = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")


@dataclass(frozen=True)
class Twins:
    """The tensors that a copy works on, by the id of the parameter they stand for.

    A bystander is one more weight for each group, by the id of a twin in it. It has a
    gradient in every step: an optimizer may skip a step whose gradients are all zero
    (Prodigy, D-Adaptation), and a training has no such steps.
    """

    of: Mapping[int, Tensor]
    bystanders: Mapping[int, Tensor]

    def in_group(self, params: list[Tensor]) -> list[Tensor]:
        """Return the twins of a group, each once, and the group's bystander."""
        beside = [self.bystanders[id(p)] for p in params if id(p) in self.bystanders]
        return list({id(each): each for each in (*params, *beside[:1])}.values())


def copied(optimizer: Optimizer, twins: Twins) -> Optimizer:
    """Copy the optimizer as it is configured, without running its constructor.

    Optimizers inside of it (a Lookahead has one) are copied too, and what two
    of them share, their copies share.
    """
    memo: _Memo = dict(twins.of)
    found = list(_all_inside(optimizer, set()))
    for each in found:
        memo[id(each)] = object.__new__(type(each))
        memo |= _left_behind(each)
    for each in found:
        # Patched methods stay away: a learning-rate scheduler replaces ``step`` by a
        # closure over the original.
        own = {
            name: deepcopy(value, memo)
            for name, value in vars(each).items()
            if not (callable(value) and callable(getattr(type(each), name, None)))
        }
        memo[id(each)].__dict__.update(own)
    copy: Optimizer = memo[id(optimizer)]
    lists = {
        id(group["params"]): group
        for each in found
        for group in vars(memo[id(each)]).get("param_groups", ())
    }
    # Two optimizers may share the list of a group, which is completed once.
    for group in lists.values():
        params, names = group["params"], group.get("param_names")
        listed = twins.in_group(params)
        if isinstance(names, list) and len(names) == len(params):
            # Several parameters may have one twin: the first name of several wins.
            known = dict(zip(map(id, reversed(params)), reversed(names), strict=True))
            names[:] = [known.get(id(each), _BYSTANDER) for each in listed]
        params[:] = listed
    return copy


def rebuilt(optimizer: Optimizer, twins: Twins) -> Optimizer:
    """Call the constructor again with the options that the optimizer shows.

    For classes that fill their state when they are built, or hold what cannot be
    copied. Each argument is searched in the defaults and the attributes.
    """
    arguments = list(inspect.signature(type(optimizer)).parameters.values())
    known = {**vars(optimizer), **getattr(optimizer, "defaults", {})}
    memo: _Memo = dict(twins.of)
    given = {
        each.name: copied(value, twins)
        if isinstance(value := known[each.name], Optimizer)
        else deepcopy(value, memo)
        for each in arguments
        if each.name in known
    }
    first = arguments[0].name
    inner = [each for each in vars(optimizer).values() if isinstance(each, Optimizer)]
    if first not in given and "opt" in first and len(inner) == 1:  # of a Lookahead
        given[first] = copied(inner[0], twins)
    if not isinstance(given.get(first), Optimizer):
        given[first] = [
            deepcopy({k: v for k, v in group.items() if k not in _NOT_OPTIONS}, memo)
            | {"params": twins.in_group([twins.of[id(p)] for p in group["params"]])}
            for group in optimizer.param_groups
        ]
    build: Any = type(optimizer)  # Any: constructors differ in what they take
    copy: Optimizer = build(**given)
    # A rate that the constructor remembered: the one of then, not that of now.
    for name, value in vars(optimizer).items():
        if isinstance(value, float) and name in vars(copy):
            setattr(copy, name, value)
    return copy


def tensors_kept(optimizer: Optimizer) -> list[str]:
    """Return the attributes that hold tensors beside parameters and state.

    A copy of the optimizer has other weights, which these do not fit.
    """
    known = {id(each) for group in optimizer.param_groups for each in group["params"]}
    return [
        name
        for name, value in vars(optimizer).items()
        if name not in ("state", "param_groups", "defaults")
        and any(id(each) not in known for each in _tensors_in(value))
    ]


def _tensors_in(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _tensors_in(each)


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


@contextmanager
def random_kept() -> Iterator[None]:
    """Put the random generators back: torch on all devices, numpy and random."""
    ours = random.getstate()
    numpy = sys.modules.get("numpy")
    theirs = numpy.random.get_state() if numpy else None
    # Only devices in use have a generator: a query would start another one.
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch's own
    devices = list(range(torch.cuda.device_count())) if cuda else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(ours)
        if numpy:
            numpy.random.set_state(theirs)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the random generators, call no hook for all optimizers, warn nobody."""
    hooks = [getattr(torch_optimizer, name, {}) for name in _GLOBAL_HOOKS]
    kept = [dict(each) for each in hooks]
    # A copy makes a few steps, and the compiler takes a minute (to load it, seconds).
    may_compile = "torch._dynamo" in sys.modules
    stance: Any = torch.compiler.set_stance  # Any: torch does not type it
    threads = torch.get_num_threads()
    with (
        random_kept(),
        warnings.catch_warnings(),
        torch.inference_mode(mode=False),
        stance("force_eager") if may_compile else nullcontext(),
    ):
        warnings.simplefilter("ignore")
        try:
            # Copies are small, and threads that wait for each other in each bfloat16
            # product of a Muon take seconds where one takes 50 ms (measured on two
            # cores, with and without other load).
            torch.set_num_threads(1)
            for each in hooks:
                each.clear()
            yield
        finally:
            torch.set_num_threads(threads)
            for each, before in zip(hooks, kept, strict=True):
                each.clear()
                each.update(before)
