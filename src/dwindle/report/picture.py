"""The main figure of an answer or a study as a PNG picture, for a README or a paper."""

import os

from dwindle.errors import RefusedError
from dwindle.findings.model import Answer, Findings
from dwindle.report import figures, render, sentences
from dwindle.report.themes import LIGHT, Theme
from dwindle.report.writing import marked_picture, write_whole


def write_picture(
    shown: Answer | Findings,
    path: str | os.PathLike[str],
    *,
    theme: Theme = LIGHT,
    force: bool = False,
) -> None:
    """Write the one figure to show: curves as typed beside curves corrected.

    Args:
        shown: The answer, or a study's findings.
        path: The PNG file; its folder is made where it is missing.
        theme: Colors: light, or dark for a dark page.
        force: Replace a file that dwindle did not write.

    Raises:
        RefusedError: If no study has an exponent: there is nothing to line up.
        MissingLibraryError: If vl-convert is not installed.
        OutputExistsError: If a file stands there that must stay.
        ReportWriteError: If the disk is full or the file cannot be written.

    """
    spec = figures.main_figure(sentences.studies_of(shown), theme)
    if spec is None:
        raise RefusedError(
            asked="A picture of how curves line up",
            why="No axis of these studies has an exponent.",
            instead="Train more seeds or cells first; the page shows what there is.",
        )
    write_whole(path, marked_picture(render.png(spec)), force=force)
