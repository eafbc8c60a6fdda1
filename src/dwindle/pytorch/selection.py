"""Which parameters of a model decay, and who decides it.

The strongest wins: frozen, then the patterns of ``no_decay``, then those of ``decay``,
then what the model itself declares, and last the role of the parameter.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from dwindle.decay.penalties import layer_coefficients
from dwindle.decay.roles import Role, decaying_roles
from dwindle.errors import PatternError, RangeError
from dwindle.errors.nearest import nearest_names
from dwindle.pytorch.parameters.roles import ParameterRole, parameter_roles
from dwindle.pytorch.parameters.slots import modules_of
from dwindle.pytorch.refusals import refused
from dwindle.wording import with_article

_METHOD = "no_weight_decay"  # timm's models have it
_MARK = "_no_weight_decay"  # Mamba sets it on the parameter
_OPTIONS = "_optim"  # S4 sets it: options for a group of this parameter alone
_SHOWN = 3  # names nearest to a pattern with a typing error


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One parameter: whether it decays, who decided it, and which group it is in.

    ``why`` is who or which role decided. ``given`` is the number of the given group
    that has it, ``listed_as`` its name there, ``group`` the number of its new one: None
    of a parameter that is in none (frozen, or left out). ``coefficient`` is the factor
    on its decay, 0 where it does not decay.
    """

    held: ParameterRole
    decays: bool
    why: str
    given: int | None = None
    listed_as: str | None = None
    coefficient: float = 0.0
    lr_factor: float | None = None
    group: int | None = None

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.held.name

    @property
    def names(self) -> tuple[str, ...]:
        """All names of a tied parameter."""
        return self.held.names

    @property
    def role(self) -> Role:
        """What its layer uses it for."""
        return self.held.role

    @property
    def shape(self) -> tuple[int, ...]:
        """Its original shape."""
        return self.held.shape


def choices_of(
    model: nn.Module,
    *,
    embeddings: bool = False,
    decay: str | Sequence[str] = (),
    no_decay: str | Sequence[str] = (),
    model_says: bool = True,
) -> tuple[Choice, ...]:
    """Return for each parameter of a model whether it decays, and why."""
    held = parameter_roles(model)
    names = [name for each in held for name in each.names]
    # One string is one pattern, not its letters.
    given = {
        argument: (patterns,) if isinstance(patterns, str) else tuple(patterns)
        for argument, patterns in (("no_decay", no_decay), ("decay", decay))
    }
    for argument, patterns in given.items():
        check_patterns(argument, patterns, names)
    spared = _spared_by_model(model) if model_says else {}
    roles = decaying_roles(embeddings=embeddings)
    return tuple(_choice(each, given, spared, roles) for each in held)


def _choice(
    held: ParameterRole,
    given: Mapping[str, Sequence[str]],
    spared: Mapping[str, str],
    roles: Collection[str],
) -> Choice:
    if not held.trainable or held.numbers == 0:
        why = "empty" if held.trainable else "frozen"
        return Choice(held=held, decays=False, why=why)
    for argument, patterns in given.items():  # no_decay is the first
        fit = first_fit(patterns, held.names)
        if fit is not None:
            why = f"{argument}={fit!r}"
            return Choice(held=held, decays=argument == "decay", why=why)
    by_model, own = (
        first_fit(spared, held.names),
        getattr(held.parameter, _OPTIONS, None),
    )
    if by_model is not None:
        return Choice(held=held, decays=False, why=spared[by_model])
    if getattr(held.parameter, _MARK, False):
        return Choice(held=held, decays=False, why=f"{_MARK} of the parameter")
    if isinstance(own, Mapping) and own.get("weight_decay", 1) == 0:
        return Choice(
            held=held, decays=False, why=f"{_OPTIONS} of the parameter: {own}"
        )
    return Choice(held=held, decays=held.role in roles, why=held.why)


def _spared_by_model(model: nn.Module) -> dict[str, str]:
    """Return pattern → who declares it, for each module with ``no_weight_decay()``."""
    spared: dict[str, str] = {}
    for path, module in modules_of(model):
        if not (hasattr(type(module), _METHOD) or _METHOD in vars(module)):
            continue
        declared = getattr(module, _METHOD)
        names = declared() if callable(declared) else declared
        who = f"{_METHOD}() of {type(module).__name__}"
        # A string would be read letter by letter.
        if isinstance(names, str) or not isinstance(names, Iterable | None):
            raise RangeError(who, repr(names), "a set of names of parameters")
        for name in map(str, names or ()):
            spared[f"{path}.{name}" if path else name] = who
    return spared


def first_fit(patterns: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first pattern that fits one of the names of a parameter, or None.

    Patterns are those of a shell; ``*`` also fits dots.
    """
    each = tuple(names)
    fits = (p for p in patterns if any(fnmatchcase(name, p) for name in each))
    return next(fits, None)


def check_patterns(
    argument: str, patterns: Iterable[str], names: Collection[str]
) -> None:
    """Refuse a pattern that fits no name: it is a typing error."""
    for pattern in patterns:
        if first_fit((pattern,), names) is None:
            near = _nearest(pattern, names)
            raise PatternError(argument, pattern, len(names), near)


def _nearest(pattern: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the names, and patterns over first or last parts, nearest to a pattern."""
    bare = pattern.strip("*?[].")
    table = {name: name for name in names}
    if bare != pattern:
        firsts = {name.partition(".")[0] for name in names}
        lasts = {name.rpartition(".")[2] for name in names}
        table |= {word: f"{word}.*" for word in sorted(firsts)}
        table |= {word: f"*.{word}" for word in sorted(lasts)}
    near = nearest_names(bare, table, limit=_SHOWN) or sorted(names)[:_SHOWN]
    return tuple(table[name] for name in near[:_SHOWN])


def coefficients_of(
    normalization: str, held: Sequence[ParameterRole]
) -> tuple[float, ...]:
    """Return the factor of a normalization for each weight that decays.

    A layer is a weight: the sums and means of
    :func:`dwindle.decay.penalties.layer_coefficients` go over the given weights alone.
    """
    if not held:
        layer_coefficients(normalization, [(1, 1)])  # refuses an unknown name
        return ()
    unknown = [each for each in held if each.role == "weight" and not each.fan_in]
    if normalization == "fan-in" and unknown:
        first = unknown[0]
        raise refused(
            "no-fan-in",
            name=first.name,
            shape=first.shape,
            role=first.why,
            others=f" ({len(unknown)} such)" if len(unknown) > 1 else "",
            owner=with_article(first.owner),
        )
    layers = []  # (inputs, units) of each, whose product is how many numbers it has
    for each in held:
        inputs = each.fan_in or 1  # each number of a bias or gain acts on one input
        inputs = inputs if each.numbers % inputs == 0 else 1
        layers.append((inputs, each.numbers // inputs))
    return layer_coefficients(normalization, layers)
