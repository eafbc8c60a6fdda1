"""dwindle knobs: the places where one types a decay, and how each record is known."""

import re
from collections.abc import Sequence

from dwindle.cli.options import Option
from dwindle.cli.output import print_json, show
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import by_library, knobs, resolve_knob
from dwindle.decay.verified import checks_of, verification_of
from dwindle.errors import DwindleError
from dwindle.plain import to_plain
from dwindle.show import Column, Line, Table, facts
from dwindle.wording import counted

OPTIONS = (
    Option("FILTER", "a name, a part of one, a library, or a family"),
    Option("--markdown", "print docs/knobs.md"),
)
_FROM_SOURCE = "from source"
# The page docs/knobs.md: every knob, from the same records as the command.
_HEAD = """\
# Where one types a decay

Every place that dwindle knows, what the number does there, and how we know: by running
the library that is named, in that version, or only from its source. This page is
written by `dwindle knobs --markdown > docs/knobs.md`. `dwindle knobs KNOB` prints one
knob with all its checks, and `dwindle convert KNOB=VALUE --to all` types one decay into
each of them.

"""
_COLUMNS = ("knob", "what the number does", "default", "skips", "verified by running")


def command(*, filter: str | None, markdown: bool, as_json: bool) -> None:  # noqa: A002 (the word's name)
    """List the places where one types a decay, and what the number does there.

    Each has the library that was run to verify its record, or that it was only read
    in the source. The one knob that FILTER names (torch.AdamW, keras.L2) comes
    with its default and its checks.
    """
    chosen = knobs(filter)
    if as_json:
        found = [  # with the checks that each passed
            to_plain(each)
            | {
                "verification": verification_of(each),
                "checks": to_plain(checks_of(each)),
            }
            for each in chosen
        ]
        print_json({"knobs": found})
    elif markdown:
        print(_page(chosen), end="")
    else:
        _show(chosen, None if filter is None else _named(filter, chosen))


def _ran_of(knob: Knob) -> str:
    """Return the library that was run to verify a record, or that none was."""
    ran = dict.fromkeys(f"{each.library} {each.version}" for each in checks_of(knob))
    return ", ".join(ran) or _FROM_SOURCE


def _count_of(chosen: Sequence[Knob]) -> str:
    ran = sum(bool(checks_of(knob)) for knob in chosen)
    left = len(chosen) - ran
    of_all = counted(len(chosen), "knob")
    return f"{of_all}: {ran} verified by running, {left} {_FROM_SOURCE}."


def _named(words: str, chosen: Sequence[Knob]) -> Knob | None:
    """Return the one knob that the words name, if they name one."""
    try:
        return resolve_knob(words)
    except DwindleError:
        return chosen[0] if len(chosen) == 1 else None


def _show(chosen: Sequence[Knob], named: Knob | None) -> None:
    # A name may be one knob's and a part of others': KNOB first, then what is like it.
    others = [knob for knob in chosen if knob != named]
    if named is not None:
        show(facts(_details(named), indent=2))
        if not others:
            return
        show("", Line(text=f"Also like that: {len(others)}.", style="dim"))
    columns = (
        Column("knob", "name", "cyan"),
        Column("what the number does"),
        Column("verified by running", style="dim"),
    )
    for library, of_it in by_library(others).items():
        rows = [(knob.name, knob.formula, _ran_of(knob)) for knob in of_it]
        show("", Line(text=library, style="bold"))
        show(Table(columns=columns, rows=rows, heads=False))
    last = f"{_count_of(chosen)} dwindle knobs KNOB prints one."
    show("", Line(text=last, style="dim"))


def _details(knob: Knob) -> dict[str, str]:
    checks = (
        f"{each.kind}: {each.settings}; to {each.tolerance:g} of the value"
        for each in checks_of(knob)
    )
    return {
        "knob": knob.name,
        "also": ", ".join(knob.aliases),
        "does": knob.formula,
        "unit": knob.unit,
        "family": knob.family or "",
        "penalty": knob.penalty or "",
        "default": "" if knob.default is None else f"{knob.default:g}",
        "skips": knob.skips,
        "note": knob.note,
        "read in": knob.version,
        "source": knob.source,
        "verified": _ran_of(knob),
        "checks": "\n".join(checks),
    }


def _page(chosen: Sequence[Knob]) -> str:
    """Return the knobs as Markdown, one table per library."""
    page = [_HEAD, f"{_count_of(chosen)}\n"]
    for library, of_it in by_library(chosen).items():
        rows: list[Sequence[str]] = [_COLUMNS, ("---",) * len(_COLUMNS)]
        for knob in of_it:
            names = "<br>".join(f"`{each}`" for each in (knob.name, *knob.aliases))
            default = "" if knob.default is None else f"{knob.default:g}"
            does = f"{knob.formula} ({knob.note})" if knob.note else knob.formula
            texts = (does, default, knob.skips, _ran_of(knob))
            # What Markdown would read as its own marks keeps its letters.
            rows.append((names, *(re.sub(r"([|*_])", r"\\\1", it) for it in texts)))
        page += [f"\n## {library}\n\n", *(f"| {' | '.join(row)} |\n" for row in rows)]
    return "".join(page)
