"""What trainings of one's own showed, as one self-contained page or picture."""

import os
from dataclasses import dataclass

from dwindle.finding.found import Found
from dwindle.report import render
from dwindle.report.loss_figure import NARROW, WIDE, Size
from dwindle.report.opening import Origin
from dwindle.report.page import environment, policy, style_sheet
from dwindle.report.themes import LIGHT, PAGE
from dwindle.report.vega import Spec
from dwindle.report.writing import PAGE_MARK, marked_picture, write_whole
from dwindle.show import Table
from dwindle.wording import first_notes

JSON_HAS_ALL = "--json has all of them"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page: drawings as SVG with the table behind them, or a table.

    ``narrow`` is the same drawing for a narrow screen, if there is another.
    """

    name: str
    heading: str
    lead: str
    table: Table
    panels: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page has: the answer first, then section by section; and its picture."""

    name: str
    headline: str
    says: tuple[str, ...]
    sections: tuple[Section, ...]
    picture: Spec


def write_page(
    page: Page,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    origin: Origin | None = None,
) -> None:
    """Write the page; either whole or not at all.

    Args:
        page: What it has.
        path: The HTML file; its folder is made where it is missing.
        force: Replace a file that dwindle did not write.
        origin: Where it comes from, to stand on it.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.
        OutputExistsError: If a file stands there that must stay.
        ReportWriteError: If the disk is full or the file cannot be written.

    """
    css = style_sheet()
    template = environment().get_template("find.html.j2")
    text = template.render(
        css=css, policy=policy(css), mark=PAGE_MARK, page=page, origin=origin
    )
    write_whole(path, f"{text}\n".encode(), force=force)


def write_picture(
    page: Page, path: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write its picture as a PNG; raises as :func:`write_page`."""
    picture = render.png(page.picture)
    write_whole(path, marked_picture(picture), force=force)


def page_of_found(found: Found) -> Page:
    """Return the page of a search.

    Raises:
        MissingLibraryError: If vl-convert is not installed.

    """
    has_zero = any(each.is_without for each in found.curve)
    zero = " Dotted lines are losses without decay." if has_zero else ""
    return Page(
        name=found.name,
        headline=found.headline,
        says=(found.range_text, found.why, *first_notes(found.notes, JSON_HAS_ALL)),
        sections=(
            Section(
                name="curve",
                heading="Loss over the weight decay",
                lead="The line is the mean curve over all seeds; each symbol is one "
                "training, and those of one seed have one color. The band is the 90 % "
                f"interval of the best value.{zero}",
                panels=(_drawn(found, WIDE, "wide"),),
                narrow=(_drawn(found, NARROW, "narrow"),),
                summary="Every training",
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


def _drawn(found: Found, size: Size, name: str) -> str:
    spec = found.figure.figure(PAGE, size)
    return render.svg(spec, name=name, alt=found.figure_text)


def _conditions(found: Found) -> Table:
    conditions = found.conditions
    files = conditions["files"].items()
    rows = [
        ("training", " ".join(conditions["training"])),
        ("metric", conditions["metric"]),
        ("working folder", conditions["folder"]),
        *((name, text) for name, text in found.facts().items() if text),
        *((f"SHA-256 of {name}", text) for name, text in files),
    ]
    return Table(columns=["what", "value"], rows=rows)
