"""What people and trackers call the columns of results: the words of ``names.toml``."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from dwindle.plain import table_beside

_FILE = table_beside(__file__)


def _names_of(kind: str) -> frozenset[str]:
    return frozenset(_FILE[kind].split())


KNOBS: Sequence[frozenset[str]] = [frozenset(each.split()) for each in _FILE["knobs"]]
SCALES: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(each.split()) for name, each in _FILE["scales"].items()}
)
SEEDS = _names_of("seeds")
STATUS = _names_of("status")
PROGRESS = _names_of("progress")
RUNS = _names_of("runs")
BOOKKEEPING = _names_of("bookkeeping")
SETTINGS = _names_of("settings")
LOSSES = _names_of("losses")
ERRORS = _names_of("errors")
SCORES = _names_of("scores")
SHARES = _names_of("shares")
VALUES = _names_of("values")
VALIDATION = _names_of("validation")
TEST = _names_of("test")
NO_METRIC = _names_of("no_metric")
SUMMARY = _names_of("summary")


def larger_is_better(metric: str) -> bool | None:
    """Return whether more of a metric is better, by its name; None if that is unclear.

    Example:
        >>> names = ("valAcc", "top-1", "neg_log_loss", "brier_score", "x")
        >>> [larger_is_better(name) for name in names]
        [True, True, True, False, None]

    """
    # A capital begins a word (valAcc); two may be one that is split (top-1), and a
    # number behind a name is the cut at which it was taken (map50).
    apart = re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", metric)
    words = re.findall(r"[^\W_]+", apart.casefold())
    parts = {*words, *map("".join, pairwise(words))}
    parts |= {part.rstrip("0123456789") for part in parts}
    is_loss = not parts.isdisjoint(LOSSES | ERRORS)
    is_score = not parts.isdisjoint(SCORES)
    # scikit-learn's names of losses with the sign of a score have three words or more;
    # neg_loss is that of negative examples.
    is_negative = words[:1] == ["neg"] and len(words) > 2  # noqa: PLR2004
    return is_loss is is_negative if is_loss or is_score else None
