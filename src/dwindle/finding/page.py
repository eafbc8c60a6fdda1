"""The results of a user's own trainings, as one self-contained page or picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.finding.found import JSON_HAS_ALL, Found
from dwindle.report.opening import Card, Origin, View, drawn_views, value_card
from dwindle.report.page import filled
from dwindle.report.themes import LIGHT
from dwindle.report.vega import Spec
from dwindle.show import Table
from dwindle.wording import first_notes, interval, raised


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page: large figures with the table behind them, or a table.

    ``figures`` are the drawings of each, one for each axis that it can have.
    """

    name: str
    heading: str
    lead: str
    table: Table
    figures: tuple[tuple[View, ...], ...] = ()
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The contents of a page: the answer, the sections, and the picture."""

    name: str
    headline: str
    lead: tuple[str, ...]
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    picture: Spec


def render_page(page: Page, origin: Origin | None = None) -> str:
    """Return the page as HTML, with its origin."""
    return filled(
        "find.html.j2",
        title=f"{page.name}: best weight decay",
        kicker=page.name,
        headline=page.headline,
        origin=origin,
        page=page,
    )


def page_of_found(found: Found) -> Page:
    """Return the page of a search."""
    has_zero = any(each.is_without for each in found.curve)
    zero = " Dotted lines are losses without decay." if has_zero else ""
    return Page(
        name=found.name,
        headline=found.headline,
        lead=(found.why,),
        cards=cards_of(
            found.line,
            (found.low, found.high),
            ", ".join(filter(None, (found.place, found.facts()["holds for"]))),
            found.notes,
        ),
        sections=(
            Section(
                name="curve",
                heading="Loss over the weight decay",
                lead="The line is the mean curve over all seeds; each symbol is one "
                "training, and those of one seed have one color. The band is the 90 % "
                f"interval of the best value.{zero} {found.left_out}".rstrip(),
                figures=(
                    drawn_views(
                        found.figure.figure, found.figure.kinds, found.figure_text
                    ),
                ),
                summary=found.left_out or "Every training",
                table=found.table(),
            ),
            Section(
                name="conditions",
                heading="What it holds for",
                lead="Trainings under other conditions are never pooled. Imported "
                "modules and data are not compared: only the files below are.",
                table=_conditions(found),
            ),
        ),
        picture=found.figure.figure(LIGHT),
    )


def cards_of(
    line: str,
    limits: tuple[float | None, float | None],
    scope: str,
    notes: Sequence[str],
) -> tuple[Card, ...]:
    """Return the card of the value, if there is one, and that of the first notes."""
    within = raised(interval(*limits, digits=3)) if None not in limits else ""
    value = (value_card(line, within, scope),) if line else ()
    entries = tuple(("", note) for note in first_notes(notes, JSON_HAS_ALL))
    return (*value, *((Card(heading="Notes", entries=entries),) if entries else ()))


def _conditions(found: Found) -> Table:
    conditions = found.conditions
    files = conditions["files"].items()
    rows = [
        ("training", " ".join(conditions["training"])),
        ("working folder", conditions["folder"]),
        *((name, text) for name, text in found.facts().items() if text),
        *((f"SHA-256 of {name}", text) for name, text in files),
    ]
    return Table(columns=["what", "value"], rows=rows)
