"""Names of parameters by pattern, ``*.bias`` as a shell reads it; typos are found."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from dwindle.errors import PatternError
from dwindle.errors.nearest import nearest_names

_WILD = "*?[]"
_SHOWN = 3


def patterns_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return patterns as a tuple; one string is one pattern, not its letters.

    Example:
        >>> patterns_of("*.bias"), patterns_of(["head.*"])
        (('*.bias',), ('head.*',))

    """
    return (given,) if isinstance(given, str) else tuple(given)


def first_fit(patterns: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first pattern that fits one of the names of a parameter, or None.

    Example:
        >>> first_fit(["*.gate.*", "head.*"], ["head.weight", "wte.weight"])
        'head.*'

    """
    told = tuple(names)
    fits = (p for p in patterns if any(fnmatchcase(name, p) for name in told))
    return next(fits, None)


def check_patterns(
    argument: str, patterns: Sequence[str], names: Collection[str]
) -> None:
    """Refuse a pattern that fits no name: it is a typing error.

    Args:
        argument: The argument that has the patterns, for the message.
        patterns: Shell patterns; ``*`` also fits dots.
        names: All names of parameters of the model.

    Raises:
        PatternError: If a pattern fits none of the names; the nearest are told.

    """
    for pattern in patterns:
        if first_fit((pattern,), names) is None:
            near = _nearest(pattern, names)
            raise PatternError(argument, pattern, len(names), near)


def _nearest(pattern: str, names: Collection[str]) -> tuple[str, ...]:
    """Return names, and patterns over their last words, that look like a pattern."""
    bare = pattern.strip("".join((*_WILD, ".")))
    last = {name.rpartition(".")[2] for name in names}
    first = {name.partition(".")[0] for name in names}
    table = {name: name for name in names}
    if bare != pattern:
        table |= {word: f"{word}.*" for word in sorted(first)}
        table |= {word: f"*.{word}" for word in sorted(last)}
    near = nearest_names(bare, table, limit=_SHOWN) or sorted(names)[:_SHOWN]
    return tuple(table[name] for name in near[:_SHOWN])
