"""The nearest names to one that is in no table."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

# difflib finds the names that share letters in order, and these few are ranked by
# typing mistakes: difflib's own ratio takes "AdamV" for Adam rather than AdamW, and
# does not count wrong letters.
_CANDIDATES, _ALIKE = 60, 0.3
# A name that takes so many more mistakes than the nearest is not offered.
_FARTHER = 2
# One mistake already turns a short name into another one; long names may have two.
_SHORT, _MOST_MISTAKES = 8, 2


def nearest_names(name: str, names: Iterable[str], limit: int = 5) -> tuple[str, ...]:
    """Return the known names nearest to ``name``, best first.

    Nearest is the one at the fewest typing mistakes: a letter too many, too few,
    another, or two swapped. Of equals, one that only has more letters comes first, then
    one of the same length, then the one that comes first in the table. A table that is
    short enough is returned whole, so that a reader sees every choice.
    """
    table = list(dict.fromkeys(names))
    folded: dict[str, str] = {}
    for known in table:
        folded.setdefault(known.casefold(), known)
    typed, places = name.casefold(), {key: at for at, key in enumerate(folded)}

    def rank(key: str) -> tuple[int, bool, int, int]:
        mistakes, longer = typing_mistakes(typed, key), len(key) - len(typed)
        if typed in key:  # as near as one mistake makes it
            mistakes = min(mistakes, 1)
        return mistakes, longer != mistakes, abs(longer), places[key]

    alike = get_close_matches(typed, folded, n=_CANDIDATES, cutoff=_ALIKE)
    ranks = {
        key: rank(key)
        for key in (*alike, *(key for key in folded if typed and typed in key))
    }
    farthest = min((mistakes for mistakes, *_ in ranks.values()), default=0) + _FARTHER
    kept = (key for key in ranks if ranks[key][0] <= farthest)
    near = [folded[key] for key in sorted(kept, key=ranks.__getitem__)[:limit]]
    if len(table) <= limit:
        near += [known for known in table if known not in near]
    return tuple(near)


def mistyped(name: str, names: Iterable[str]) -> str | None:
    """Return the known name that ``name`` is a typing mistake of, or None.

    Example:
        >>> mistyped("Weight-decya", ["lr", "weight_decay"]), mistyped("it", ["lr"])
        ('weight_decay', None)

    """
    for known in nearest_names(name, names, limit=1)[:1]:
        most = 1 if len(known) <= _SHORT else _MOST_MISTAKES
        if typing_mistakes(name.casefold().replace("-", "_"), known) <= most:
            return known
    return None


def typing_mistakes(typed: str, meant: str) -> int:
    """Count letters added, lost, replaced, or swapped with a neighbor."""
    before: Sequence[int] = ()
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, start=1):
        before, above, row = row, before, [i]
        for j, other in enumerate(meant, start=1):
            fewest = min(
                before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other)
            )
            # Two swapped letters cost one mistake more than what stood before both.
            pair = typed[i - 2], letter
            is_swapped = i > 1 and j > 1 and pair == (other, meant[j - 2])
            row.append(min(fewest, above[j - 2] + 1) if is_swapped else fewest)
    return row[-1]
