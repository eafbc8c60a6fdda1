"""dwindle report: what a study found, from its store; needs no torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dwindle.cli.options import Option
from dwindle.cli.output import note, print_json, stdout

FORCE = Option("--force", "replace a file that dwindle did not write")

OPTIONS = (
    Option("STORE", "the store of a study, such as my-study.db", required=True),
    Option("--html", "write it as one page, too", "PAGE"),
    Option("--png", "write the main figure as a picture, too", "PICTURE"),
    FORCE,
)


def command(
    *, store: str, html: str | None, png: str | None, force: bool, as_json: bool
) -> None:
    """Report what a study found: a table, JSON, or one self-contained page.

    A study that still runs, or was stopped, can be looked at, too.
    """
    check_outputs(html, png, force=force, inputs=files_of_store(Path(store)))
    show_findings(Path(store), html=html, png=png, force=force, as_json=as_json)


def files_of_store(store: Path) -> tuple[Path, ...]:
    """Return the files that are one store: itself, its journal and its lock."""
    whole = store.absolute()  # "." has no name
    beside = (whole.with_name(whole.name + end) for end in ("-journal", ".lock"))
    return (store, *beside)


def check_outputs(
    *outputs: str | None, force: bool, inputs: Sequence[str | Path]
) -> None:
    """Refuse, before anything is trained or printed, what could not be written."""
    from dwindle.report.writing import check_target

    named = [output for output in outputs if output is not None]
    for number, output in enumerate(named):
        check_target(output, force=force, inputs=(*inputs, *named[:number]))


def show_findings(
    store: Path,
    *,
    html: str | None,
    png: str | None = None,
    force: bool = False,
    as_json: bool,
) -> int:
    """Print what a store says; write the page and the picture if they are asked for.

    Returns:
        How many of its trainings failed; each reason is printed on stderr.

    """
    from dwindle.findings.as_json import findings_as_dict
    from dwindle.findings.build import findings_of
    from dwindle.store.store import read_study

    stored = read_study(store)
    findings = findings_of(stored)
    # Failed trainings are in no table: each reason is printed once, with its count.
    errors = Counter(outcome.error for _, outcome in stored.rows if outcome.error)
    for text, count in errors.items():
        note(f"{count} trainings failed: {text}", style="red")
    if not as_json:
        # First what cannot fail: a page may find no room, a picture nothing to show.
        from dwindle.report.terminal import print_findings

        print_findings(findings, stdout())
    if html is not None:
        from dwindle.report.page import write_page

        write_page(findings, html, force=force)
        note(f"Wrote {html}")
    if png is not None:
        from dwindle.report.page import write_picture

        write_picture(findings, png, force=force)
        note(f"Wrote {png}")
    if as_json:
        print_json(findings_as_dict(findings))
    return errors.total()
