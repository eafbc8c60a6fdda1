"""What people and trackers call the columns of results: the words of ``names.toml``."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType

_FILE = tomllib.loads(
    files("dwindle.fitting").joinpath("names.toml").read_text("utf-8")
)


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
