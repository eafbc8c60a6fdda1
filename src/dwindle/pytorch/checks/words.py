"""The words of a finding: short lists of names, numbers, lines that can be copied."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from torch.optim import Optimizer

from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.holding.group_plan import KNOB
from dwindle.pytorch.parameters.roles import Held

_SHOWN = 3
# How torch's own classes, and nobody else's, are written after ``import torch``.
_TORCH = "torch.optim."
# Options that a line shows although they equal the default: a reader looks for them.
_ALWAYS = frozenset({"lr"})


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


def optimizer_line(
    facts: Facts, *, name: str = "", knob: float | None = None, **changed: object
) -> str:
    """Return the lines that build the optimizer again, with groups that decay right.

    Args:
        facts: Of the program; its first optimizer is written.
        name: Another class to write.
        knob: Another weight decay; that of the groups where None.
        changed: Options to write differently.

    """
    optimizer = facts.groups[0].optimizer
    groups = [group for group in facts.groups if group.optimizer is optimizer]
    if knob is None:
        knob = max(group.knob for group in groups)
    kept = "" if _plain(groups) else ", groups=optimizer.param_groups"
    made = f"decay_groups(model, weight_decay={number(knob)}{kept})"
    options = ", ".join(
        f"{key}={value!r}" for key, value in _options(optimizer, groups, changed)
    )
    line = f"optimizer = {name or class_path(optimizer)}({made}, {options})"
    return f"{_import('decay_groups')}\n{line}"


def controller_line(facts: Facts) -> str:
    """Return the lines that give any optimizer a half-life."""
    length = f"steps={facts.steps or 10_000}"
    asked = 'half_life="20% of the run"'
    line = f"controller = DecayController(optimizer, {asked}, {length})"
    return f"{_import('DecayController')}\n{line}"


def _import(name: str) -> str:
    return f"from dwindle.pytorch import {name}"


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


def _plain(groups: Sequence[Group]) -> bool:
    """Whether nothing but the decay tells the groups apart."""
    return all(
        len({repr(group.options.get(key)) for group in groups}) == 1
        for key in ("lr", "lr_scale")
    )


def _options(
    optimizer: Optimizer, groups: Sequence[Group], changed: Mapping[str, object]
) -> list[tuple[str, object]]:
    """Return the options that somebody typed: those that are not the class's own."""
    signature = inspect.signature(type(optimizer).__init__).parameters
    typed = optimizer.defaults | {"lr": max(group.lr for group in groups)}
    chosen = {
        key: _as_typed(value)
        for key, value in typed.items()
        if key in signature and key not in (KNOB, "params")
    }
    shown = {
        key: value
        for key, value in chosen.items()
        if key in _ALWAYS or _differs(value, signature[key].default)
    }
    return list({**shown, **changed}.items())


def _as_typed(value: Any) -> object:  # an option of any type
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _differs(value: object, default: object) -> bool:
    return repr(value) != repr(default) and value is not None
