"""The codes of an audit: one record per code, and how its texts are filled in.

A finding is a code with values. Evidence and remedy are templates of ``codes.toml``,
filled in last. A sentence whose values a finding lacks is left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from types import MappingProxyType
from typing import Any, Literal

from dwindle.errors import UnknownNameError
from dwindle.plain import Plain, table_beside
from dwindle.wording import count, counted, listed, number, percent

Severity = Literal["error", "warning", "note"]
# Worst first. Errors and warnings fail an audit, notes never do.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
Values = Mapping[str, Any]  # numbers, names, and tuples of these
Sentences = tuple[str, ...]

_HINT = "dwindle audit --explain all lists the codes."
_TEXTS = ("why", "found", "write", "source")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The texts of one case of a code, as templates, sentence by sentence."""

    evidence: Sentences
    remedy: Sentences


@dataclass(frozen=True, kw_only=True)
class Code(Plain):
    """One kind of finding, and what ``dwindle audit --explain`` prints of it.

    Args:
        code: Its stable name, ``DW001``.
        severity: ``error`` where the script cannot do what was meant, ``warning`` where
            it hardly does, ``note`` for what is no fault by itself.
        title: What is found, in a few words.
        why: Why it matters.
        found: How it is found.
        write: What to write instead.
        source: Where the fact was read or measured.
        cases: Templates of its findings; the usual ones have an empty name.

    """

    IN_JSON = ("code", "severity", "title", *_TEXTS)

    code: str
    severity: Severity
    title: str
    why: str
    found: str
    write: str
    source: str
    cases: Mapping[str, Case] = field(repr=False, hash=False)


def _sentences(texts: str | Sequence[str]) -> Sentences:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _code(name: str, table: Mapping[str, Any]) -> Code:
    # A case without a text of this kind has that of its code.
    cases = {
        case: Case(
            evidence=_sentences(own.get("evidence", table["evidence"]))
            + _sentences(own.get("also", ())),
            remedy=_sentences(own.get("remedy", table.get("remedy", ()))),
        )
        for case, own in {"": table, **table}.items()
        if isinstance(own, dict)
    }
    texts = {text: table[text] for text in ("severity", "title", *_TEXTS)}
    return Code(code=name, **texts, cases=MappingProxyType(cases))


_FILE = table_beside(__file__)
# Remedies that findings of any code may have, by name.
REMEDIES: Mapping[str, str] = MappingProxyType(_FILE.pop("remedies"))
# What an audit of a program could not check, by name.
UNCHECKED: Mapping[str, str] = MappingProxyType(_FILE.pop("unchecked"))
CODES: Mapping[str, Code] = MappingProxyType(
    {name: _code(name, _FILE[name]) for name in sorted(_FILE)}
)


def resolve_code(name: str) -> Code:
    """Find a code by its name, in upper or lower case."""
    known = CODES.get(name.strip().upper())
    if known is None:
        raise UnknownNameError.among("code", name.strip().upper(), CODES, _HINT)
    return known


def codes_of(names: Iterable[str]) -> frozenset[str]:
    """Return the codes that names or prefixes of names mean."""
    found: set[str] = set()
    for name in names:
        prefix = name.strip().upper()
        matches = {code for code in CODES if prefix and code.startswith(prefix)}
        found |= matches or {resolve_code(name).code}
    return frozenset(found)


def filled_in(sentences: Sentences, values: Values) -> str:
    """Return the sentences whose values are all there, with the values in them.

    Example:
        >>> filled_in(("{n:tensor*}.", "{x:n} of {y:names}."), {"n": 2, "x": 0.123456})
        '2 tensors.'
        >>> filled_in(("{y:names} in {at:groups}.",), {"y": ("a", "b"), "at": (0,)})
        'a and b in group 0.'

    """
    return " ".join(
        _FILLING.vformat(each, (), values)
        for each in sentences
        if all(
            values.get(name) is not None
            for _, name, _, _ in _FILLING.parse(each)
            if name
        )
    )


class _Filling(Formatter):
    """Formats values by the names of :data:`_FORMATS`, counts by ``unit*``."""

    def format_field(self, value: Any, format_spec: str) -> str:  # of any type
        if format_spec in _FORMATS:
            return _FORMATS[format_spec](value)
        if format_spec.endswith("*"):
            return counted(value, format_spec.removesuffix("*"))
        return str(format(value, format_spec))


_FILLING = _Filling()
# So many names or groups are shown; JSON has all.
_SHOWN = 3
# Percents would hide the size of smaller shares.
_TINY = 1e-3


def short(items: Sequence[object]) -> str:
    """Return the first three of many items, and how many more there are."""
    return listed([*map(str, items)], most=_SHOWN)


def _share(value: float) -> str:
    return f"{value:.1g}" if 0 < abs(value) < _TINY else percent(value)


def of_groups(numbers: Sequence[int]) -> str:
    """Return the numbers of groups: ``group 0`` or ``groups 0, 2, 5 and 9 more``."""
    return f"group{'' if len(numbers) == 1 else 's'} {short(numbers)}"


def _tensors(sizes: tuple[int, int]) -> str:
    tensors, numbers = sizes
    return f"{counted(tensors, 'tensor')} ({counted(numbers, 'number')})"


def _settings(settings: Sequence[tuple[float | None, float]]) -> str:
    """Return (weight_decay, lr) of groups; a controller's have no weight_decay."""
    shown = [
        f"held by a DecayController at lr {lr:g}"
        if decay is None
        else f"weight_decay {decay:g} at lr {lr:g}"
        for decay, lr in settings
    ]
    return short(shown)


def _idle(rows: Sequence[tuple[str, int, int]]) -> str:
    """Return (name, rows without gradient, rows) of embeddings."""
    shown = [f"{idle:,} of {whole:,} rows of {name}" for name, idle, whole in rows]
    return f"{short(shown)} have"


def _padding(rows: Sequence[tuple[str, int, float]]) -> str:
    """Return (name, padding row, its norm) of embeddings."""
    shown = [f"row {row} of {name} (norm {number(norm)})" for name, row, norm in rows]
    return f"The padding is no zero: {short(shown)}"


def _went(changes: Sequence[tuple[str, str, str]]) -> str:
    """Return (name, before, after) of what was changed, as a sentence."""
    shown = [f"{name} {old} to {new}".strip() for name, old, new in changes]
    return f"You went from {listed(shown)}" if shown else "Nothing was changed"


_FORMATS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "n": number,
        "numbers": lambda values: short([*map(number, values)]),
        "steps": lambda value: f"{value:,.0f}",
        "count": count,
        "share": _share,
        "names": short,
        "groups": of_groups,
        "tensors": _tensors,
        "settings": _settings,
        "idle": _idle,
        "padding": _padding,
        "went": _went,
    }
)
