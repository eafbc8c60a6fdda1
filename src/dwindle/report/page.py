"""One self-contained HTML page of a study or of the answer, written atomically."""

import base64
import contextlib
import hashlib
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from dwindle.errors import MissingLibraryError, ReportWriteError
from dwindle.findings.model import Answer, Findings
from dwindle.report.content import page_of
from dwindle.report.themes import DARK, LIGHT, css_variables

if TYPE_CHECKING:
    from jinja2 import Environment


def write_page(shown: Answer | Findings, path: str | os.PathLike[str]) -> None:
    """Write the page; either whole or not at all.

    Args:
        shown: A study's findings, or the answer with its claims.
        path: The HTML file; its folder is made where it is missing.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.
        ReportWriteError: If the disk is full or the file cannot be written.

    """
    write_whole(Path(path), render_page(shown).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then put it in place in one step.

    Raises:
        ReportWriteError: If the system refuses; what was at ``path`` is intact.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as refusal:
        why = refusal.strerror or str(refusal)
        raise ReportWriteError(path=str(path), why=why) from refusal


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide a page from a server
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def render_page(shown: Answer | Findings) -> str:
    """Return the page as text: the same bytes for the same findings.

    Raises:
        MissingLibraryError: If jinja2 or vl-convert is not installed.

    """
    template = _environment().get_template("page.html.j2")
    css = style_sheet()
    return template.render(page=page_of(shown), css=css, policy=policy(css)) + "\n"


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
