"""Which parameters of a model decay, and who says so.

The strongest word wins: frozen, then the patterns of ``no_decay``, then those of
``decay``, then what the model itself says, and last the role of the parameter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from dwindle.decay.penalties import layer_coefficients
from dwindle.errors import RangeError, RefusedError
from dwindle.pytorch.grouping.name_patterns import (
    check_patterns,
    first_fit,
    patterns_of,
)
from dwindle.pytorch.parameters.roles import Held, held_parameters
from dwindle.pytorch.parameters.slots import modules_of

_METHOD = "no_weight_decay"
_MARK = "_no_weight_decay"  # Mamba sets it on the parameter
_OPTIONS = "_optim"  # S4 sets it: options of a group of the parameter's own


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One parameter, whether it decays, and whose word or role says so."""

    held: Held
    decays: bool
    why: str


def choices_of(
    model: nn.Module,
    *,
    embeddings: bool = False,
    decay: str | Sequence[str] = (),
    no_decay: str | Sequence[str] = (),
    model_says: bool = True,
) -> tuple[Choice, ...]:
    """Return for each parameter of a model whether it decays, and why.

    Args:
        model: The model; nothing in it is changed.
        embeddings: Whether embeddings and tokens decay like weights.
        decay: Patterns of names that decay whatever their role.
        no_decay: Patterns of names that never decay.
        model_says: Whether the model's own ``no_weight_decay()`` counts.

    Raises:
        PatternError: If a pattern fits no parameter.
        RefusedError: If the roles cannot be told (:func:`held_parameters`).
        RangeError: If ``no_weight_decay()`` returns no names.

    Example:
        >>> for choice in choices_of(nn.Linear(2, 2)):
        ...     print(choice.held.name, choice.decays, choice.why)
        weight True weight of a Linear
        bias False bias of a Linear

    """
    held = held_parameters(model)
    names = [name for each in held for name in each.names]
    words = {"decay": patterns_of(decay), "no_decay": patterns_of(no_decay)}
    for argument, patterns in words.items():
        check_patterns(argument, patterns, names)
    spared = _spared_by_model(model) if model_says else {}
    roles = {"weight", "embedding", "token"} if embeddings else {"weight"}
    return tuple(_choice(each, words, spared, roles) for each in held)


def _choice(
    held: Held,
    words: Mapping[str, Sequence[str]],
    spared: Mapping[str, str],
    roles: Iterable[str],
) -> Choice:
    by_pattern = {
        argument: first_fit(patterns, held.names)
        for argument, patterns in words.items()
    }
    by_model = first_fit(spared, held.names)
    marked = getattr(held.parameter, _MARK, False)
    own = getattr(held.parameter, _OPTIONS, None)
    # In this order: the first that speaks decides.
    table: tuple[tuple[object, bool, Callable[[], str]], ...] = (
        (not held.trainable, False, lambda: "frozen"),
        (held.numbers == 0, False, lambda: "empty"),
        (by_pattern["no_decay"], False, lambda: f"no_decay={by_pattern['no_decay']!r}"),
        (by_pattern["decay"], True, lambda: f"decay={by_pattern['decay']!r}"),
        (by_model, False, lambda: spared[str(by_model)]),
        (marked, False, lambda: f"{_MARK} of the parameter"),
        (_is_spared(own), False, lambda: f"{_OPTIONS} of the parameter: {own}"),
        (True, held.role in roles, lambda: held.why),
    )
    decays, why = next((says, why()) for speaks, says, why in table if speaks)
    return Choice(held=held, decays=decays, why=why)


def _is_spared(own: object) -> bool:
    return isinstance(own, Mapping) and own.get("weight_decay", 1) == 0


def _spared_by_model(model: nn.Module) -> dict[str, str]:
    """Return pattern → who says it, of every module that has ``no_weight_decay()``."""
    spared: dict[str, str] = {}
    for path, module in modules_of(model):
        if not (hasattr(type(module), _METHOD) or _METHOD in vars(module)):
            continue
        said = getattr(module, _METHOD)
        who = type(module).__name__
        for name in _names_said(said() if callable(said) else said, who):
            spared[f"{path}.{name}" if path else name] = f"{_METHOD}() of {who}"
    return spared


def _names_said(said: object, who: str) -> tuple[str, ...]:
    if isinstance(said, str) or not isinstance(said, Iterable | None):
        name = f"{_METHOD}() of {who}"
        raise RangeError(name, repr(said), "a set of names of parameters")
    return tuple(map(str, said or ()))


def coefficients_of(normalization: str, held: Sequence[Held]) -> tuple[float, ...]:
    """Return the factor of a normalization for each weight that decays.

    A layer is a weight: the sums and means of
    :func:`dwindle.decay.penalties.layer_coefficients` go over the given weights alone.

    Raises:
        UnknownNameError: If the normalization is unknown.
        RefusedError: If ``fan-in`` is asked and a layer does not tell its inputs.

    Example:
        >>> from dwindle.pytorch.parameters.roles import held_parameters
        >>> net = nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 1))
        >>> weights = [held for held in held_parameters(net) if held.role == "weight"]
        >>> coefficients_of("layer-mean", weights)
        (0.05, 0.1)

    """
    if not held:
        layer_coefficients(normalization, [(1, 1)])  # an unknown name is told anyway
        return ()
    if normalization == "fan-in":
        _refuse_without_fans(held)
    return layer_coefficients(normalization, [_layer(each) for each in held])


def _layer(held: Held) -> tuple[int, int]:
    """Return (inputs, units) of a weight, whose product is how many numbers it has."""
    inputs = held.fan_in or 1  # each number of a bias or gain acts on one input
    whole = held.numbers % inputs == 0
    return (inputs, held.numbers // inputs) if whole else (1, held.numbers)


def _refuse_without_fans(held: Sequence[Held]) -> None:
    unknown = [each for each in held if each.role == "weight" and not each.fan_in]
    if not unknown:
        return
    first = unknown[0]
    asked = f"The fan-in of {first.name} {first.shape}"
    others = f" ({len(unknown)} such)" if len(unknown) > 1 else ""
    why = f"It is a {first.why}{others}: a {first.owner} does not tell its inputs."
    instead = f'Leave it out with no_decay=["{first.name}"], or use "layer-mean".'
    raise RefusedError(asked, why, instead)
