"""The nearest names to one that is in no table."""

from collections.abc import Iterable
from difflib import get_close_matches

# Of so many that share letters, those few that share them in the same order are near.
_CANDIDATES = 60
_ALIKE = 0.3
# A name that contains what was typed is as near as one typing mistake makes it.
_CONTAINED = 1
# What takes more mistakes than the nearest by so many is not meant.
_FARTHER = 2


def nearest_names(name: str, names: Iterable[str], limit: int = 5) -> tuple[str, ...]:
    """Return the known names that look most like ``name``, best first.

    Nearest is what the fewest typing mistakes make of it: a letter too many, too few,
    another, or two swapped. Of equals, what only lost letters comes first, then the one
    of the same length, then the one that comes first in the table. A table that is
    short enough is returned whole: then a reader sees every choice.

    Example:
        >>> nearest_names("torch.AdamWW", ["torch.optim.AdamW", "half-life"])
        ('torch.optim.AdamW', 'half-life')
        >>> nearest_names("AdamV", ["Adam", "AdamW", "RAdam", "Adan"], limit=2)
        ('AdamW', 'Adam')

    """
    table = list(dict.fromkeys(names))
    folded: dict[str, str] = {}
    for known in table:
        folded.setdefault(known.casefold(), known)
    typed = name.casefold()
    alike = get_close_matches(typed, folded, n=_CANDIDATES, cutoff=_ALIKE)
    alike += [key for key in folded if typed and typed in key]
    order = {key: place for place, key in enumerate(folded)}
    ranks = {key: (*_typing_rank(typed, key), order[key]) for key in alike}
    farthest = min((mistakes for mistakes, *_ in ranks.values()), default=0) + _FARTHER
    kept = (key for key in ranks if ranks[key][0] <= farthest)
    near = [folded[key] for key in sorted(kept, key=ranks.__getitem__)[:limit]]
    if len(table) <= limit:
        near += [known for known in table if known not in near]
    return tuple(near)


def _typing_rank(typed: str, known: str) -> tuple[int, bool, int]:
    """Count mistakes; of as many, letters lost are likelier than letters replaced."""
    mistakes = typing_mistakes(typed, known)
    if typed in known:
        mistakes = min(mistakes, _CONTAINED)
    longer = len(known) - len(typed)
    return mistakes, longer != mistakes, abs(longer)


def typing_mistakes(typed: str, meant: str) -> int:
    """Count letters added, lost, replaced, or swapped with a neighbor.

    Example:
        >>> typing_mistakes("SDG", "SGD"), typing_mistakes("AdmWW", "AdamW")
        (1, 2)

    """
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, start=1):
        before, above, row = row, before, [i]
        for j, other in enumerate(meant, start=1):
            fewest = min(
                before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other)
            )
            swapped = (
                i > 1 and j > 1 and (letter, typed[i - 2]) == (meant[j - 2], other)
            )
            row.append(min(fewest, above[j - 2] + 1) if swapped else fewest)
    return row[-1]
