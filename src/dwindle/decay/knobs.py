"""The knobs: records of the table ``knobs.toml``, found by their names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dwindle.decay.families import FAMILIES
from dwindle.decay.knob import Knob, OptimizerOptions
from dwindle.errors import AmbiguousNameError, UnknownNameError
from dwindle.errors.nearest import nearest_names, typing_mistakes
from dwindle.plain import table_beside

# Columns whose cell may be the name of a text that several rows share.
_SHARED_TEXTS = ("skips", "note", "caution")
# A library or family at more typing mistakes than these is not offered.
_MISTAKES = 2

Cells = dict[str, Any]  # of a row: texts, numbers, flags and lists


def _records(table: Cells) -> Iterator[tuple[Knob, str]]:
    """Yield each knob of the table with the title of its group, empty for a library."""
    options = {
        name: OptimizerOptions(**cells | {"betas": tuple(cells["betas"])})
        if "betas" in cells
        else OptimizerOptions(**cells)
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
    # No str.format: formulas contain braces, as in n_{j+1}.
    return cells | {
        "formula": cells["formula"].replace(
            "{symbol}", cells.get("symbol", Knob.symbol)
        ),
        "source": cells["source"].replace("{file}", file),
        "aliases": (*aliases, *twins),
    }


# 9 ms with the parsing of 45 kB: no cache is needed.
_RECORDS = tuple(_records(table_beside(__file__)))
KNOBS: Mapping[str, Knob] = MappingProxyType({knob.name: knob for knob, _ in _RECORDS})
_TITLES = {knob.name: title for knob, title in _RECORDS if title}


def knobs(words: str | None = None) -> tuple[Knob, ...]:
    """Return every knob that dwindle can read, or those that match a filter.

    A knob of exactly that name comes first. A text that is in no name, family or
    penalty is searched for in the texts of the records.

    Args:
        words: A name, a part of one, a library, a family such as ``decoupled``, or a
            penalty such as ``prior``, as ``dwindle knobs`` takes it.

    Raises:
        UnknownNameError: If no knob matches; the nearest are offered.

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
    alike = [
        knob
        for knob in everything
        if folded in {knob.family, knob.penalty, library_of(knob)}
        or any(folded in name.casefold() for name in (knob.name, *knob.aliases))
    ] or [
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


def library_of(knob: Knob) -> str:
    """Return the library that has the knob, or the name of its group where none has."""
    return _TITLES.get(knob.name, knob.library)


def by_library(chosen: Iterable[Knob]) -> dict[str, list[Knob]]:
    """Group knobs by their library, both in the order of the table."""
    groups: dict[str, list[Knob]] = {}
    for knob in chosen:
        groups.setdefault(library_of(knob), []).append(knob)
    return groups


_ALL = "See: dwindle knobs."
# Libraries of one framework: of several matches, those of the other knob's come first.
_OF_TORCH = """torch timm optimi pytorch_optimizer bitsandbytes lion_pytorch
schedulefree composer fastai unit_scaling mup transformers apex deepspeed megatron"""
_KIN = (frozenset(_OF_TORCH.split()), frozenset({"keras", "tf", "tfa"}))
# No longer developed: listed last.
_RETIRED = frozenset({"tfa", "mxnet", "caffe"})
# Where most people type a decay: the candidates for an ambiguous word.
_USUAL = (
    "torch.optim.AdamW",
    "torch.optim.SGD",
    "keras.optimizers.AdamW",
    "optax.adamw",
    "timm.adamw",
    "transformers.TrainingArguments",
)
# Names that many libraries have, each for another number.
_SHARED_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("weight_decay", "weight-decay", "wd"), _USUAL),
        "decay": ("torch.optim.SGD", "torch.optim.AdamW", "answer.decay"),
        **dict.fromkeys(
            ("lambda", "λ", "lam"),
            (
                "torch.optim.SGD",
                "keras.regularizers.L2",
                "torch.optim.ASGD:lambd",
                "question.l2",
                "loshchilov2019.lambda",
            ),
        ),
    }
)
_OF_KERAS = (
    "The decay= of Keras before 2.11 lowers the lr to lr/(1 + decay·t): it is no "
    "weight decay. "
)
_LISTED = 16  # a short name fits 11 knobs at most today (SGD): all of them


def resolve_knob(
    name: str, *, beside: Knob | None = None, table: Mapping[str, Knob] = KNOBS
) -> Knob:
    """Find a knob by its name, an alias, or a short name that only one knob has.

    Many libraries have an ``AdamW``: such a name is refused with all candidates, in any
    case of its letters. So is the name of an argument, ``alpha`` or ``C``, unless the
    class stands before it: ``sklearn.Ridge.alpha``. Where exactly one knob of the
    library of ``beside`` has the name, that one is returned.
    """
    if name not in table:
        # torch.optim.SGD of torch.optim.sgd.SGD, the path that Python prints.
        stem, _, last = name.rpartition(".")
        path, _, module = stem.rpartition(".")
        is_module = module.islower() and module.strip("_") == last.casefold()
        name = f"{path}.{last}" if path and is_module and module != last else name
    if name in table:
        return table[name]
    knobs = table.values()
    found = _spelt_so(name, knobs)
    same = [
        knob
        for knob in found
        if beside and knob.library == beside.library and not _is_beyond(knob, beside)
    ]
    if len(same) == 1:
        return same[0]
    # A name that only papers have may also be the argument of a library.
    only_papers = not any(knob.version for knob in found)
    others = _called_so(name, table) if only_papers and "." not in name else set()
    if len(found) == 1 and not others - set(found):
        return found[0]
    if not found and not others:
        found, is_sure = _variants(name, knobs)
        if is_sure:
            return found[0]
    everything = [knob for knob in knobs if knob in {*found, *others}]
    if everything:
        raise _ambiguous(name, everything, knobs, beside)
    raise _unknown(name, knobs)


def _is_beyond(knob: Knob, beside: Knob) -> bool:
    """Return whether the other is a bare penalty, and this one has none."""
    is_bare = beside.penalty is not None and beside.family is None
    return is_bare and knob.penalty is None


def _spelt_so(name: str, knobs: Iterable[Knob]) -> list[Knob]:
    folded = name.casefold()
    return [
        knob for knob in knobs if folded in {each.casefold() for each in knob.spellings}
    ]


def _called_so(name: str, table: Mapping[str, Knob]) -> set[Knob]:
    """Return the knobs whose argument, or whose library, has such a bare name."""
    folded = name.casefold()
    usual = {table[each] for each in _SHARED_NAMES.get(folded, ()) if each in table}
    symbols = {
        knob
        for knob in table.values()
        if knob.symbol.casefold() == folded and not usual
    }
    return usual | symbols | {k for k in table.values() if k.library == folded}


def _variants(name: str, knobs: Iterable[Knob]) -> tuple[list[Knob], bool]:
    """Read ``LIBRARY.CLASS.ARGUMENT``, and a class known by its variants only."""
    # Returned with whether the first is the only possible match.
    folded = name.casefold()
    path, _, argument = folded.rpartition(".")
    plain = [each for each in _spelt_so(path, knobs) if _is_called(each, argument)]
    if len(plain) == 1:
        return plain, True
    of_class = {
        stem: [
            knob
            for knob in knobs
            if stem in {each.partition(":")[0].casefold() for each in knob.spellings}
        ]
        for stem in (folded, path)
    }
    named = [knob for knob in of_class[path] if _is_called(knob, argument)]
    is_sure = len(named) == 1 and bool(_spelt_so(path, knobs))
    return named or of_class[folded], is_sure


def _is_called(knob: Knob, argument: str) -> bool:
    return knob.symbol.casefold() == argument


def _ambiguous(
    name: str, found: Sequence[Knob], knobs: Iterable[Knob], beside: Knob | None
) -> AmbiguousNameError:
    kin = next((each for each in _KIN if beside and beside.library in each), ())

    def rank(knob: Knob) -> tuple[bool, ...]:
        return (
            beside is not None and _is_beyond(knob, beside),
            knob.library in _RETIRED,
            beside is not None and knob.library != beside.library,
            bool(kin) and knob.library not in kin,
        )

    best = sorted(found, key=rank)
    short = f"{best[0].library}.{best[0].name.rpartition('.')[2]}"
    spelling = short if _spelt_so(short, knobs) == [best[0]] else best[0].name
    hint = f"Write {spelling}, for example."
    if len(best) > _LISTED:
        hint += f" dwindle knobs {name} lists all {len(best)}."
    candidates = tuple(knob.name for knob in best[:_LISTED])
    return AmbiguousNameError("knob", name, candidates, hint)


def _unknown(name: str, knobs: Iterable[Knob]) -> UnknownNameError:
    path, _, argument = name.rpartition(".")
    owners = _spelt_so(path, knobs) if path else []
    if owners:
        owner = owners[0]
        hint = f"{owner.name} calls its decay {owner.symbol}. {_ALL}"
        if argument == "decay" and owner.library == "keras":
            hint = _OF_KERAS + hint
        return UnknownNameError("knob", name, (owner.name,), hint)
    # A known argument of an unknown class: the class was mistyped.
    is_argument = any(_is_called(knob, argument.casefold()) for knob in knobs)
    typed = path if path and is_argument else name
    return UnknownNameError("knob", name, _nearest(typed, knobs), _ALL)


def _nearest(name: str, knobs: Iterable[Knob]) -> tuple[str, ...]:
    """Return the knobs with the nearest names, full or short."""
    full_names: dict[str, str] = {}
    for knob in knobs:  # torch.optim's come first, and keep the names that many share
        for spelling in knob.spellings:
            full_names.setdefault(spelling.casefold(), knob.name)
    # Several of the nearest spellings may be those of one knob.
    found = [full_names[near] for near in nearest_names(name, full_names, limit=12)]
    return tuple(dict.fromkeys(found))[:4]
