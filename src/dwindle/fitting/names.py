"""What people and trackers call the columns of results: the words of ``names.toml``."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from dwindle.plain import table_beside

_FILE = table_beside(__file__)


def _words(kind: str) -> frozenset[str]:
    return frozenset(_FILE[kind].split())


KNOBS: Sequence[frozenset[str]] = [frozenset(each.split()) for each in _FILE["knobs"]]
SCALES: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(each.split()) for name, each in _FILE["scales"].items()}
)
SEEDS = _words("seeds")
STATUS = _words("status")
PROGRESS = _words("progress")
RUNS = _words("runs")
BOOKKEEPING = _words("bookkeeping")
SETTINGS = _words("settings")
LOSSES = _words("losses")
ERRORS = _words("errors")
SCORES = _words("scores")
SHARES = _words("shares")
VALUES = _words("values")
VALIDATION = _words("validation")
TEST = _words("test")
NO_METRIC = _words("no_metric")
SUMMARY = _words("summary")


def larger_is_better(metric: str) -> bool | None:
    """Return whether a metric is to be large by its name; None if that does not say.

    Example:
        >>> names = ("valAcc", "top-1", "neg_log_loss", "brier_score", "x")
        >>> [larger_is_better(name) for name in names]
        [True, True, True, False, None]

    """
    # A capital begins a word (valAcc); two may be one that is split (top-1), and a
    # number behind a name says at which cut it was taken (map50).
    apart = re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", metric)
    words = re.findall(r"[^\W_]+", apart.casefold())
    said = {*words, *map("".join, pairwise(words))}
    said |= {word.rstrip("0123456789") for word in said}
    is_loss = not said.isdisjoint(LOSSES | ERRORS)
    is_score = not said.isdisjoint(SCORES)
    # scikit-learn's names of losses with the sign of a score have three words or more;
    # neg_loss is that of negative examples.
    is_negative = words[:1] == ["neg"] and len(words) > 2  # noqa: PLR2004
    return is_loss is is_negative if is_loss or is_score else None
