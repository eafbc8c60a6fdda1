"""dwindle report: what a study found, from its store; needs no torch."""

from collections import Counter
from pathlib import Path

from dwindle.cli.options import Option
from dwindle.cli.output import print_json, stderr, stdout

OPTIONS = (
    Option("STORE", "the store of a study, such as my-study.db", required=True),
    Option("--html", "write it as one page, too", "PAGE"),
    Option("--png", "write the main figure as a picture, too", "PICTURE"),
)


def command(*, store: str, html: str | None, png: str | None, as_json: bool) -> None:
    """Say what a study found: a table, JSON, or one self-contained page.

    A study that still runs, or was stopped, can be looked at, too.
    """
    show(Path(store), html=html, png=png, as_json=as_json)


def show(
    store: Path, *, html: str | None, png: str | None = None, as_json: bool
) -> None:
    """Print what a store says; write the page and the picture if they are asked for."""
    from dwindle.findings.as_json import findings_as_dict
    from dwindle.findings.read import findings_of
    from dwindle.store.store import read_study

    stored = read_study(store)
    findings = findings_of(stored)
    errors = Counter(outcome.error for _, outcome in stored.rows if outcome.error)
    for text, count in errors.items():
        stderr().print(f"{count} trainings failed: {text}", style="red", markup=False)
    if not as_json:
        # First what cannot fail: a page may find no room, a picture nothing to show.
        from dwindle.report.terminal import print_findings

        print_findings(findings, stdout())
    if html is not None:
        from dwindle.report.page import write_page

        write_page(findings, html)
        stderr().print(f"Wrote {html}", soft_wrap=True)
    if png is not None:
        from dwindle.report.picture import write_picture

        write_picture(findings, png)
        stderr().print(f"Wrote {png}", soft_wrap=True)
    if as_json:
        print_json(findings_as_dict(findings))
