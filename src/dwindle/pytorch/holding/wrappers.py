"""Wrappers whose steps no hook of theirs sees: the optimizer inside is to be held."""

from collections.abc import Iterator

from torch.optim import Optimizer

from dwindle.errors import RefusedError

_NO_STEPS = ("_", "get_", "set_", "validate_")  # of names that end in _step
_SHARDING = "ZeroRedundancyOptimizer"


def refuse_shards(optimizer: Optimizer) -> None:
    """Refuse ZeRO's wrapper, which steps its share of the weights by another one.

    Raises:
        RefusedError: With what to hold instead.

    """
    if _SHARDING in (kind.__name__ for kind in type(optimizer).__mro__):
        asked = f"A half-life held by {_SHARDING}"
        why = "In each process it steps a share of the weights, by its .optim."
        raise RefusedError(asked, why, _hold("optim"))


def refuse_other_steps(optimizer: Optimizer) -> None:
    """Refuse a wrapper that has steps beside step(): SAM's first_step, second_step.

    Raises:
        RefusedError: With what to hold instead.

    """
    inner = next(_inside(optimizer), None)
    others = [
        name
        for name in dir(type(optimizer))
        if name.endswith("_step")
        and not name.startswith(_NO_STEPS)
        and not hasattr(Optimizer, name)
    ]
    if inner is not None and others:
        kind = type(optimizer).__name__
        asked = f"A half-life held by {kind}, around an optimizer of its own,"
        why = f"{' and '.join(others)} move the weights, too, and call no hooks of it."
        raise RefusedError(asked, why, _hold(inner))


def _hold(name: str) -> str:
    return f"Hold optimizer.{name}: DecayController(optimizer.{name}, ...)."


def _inside(optimizer: Optimizer) -> Iterator[str]:
    """Yield the name of each attribute that is an optimizer of the same weights."""
    mine = {id(each) for group in optimizer.param_groups for each in group["params"]}
    for name, value in vars(optimizer).items():
        if isinstance(value, Optimizer) and value is not optimizer:
            theirs = (each for group in value.param_groups for each in group["params"])
            if any(id(each) in mine for each in theirs):
                yield name
