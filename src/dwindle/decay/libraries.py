"""Whose a knob is, which knobs a word means, and what is known of all of them."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dwindle.decay.families import FAMILIES
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs, resolve_knob
from dwindle.decay.knobs.of_papers import PAPER_KNOBS
from dwindle.decay.knobs.rates import RATE_KNOBS
from dwindle.errors import AmbiguousNameError, UnknownNameError
from dwindle.errors.nearest import nearest_names, typing_mistakes

_NOT_OF_A_LIBRARY: Mapping[str, str] = MappingProxyType(
    {
        **{knob.name: "half-life and shrink" for knob in RATE_KNOBS},
        **{knob.name: "papers" for knob in PAPER_KNOBS},
    }
)
_MISTAKES = 2


def library_of(knob: Knob) -> str:
    """Return the library that has the knob: the first word of its import path.

    Example:
        >>> [library_of(KNOBS[name]) for name in ("torch.optim.SGD", "shrink")]
        ['torch', 'half-life and shrink']

    """
    return _NOT_OF_A_LIBRARY.get(knob.name, knob.name.partition(".")[0])


def by_library(chosen: Iterable[Knob]) -> dict[str, list[Knob]]:
    """Group knobs by their library, both in the order of the table."""
    groups: dict[str, list[Knob]] = {}
    for knob in chosen:
        groups.setdefault(library_of(knob), []).append(knob)
    return groups


def matching_knobs(words: str) -> tuple[Knob, ...]:
    """Return the knobs that a filter means: the one of that name first, then others.

    Args:
        words: A name, a part of one, a library, a family such as ``decoupled``, or a
            penalty such as ``prior``; else a word of what a record says.

    Raises:
        UnknownNameError: If it means none; the nearest are offered.

    Example:
        >>> [knob.name for knob in matching_knobs("keras.L2")]
        ['keras.regularizers.L2']
        >>> matching_knobs("AdamW")[0].name, len(matching_knobs("AdamW")) > 5
        ('torch.optim.AdamW', True)

    """
    folded = words.casefold()
    alike = [knob for knob in knobs() if _matches(knob, folded)]
    if not alike:  # what no name says may stand in a record's text
        alike = [knob for knob in knobs() if _is_about(knob, folded)]
    try:
        named = [resolve_knob(words)]
    except AmbiguousNameError as error:
        named = [KNOBS[name] for name in error.candidates]
    except UnknownNameError as error:
        if not alike:
            raise _unknown(words, error) from None
        named = []
    first = [knob for knob in alike if folded in _first_words(knob)]
    return tuple(dict.fromkeys((*named, *first, *alike)))


def _matches(knob: Knob, folded: str) -> bool:
    if folded in {knob.family, knob.penalty, library_of(knob)}:
        return True
    return any(folded in name.casefold() for name in (knob.name, *knob.aliases))


def _first_words(knob: Knob) -> set[str]:
    return {name.partition(".")[0].casefold() for name in (knob.name, *knob.aliases)}


def _is_about(knob: Knob, folded: str) -> bool:
    texts = (knob.note, knob.formula, knob.unit, knob.source)
    pattern = re.compile(rf"(?<![a-z]){re.escape(folded)}")
    return any(pattern.search(text.casefold()) for text in texts)


def _unknown(words: str, error: UnknownNameError) -> UnknownNameError:
    """Offer libraries and families too, before the names of knobs."""
    groups = [*by_library(knobs()), *FAMILIES]
    near = nearest_names(words, groups, limit=2)
    meant = [name for name in near if typing_mistakes(words, name) <= _MISTAKES]
    return UnknownNameError("filter", words, (*meant, *error.nearest), error.hint)
