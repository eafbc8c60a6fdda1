"""The page docs/knobs.md: every knob, from the same records as the command."""

from collections.abc import Iterable, Sequence

from dwindle.cli.knobs import count_of, ran_of
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import by_library

_HEAD = """\
# Where one types a decay

Every place that dwindle knows, what the number does there, and how we know: by running
the library that is named, in that version, or only from its source. This page is
written by `dwindle knobs --markdown > docs/knobs.md`. `dwindle knobs KNOB` tells one
knob with all its checks, and `dwindle convert KNOB=VALUE --to all` types one decay into
each of them.

"""
_COLUMNS = ("knob", "what the number does", "default", "skips", "verified by running")


def knobs_page(chosen: Sequence[Knob]) -> str:
    """Return the page as Markdown, one table per library."""
    tables = "".join(
        f"\n## {library}\n\n{_table(of_it)}"
        for library, of_it in by_library(chosen).items()
    )
    return f"{_HEAD}{count_of(chosen)}\n{tables}"


def _table(chosen: Iterable[Knob]) -> str:
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, chosen)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(knob: Knob) -> tuple[str, ...]:
    default = "" if knob.default is None else f"{knob.default:g}"
    does = f"{knob.formula} ({knob.note})" if knob.note else knob.formula
    name = "<br>".join(f"`{each}`" for each in (knob.name, *knob.aliases))
    return name, *(_escaped(text) for text in (does, default, knob.skips, ran_of(knob)))


def _escaped(text: str) -> str:
    """Keep what Markdown would read as its own marks."""
    for mark in ("|", "*", "_"):
        text = text.replace(mark, f"\\{mark}")
    return text
