"""The words of a finding: short lists of names, and numbers as one types them."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from keyword import iskeyword

from torch.optim import Optimizer

from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.parameters.roles import Held

_SHOWN = 3
# How torch's own classes, and nobody else's, are written after ``import torch``.
_TORCH = "torch.optim."


def names(held: Iterable[Held]) -> str:
    """Return a few names and how many there are.

    Example:
        >>> from torch import nn
        >>> from dwindle.pytorch.parameters.roles import held_parameters
        >>> names(held_parameters(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))))
        '0.weight, 0.bias, 1.weight and 1 more'

    """
    return listed([each.name for each in held])


def listed(words: Sequence[str], *, between: str = ", ") -> str:
    """Return the first of many words, and how many more there are."""
    more = len(words) - _SHOWN
    shown = between.join(words[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def tensors(held: Sequence[Held]) -> str:
    """Return how many tensors and numbers there are: ``53 tensors (26,560 numbers)``.

    Example:
        >>> from torch import nn
        >>> from dwindle.pytorch.parameters.roles import held_parameters
        >>> tensors(held_parameters(nn.Linear(2, 3)))
        '2 tensors (9 numbers)'

    """
    numbers = sum(each.parameter.numel() for each in held)
    return f"{counted(len(held), 'tensor')} ({counted(numbers, 'number')})"


def counted(count: int, word: str) -> str:
    """Return ``1 tensor`` or ``2 tensors``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def of_groups(groups: Iterable[Group]) -> str:
    """Return the numbers of groups: ``group 0`` or ``groups 0, 2, 5 and 9 more``."""
    numbers = [str(group.number) for group in groups]
    return f"group{'' if len(numbers) == 1 else 's'} {listed(numbers)}"


def settings(groups: Iterable[Group]) -> str:
    """Return the distinct knobs of groups: ``weight_decay 0.0001, lr 0.1``."""
    told = dict.fromkeys(
        f"{KNOB} {group.knob:g}, lr {group.lr:g}"
        if group.is_free
        else f"held by a DecayController, lr {group.lr:g}"
        for group in groups
    )
    return listed(list(told), between="; ")


def attribute(name: str) -> str:
    """Return how a parameter or module is reached from ``model`` in Python.

    Example:
        >>> attribute("layers.0.weight")
        'model.layers[0].weight'

    """
    written = "model"
    for part in filter(None, name.split(".")):
        if part.isidentifier() and not iskeyword(part):
            written += f".{part}"
        else:
            written += f"[{part}]" if part.isdecimal() else f'["{part}"]'
    return written


def class_path(optimizer: Optimizer) -> str:
    """Return how the class of an optimizer is written in a program."""
    kind = type(optimizer)
    is_torchs = kind.__module__.startswith(_TORCH)
    return f"{_TORCH if is_torchs else ''}{kind.__name__}"


def number(value: float) -> str:
    """Return a number as one types it, with three digits at most.

    Example:
        >>> number(0.1), number(0.000033333), number(1.0)
        ('0.1', '3.33e-05', '1')

    """
    return f"{value:.3g}"


def rounded_down(value: float) -> float:
    """Return a number of three digits that is not larger: what is a limit stays one.

    Example:
        >>> rounded_down(0.00025986)
        0.000259

    """
    digits = Decimal(repr(value))
    last = Decimal(1).scaleb(digits.adjusted() - 2) if value else Decimal(1)
    return float(digits.quantize(last, rounding=ROUND_DOWN))
