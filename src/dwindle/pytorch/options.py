"""Options of a param group: its lr, weight_decay, momentum, decay_scale, and formats.

Groups are dicts that anybody writes into: an lr may be a tensor, missing or None, and a
decay may have another name. Everything here reads or sets one of these.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, cast

from torch import Tensor

from dwindle.decay.number_formats import DIGITS, STALLING, steps_between_factors
from dwindle.errors import RangeError

# Options of other people's groups are numbers, tensors, tuples, texts: Any.
Option = Any
Options = dict[str, Option]
Group = Mapping[str, Option]

# The option that torch's optimizers decay by, and ours: the multiple of a half-life's
# decay that a group gets.
KNOB, MARKER = "weight_decay", "decay_scale"
# Options that have been seen to mean a decay, the usual one first.
_KNOBS = (KNOB, "wd", "weight_decay_rate", "l2_reg", "l2")
# Where a group shows what its lr was, or will be, while its lr is 0 in a warm-up.
_LRS = ("lr", "initial_lr", "max_lr", "base_lr")
_FALLBACK_LR = 1e-3  # of torch's Adam and AdamW
# What a trial sets the momentum to, beside what it is.
_MOMENTA = (0.9, 0.3)
_BETA = 0.5  # the same of β₁, far from any default
# These are no decay, even if something stops where they are 0.
_NOT_A_DECAY = frozenset({"eps", "params", "momentum", "step", "k", *_LRS, *_KNOBS})
_NAMES = ("params", "param_names", "name")
# A complex number is two of these, and rounds as they do.
_REAL = {"complex64": "float32", "complex128": "float64", "complex32": "float16"}


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


def check_not_negative(name: str, value: object) -> float:
    """Return a finite number of at least 0, and refuse everything else."""
    is_text, given = isinstance(value, str), cast("Any", value)
    try:
        number = math.nan if is_text else float(given)
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several
        number = math.nan
    if not 0 <= number < math.inf:
        remedy = "This is a text: YAML 1.1 parses 1e-3 so. Write 1.0e-3."
        must = "a finite number, 0 or more"
        raise RangeError(name, repr(value), must, remedy if is_text else "")
    return number


def check_batch_size(value: object) -> None:
    """Refuse what is no whole number of examples; None is one that is not known."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_whole = is_number and float(value) % 1 == 0 and float(value) >= 1  # type: ignore[arg-type]  # a number
    if value is not None and not is_whole:
        remedy = "Write the examples of one optimizer step, such as 256."
        must = "a whole number, at least 1"
        raise RangeError("batch_size", repr(value), must, remedy)


def decay_option(group: Group) -> str | None:
    """Return the name of the option that sets the decay, None if there is none."""
    return next((k for k in _KNOBS if number_of(group.get(k)) is not None), None)


def weight_decay_of(group: Group) -> float:
    """Return the group's weight_decay as a number; 0 where there is none."""
    return float(group.get(KNOB) or 0.0)


def lr_of(group: Group) -> float:
    """Return a learning rate above 0 that the group works with, now or at its peak."""
    found = (number_of(group.get(name)) for name in _LRS)
    return next((lr for lr in found if lr), _FALLBACK_LR)


def set_option(group: Options, name: str, value: Option) -> None:
    """Set an option where the group has a number, in place where that is a tensor.

    An lr of None stays: it switches on a rule that finds the lr.

    Example:
        >>> group = {"lr": None, "momentum": 0.9, "betas": (0.9, 0.99)}
        >>> for name in group:
        ...     set_option(group, name, (0.5, 0.99) if name == "betas" else 0.1)
        >>> group
        {'lr': None, 'momentum': 0.1, 'betas': (0.5, 0.99)}

    """
    old = group.get(name)
    if isinstance(old, Tensor) and not isinstance(value, tuple):
        old.fill_(value)
    elif number_of(old) is not None or isinstance(old, tuple | list):
        group[name] = value


def other_momenta(group: Group) -> tuple[Options, ...]:
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


def other_decays(group: Group) -> Iterator[str]:
    """Yield the options that may set a decay beside the usual one."""
    for name, value in group.items():
        if name not in _NOT_A_DECAY and number_of(value):
            yield name


def options_key(group: Group) -> str:
    """Return all options as one text, the same for groups that are alike."""
    kept = {
        name: value.tolist() if isinstance(value, Tensor) else value
        for name, value in group.items()
        if name not in _NAMES
    }
    return repr(sorted((name, repr(value)) for name, value in kept.items()))


def scales_of(groups: Sequence[Group]) -> list[float]:
    """Return the multiple of the controller's decay that each group gets.

    It is the ``decay_scale`` of the group, as ``decay_groups`` writes it. Where none
    has one, groups with ``weight_decay`` 0 beside others are left alone, and a set in
    which nothing decays yet is held as a whole.
    """
    for at, group in enumerate(groups):
        check_not_negative(f"{KNOB} of group {at}", group.get(KNOB) or 0.0)
    knobs = [weight_decay_of(group) for group in groups]
    all_zero = not any(knobs) and not any(MARKER in group for group in groups)
    return [
        check_not_negative(f"{MARKER} of group {at}", group[MARKER])
        if MARKER in group
        else float(all_zero or knob != 0)
        for at, (group, knob) in enumerate(zip(groups, knobs, strict=True))
    ]


def scales_changed(groups: Sequence[Group], known: Sequence[float]) -> dict[int, float]:
    """Return the scale of each group whose mark has changed since it was planned.

    A group that lost its mark (to a checkpoint of before) is held as it was.
    """
    return {
        at: check_not_negative(f"{MARKER} of group {at}", group[MARKER])
        for at, (group, scale) in enumerate(zip(groups, known, strict=False))
        if group.get(MARKER, scale) != scale
    }


def dtype_name(tensor: Tensor) -> str:
    """Return the number format as dwindle calls it: float32, bfloat16."""
    name = str(tensor.dtype).removeprefix("torch.")
    return _REAL.get(name, name)


def is_16_bits(tensor: Tensor) -> bool:
    """Return whether a tensor is in a format in which slow decays stop."""
    return dtype_name(tensor) in STALLING


def factors_of(group: Group) -> float:
    """Return how many factors the coarsest tensor of a group can distinguish.

    An lr that is a tensor counts: ``1 - lr * weight_decay`` is computed in its format.
    """
    tensors: Iterable[Tensor] = group["params"]
    lr = group.get("lr")
    names = {dtype_name(each) for each in tensors}
    if isinstance(lr, Tensor):
        names.add(dtype_name(lr))
    known = [steps_between_factors(name) for name in names if name in DIGITS]
    return min(known, default=steps_between_factors("float32"))
