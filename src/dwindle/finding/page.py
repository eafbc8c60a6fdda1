"""What a search found, as one self-contained page or picture."""

import os

from dwindle.finding.found import Found
from dwindle.report import render
from dwindle.report.page import environment, policy, style_sheet
from dwindle.report.themes import LIGHT, PAGE
from dwindle.report.writing import PAGE_MARK, marked_picture, write_whole
from dwindle.show import Table
from dwindle.wording import first_notes


def write_page(
    found: Found, path: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write the page; either whole or not at all.

    Args:
        found: What a search found.
        path: The HTML file; its folder is made where it is missing.
        force: Replace a file that dwindle did not write.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.
        OutputExistsError: If a file stands there that must stay.
        ReportWriteError: If the disk is full or the file cannot be written.

    """
    write_whole(path, render_page(found).encode(), force=force)


def write_picture(
    found: Found, path: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write the curve as a PNG; raises as :func:`write_page`."""
    picture = render.png(found.figure.figure(LIGHT))
    write_whole(path, marked_picture(picture), force=force)


def render_page(found: Found) -> str:
    """Return the page as text: the same bytes for the same trainings.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.

    """
    css = style_sheet()
    page = (
        environment()
        .get_template("find.html.j2")
        .render(
            css=css,
            policy=policy(css),
            mark=PAGE_MARK,
            found=found,
            notes=list(first_notes(found.notes, "--json has all of them")),
            zero=_zero_text(found),
            svg=found.figure.svg(found.figure_text, PAGE),
            trainings=found.table(),
            conditions=_conditions(found),
        )
    )
    return f"{page}\n"


def _zero_text(found: Found) -> str:
    has_zero = any(each.is_without for each in found.curve)
    return "Dotted lines are losses without decay." if has_zero else ""


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
