"""Options of a parameter group, read and set: learning rate, knob, momentum."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

# Options of other people's groups are numbers, tensors, tuples, words: Any.
Option = Any
Options = dict[str, Option]

# Options that have been seen to mean a decay, the usual one first.
KNOBS = ("weight_decay", "wd", "weight_decay_rate", "l2_reg", "l2")
# Where a group shows what its lr was, or will be, while its lr is 0 in a warm-up.
_LRS = ("lr", "initial_lr", "max_lr", "base_lr")
_LR_OF_NOBODY = 1e-3
# What a trial sets the momentum to, beside what it is.
_MOMENTA = (0.9, 0.3)
_BETA = 0.5
# These are no decay, whatever happens when they are 0.
_NOT_A_DECAY = frozenset({"lr", "eps", "params", "momentum", "step", "k", *_LRS})


def number_of(value: Option) -> float | None:
    """Read an option as a number; None if it is none.

    Example:
        >>> number_of(0.5), number_of(True), number_of("0.1")
        (0.5, None, None)

    """
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def knob_of(group: Mapping[str, Option]) -> str | None:
    """Return the option that sets the decay, None if there is none."""
    return next((k for k in KNOBS if number_of(group.get(k)) is not None), None)


def lr_of(group: Mapping[str, Option]) -> float:
    """Return a learning rate above 0 that the group works with, now or at its peak."""
    told = (number_of(group.get(name)) for name in _LRS)
    return next((lr for lr in told if lr), _LR_OF_NOBODY)


def other_momenta(group: Mapping[str, Option]) -> tuple[Options, ...]:
    """Return other values for the momentum of a group; always as many.

    Example:
        >>> other_momenta({"lr": 0.1, "betas": (0.9, 0.99)})
        ({'betas': (0.5, 0.99)}, {'betas': (0.5, 0.99)})

    """
    betas = group.get("betas")
    if isinstance(betas, tuple | list) and betas:
        return ({"betas": type(betas)((_BETA, *betas[1:]))},) * len(_MOMENTA)
    if number_of(group.get("momentum")) is None:
        return ({},) * len(_MOMENTA)
    return tuple({"momentum": each} for each in _MOMENTA)


def suspects(group: Mapping[str, Option]) -> Iterator[str]:
    """Yield the options that may set a decay beside the knob."""
    for name, value in group.items():
        if name not in _NOT_A_DECAY and name not in KNOBS and number_of(value):
            yield name


def set_option(group: Options, name: str, value: Option) -> None:
    """Set an option that the group has; a tensor stays the one that it is."""
    if isinstance(group.get(name), Tensor) and not isinstance(value, tuple):
        group[name].fill_(value)
    elif name in group:
        group[name] = value


def told_options(group: Mapping[str, Option]) -> str:
    """Return all options as one text, to find groups that are alike."""
    kept = {key: value for key, value in group.items() if key not in _NAMES}
    return repr(sorted((key, _plain(value)) for key, value in kept.items()))


_NAMES = ("params", "param_names", "name")


def _plain(value: Option) -> str:
    return repr(value.tolist() if isinstance(value, Tensor) else value)
