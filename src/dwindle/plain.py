"""Records as plain data: read from tables of TOML, written as JSON."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

# Metadata of a field that is in no output.
INTERNAL = MappingProxyType({"internal": True})


class Plain:
    """A record as JSON has it: all of its fields, or what ``IN_JSON`` names, in order.

    In ``IN_JSON``, ``"class=kind_of_run"`` is the field ``kind_of_run`` as ``class``.
    """

    IN_JSON: ClassVar[tuple[str, ...]] = ()

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the record as JSON has it; a number that is not finite is null."""
        return _taken(self, self.IN_JSON)


def to_plain(value: object, *names: str) -> Any:  # Any: JSON-like
    """Return a record, or what is in it, as dicts, lists, texts and numbers.

    A number that is not finite becomes None. ``names`` are the fields and properties of
    a record to take, in that order; without them, all fields that are not ``INTERNAL``.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Disc:
        ...     radius: float
        ...     tags: tuple[str, ...] = ()
        ...
        ...     @property
        ...     def size(self) -> float:
        ...         return self.radius * 2
        >>> to_plain(Disc(math.inf, ("a", "b")))
        {'radius': None, 'tags': ['a', 'b']}
        >>> to_plain([Disc(1)]), to_plain(Disc(1), "size")
        ([{'radius': 1, 'tags': []}], {'size': 2})

    """
    if isinstance(value, Plain) and not names:
        return value.as_dict()
    if is_dataclass(value):
        return _taken(value, names)
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _taken(record: Any, names: tuple[str, ...]) -> dict[str, Any]:  # Any: a dataclass
    names = names or tuple(f.name for f in fields(record) if f.metadata != INTERNAL)
    pairs = (name.rpartition("=") for name in names)
    return {key or name: to_plain(getattr(record, name)) for key, _, name in pairs}


def table_beside(module: str, name: str = "") -> dict[str, Any]:  # Any: TOML
    """Return the TOML file of a name beside a module, or that of the module's name.

    Example:
        >>> sorted(table_beside(__file__, "decay/penalties.toml"))
        ['penalty']

    """
    path = Path(module)
    path = path.parent / name if name else path.with_suffix(".toml")
    return tomllib.loads(path.read_text("utf-8"))


def from_plain(kind: type[Record], plain: Mapping[str, Any]) -> Record:
    """Return the dataclass of a dict from ``to_plain``, also after JSON.

    A missing or unknown field is a TypeError or a KeyError.
    """
    of: Any = kind  # mypy takes a class for unhashable
    hints = _hints(of)
    return kind(**{name: _typed(hints[name], value) for name, value in plain.items()})


@cache  # a store has a hundred thousand trials
def _hints(kind: Any) -> dict[str, Any]:  # a dataclass
    return get_type_hints(kind)


def _typed(kind: Any, plain: Any) -> Any:  # a hint, and a JSON-like value
    if isinstance(kind, type) and is_dataclass(kind):
        return from_plain(kind, plain)
    if get_origin(kind) is tuple:
        return tuple(_typed(get_args(kind)[0], each) for each in plain)
    return plain
