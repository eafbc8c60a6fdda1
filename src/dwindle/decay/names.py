"""The nearest names to one that is in no table."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_names(name: str, names: Iterable[str], limit: int = 5) -> tuple[str, ...]:
    """Return the known names that look most like ``name``, best first.

    A table that is short enough is returned whole: then a reader sees every choice.

    Example:
        >>> nearest_names("torch.AdamWW", ["torch.optim.AdamW", "half-life"])
        ('torch.optim.AdamW', 'half-life')

    """
    table = list(dict.fromkeys(names))
    folded = {known.casefold(): known for known in table}
    found = get_close_matches(name.casefold(), folded, n=limit, cutoff=0.3)
    near = [folded[key] for key in found]
    if len(table) <= limit:
        near += [known for known in table if known not in near]
    return tuple(near)
