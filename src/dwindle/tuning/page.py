"""A prediction as one page: the law through the scales, and every rule."""

from functools import partial

from dwindle.finding.page import Page, Section, cards_of
from dwindle.report.opening import drawn_views
from dwindle.report.themes import LIGHT
from dwindle.show import Table
from dwindle.tuning.tuned import Tuned
from dwindle.wording import number, quantity


def page_of_tuned(tuned: Tuned) -> Page:
    """Return the page of a law."""
    sections = [_law(tuned)]
    if tuned.exponents:
        exponents = Section(
            name="exponents",
            heading="How it moves",
            lead="The value goes with the power of each quantity.",
            table=Table(
                columns=["what", "90 % interval"], rows=[*tuned.exponents_text.items()]
            ),
        )
        sections.append(exponents)
    if tuned.rules:
        rules = Section(
            name="rules",
            heading="What each rule gives there",
            lead="From the scale that is nearest to the target.",
            table=tuned.rules_table(),
        )
        sections.append(rules)
    return Page(
        name=tuned.name,
        headline=tuned.headline,
        lead=(tuned.why,),
        cards=cards_of(tuned.line, (tuned.low, tuned.high), tuned.scope, tuned.notes),
        sections=tuple(sections),
        picture=tuned.figure.figure(LIGHT),
    )


def _law(tuned: Tuned) -> Section:
    """Return the law, with a large figure over each axis."""
    # It stands beside a line that leaves the others where they were.
    too = ", where the others change as well" if len(tuned.lines) > 1 else ""
    target = f" The diamond is the answer at the target{too}." if tuned.value else ""
    drawn = (
        "Symbols are the scales that show a best value, with their 90 % intervals; the "
        "line is the law with all else as at most of them, in the band of what it "
        f"predicts.{target}"
    )
    return Section(
        name="law",
        heading="Best value over the scale",
        lead=drawn if tuned.lines else "Every scale, and why no law goes through them.",
        figures=tuple(
            drawn_views(
                partial(tuned.figure.panel, line),
                ("log", "linear"),
                f"Best {tuned.symbol} over {quantity(line.axis)}: exponent "
                f"{number(tuned.exponents[line.axis].value)}. {tuned.headline}.",
                key=f"law{count}",
            )
            for count, line in enumerate(tuned.lines)
        ),
        summary="Every scale",
        table=tuned.cells_table(),
    )
