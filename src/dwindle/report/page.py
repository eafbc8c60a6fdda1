"""One self-contained HTML page of a study or of the answer, written atomically."""

import base64
import hashlib
import os
from importlib import resources
from typing import TYPE_CHECKING

from dwindle.errors import MissingLibraryError
from dwindle.findings.model import Answer, Findings
from dwindle.report.content import page_of
from dwindle.report.themes import DARK, LIGHT, css_variables
from dwindle.report.writing import PAGE_MARK, write_whole

if TYPE_CHECKING:
    from jinja2 import Environment


def write_page(
    shown: Answer | Findings, path: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write the page; either whole or not at all.

    Args:
        shown: A study's findings, or the answer with its claims.
        path: The HTML file; its folder is made where it is missing.
        force: Replace a file that dwindle did not write.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.
        OutputExistsError: If a file stands there that must stay.
        ReportWriteError: If the disk is full or the file cannot be written.

    """
    write_whole(path, render_page(shown).encode(), force=force)


def render_page(shown: Answer | Findings) -> str:
    """Return the page as text: the same bytes for the same findings.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.

    """
    template = _environment().get_template("page.html.j2")
    css = style_sheet()
    facts = {"css": css, "policy": policy(css), "mark": PAGE_MARK}
    return template.render(page=page_of(shown), **facts) + "\n"


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError:
        raise MissingLibraryError(
            library="jinja2", needed_for="The HTML page", extra="report"
        ) from None
    return Environment(
        autoescape=True,
        loader=FunctionLoader(_resource),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style_sheet() -> str:
    """Return the style of the page with the colors of both themes filled in."""
    css = _resource("page.css")
    css = css.replace("LIGHT", css_variables(LIGHT))
    return "\n" + css.replace("DARK", css_variables(DARK))


def policy(css: str) -> str:
    """Return a content-security policy that allows this one style sheet only.

    Nothing is loaded and nothing runs: neither scripts nor pictures nor fonts, and no
    style but the one with this hash.
    """
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> str:
    return (resources.files("dwindle.report") / name).read_text(encoding="utf-8")
