"""The knobs: the table of ``knobs.toml`` as records, and which of them a word means."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dwindle.decay.families import FAMILIES
from dwindle.decay.knob import Knob, Options
from dwindle.decay.resolve import resolve
from dwindle.errors import AmbiguousNameError, UnknownNameError
from dwindle.errors.nearest import nearest_names, typing_mistakes

__all__ = ["KNOBS", "Knob", "by_library", "knobs", "library_of", "resolve_knob"]

# Columns whose cell may be the name of a text that several rows share.
_SHARED_TEXTS = ("skips", "note", "caution")
# More typing mistakes than these, and a library or family is not what was meant.
_MISTAKES = 2

Cells = dict[str, Any]  # of a row: texts, numbers, flags and lists


def _records(table: Cells) -> Iterator[tuple[Knob, str]]:
    """Yield each knob of the table with the title of its group, empty for a library."""
    options = {
        name: Options(**cells | {"betas": tuple(cells["betas"])})
        if "betas" in cells
        else Options(**cells)
        for name, cells in table["options"].items()
    }
    for library in table["library"]:
        rows, title = library.pop("knobs"), library.pop("title", "")
        prefix = library.pop("prefix", "")
        for key, parts in rows.items():
            row = library | _merged(parts)
            cells = _merged(table["family"].get(row.get("family"), {})) | row
            for column in _SHARED_TEXTS:
                if column in cells:
                    cells[column] = table[column].get(cells[column], cells[column])
            if "options" in cells:
                cells["options"] = options[cells["options"]]
            yield Knob(name=prefix + key, **_filled(cells, key, prefix)), title


def _merged(parts: Cells | list[Cells]) -> Cells:
    """Return the cells of a row; a long one is a list of parts."""
    if isinstance(parts, dict):
        return parts
    return {column: cell for part in parts for column, cell in part.items()}


def _filled(cells: Cells, key: str, prefix: str) -> Cells:
    """Return the cells with the symbol, the file and the aliases of the row put in."""
    file = cells.pop("file", key.partition(":")[0].lower())
    twins = (prefix + name for name in cells.pop("twins", ()))
    aliases = (alias.replace("{name}", key) for alias in cells.get("aliases", ()))
    # No str.format: formulas have braces of their own, as in n_{j+1}.
    return cells | {
        "formula": cells["formula"].replace(
            "{symbol}", cells.get("symbol", Knob.symbol)
        ),
        "source": cells["source"].replace("{file}", file),
        "aliases": (*aliases, *twins),
    }


# 9 ms with the parsing of 45 kB: no cache is worth its place.
_RECORDS = tuple(
    _records(tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")))
)
KNOBS: Mapping[str, Knob] = MappingProxyType({knob.name: knob for knob, _ in _RECORDS})
_TITLES = {knob.name: title for knob, title in _RECORDS if title}


def knobs(words: str | None = None) -> tuple[Knob, ...]:
    """Return every knob that dwindle can read, or those that a filter means.

    The one of that name comes first. A word that no name, family or penalty has is
    looked up in the texts of the records.

    Args:
        words: A name, a part of one, a library, a family such as ``decoupled``, or a
            penalty such as ``prior``; as ``dwindle knobs`` has it.

    Raises:
        UnknownNameError: If the filter means none; the nearest are offered.

    Example:
        >>> [knob.name for knob in knobs("lars")]
        ['optax.lars', 'timm.lars', 'pytorch_optimizer.LARS']
        >>> knobs("AdamW")[0].name, len(knobs("AdamW")) > 5
        ('torch.optim.AdamW', True)
        >>> [knob.name for knob in knobs() if knob.family == "asgd"]
        ['torch.optim.ASGD']

    """
    everything = tuple(KNOBS.values())
    if words is None:
        return everything
    folded = words.casefold()
    about = re.compile(rf"(?<![a-z]){re.escape(folded)}")
    alike = [knob for knob in everything if _matches(knob, folded)] or [
        knob
        for knob in everything
        for texts in [(knob.note, knob.formula, knob.unit, knob.source)]
        if any(about.search(text.casefold()) for text in texts)
    ]
    try:
        named = [resolve_knob(words)]
    except AmbiguousNameError as error:
        named = [KNOBS[name] for name in error.candidates]
    except UnknownNameError as error:
        if not alike:
            # Libraries and families are offered too, before the names of knobs.
            near = nearest_names(words, [*by_library(everything), *FAMILIES], limit=2)
            meant = [name for name in near if typing_mistakes(words, name) <= _MISTAKES]
            nearest = (*meant, *error.nearest)
            raise UnknownNameError("filter", words, nearest, error.hint) from None
        named = []
    first = [
        knob
        for knob in alike
        for name in (knob.name, *knob.aliases)
        if name.partition(".")[0].casefold() == folded
    ]
    return tuple(dict.fromkeys((*named, *first, *alike)))


def _matches(knob: Knob, folded: str) -> bool:
    if folded in {knob.family, knob.penalty, library_of(knob)}:
        return True
    return any(folded in name.casefold() for name in (knob.name, *knob.aliases))


def resolve_knob(name: str, *, beside: Knob | None = None) -> Knob:
    """Find a knob by its name, or by a short name that only one has.

    A word that several libraries have, such as ``AdamW``, needs its library. The class
    and its argument may be written as one name.

    Args:
        name: What was typed.
        beside: The other knob of a conversion: where its library has the name, and only
            once, that one is meant.

    Raises:
        AmbiguousNameError: If the short name fits several knobs; they are listed.
        UnknownNameError: If it fits none; the nearest are offered.

    Example:
        >>> resolve_knob("torch.AdamW").name
        'torch.optim.AdamW'
        >>> resolve_knob("lion", beside=KNOBS["optax.adamw"]).name
        'optax.lion'
        >>> resolve_knob("sklearn.Ridge.alpha").name
        'sklearn.linear_model.Ridge'

    """
    return resolve(name, KNOBS, beside=beside)


def library_of(knob: Knob) -> str:
    """Return the library that has the knob, or the name of its group where none has.

    Example:
        >>> [library_of(KNOBS[name]) for name in ("torch.optim.SGD", "shrink")]
        ['torch', 'half-life and shrink']

    """
    return _TITLES.get(knob.name, knob.library)


def by_library(chosen: Iterable[Knob]) -> dict[str, list[Knob]]:
    """Group knobs by their library, both in the order of the table."""
    groups: dict[str, list[Knob]] = {}
    for knob in chosen:
        groups.setdefault(library_of(knob), []).append(knob)
    return groups
