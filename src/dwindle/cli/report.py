"""dwindle report: what a study found, from its store; needs no torch."""

import math
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dwindle.cli.options import Option, read_whole
from dwindle.cli.output import note, print_json, stdout
from dwindle.errors import RangeError, UsageError
from dwindle.wording import counted

if TYPE_CHECKING:
    from dwindle.finding.found import Found
    from dwindle.report.opening import Origin
    from dwindle.store.store import Stored
    from dwindle.tuning.tuned import Tuned

FORCE = Option("--force", "replace a file that dwindle did not write")

OPTIONS = (
    Option("STORE", "the store of a study, such as my-study.db", required=True),
    Option("--html", "write it as one page, too", "PAGE"),
    Option("--png", "write the main figure as a picture, too", "PICTURE"),
    FORCE,
    Option("--trial", "print the kept output of training N of a find", "N", read_whole),
)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where a command shows what it found, as it was typed: pages, pictures, JSON."""

    html: str | None
    png: str | None
    force: bool
    as_json: bool

    @classmethod
    def of(cls, asked: Mapping[str, Any], *, as_json: bool) -> Self:
        """Return what stands among the options of a command."""
        html, png, force = asked["html"], asked["png"], asked["force"]
        return cls(html=html, png=png, force=force, as_json=as_json)

    def check(self, inputs: Sequence[str | Path]) -> None:
        """Refuse, before anything is trained or printed, what could not be written."""
        from dwindle.report.writing import check_target

        named = [output for output in (self.html, self.png) if output is not None]
        for number, output in enumerate(named):
            check_target(output, force=self.force, inputs=(*inputs, *named[:number]))

    def write(
        self,
        content: object,
        origin: "Origin | None",
        *,
        page: Callable[..., None],
        picture: Callable[..., None],
    ) -> None:
        """Write the page and the picture that are asked for, each by its writer."""
        if self.html is not None:
            page(content, self.html, force=self.force, origin=origin)
            note(f"Wrote {self.html}")
        if self.png is not None:
            picture(content, self.png, force=self.force)
            note(f"Wrote {self.png}")


def command(*, store: str, trial: int | None, as_json: bool, **asked: Any) -> None:
    """Report what a study or a find showed: a table, JSON, or one whole page.

    One that still runs, or was stopped, can be looked at, too.
    """
    path, to = Path(store), Outputs.of(asked, as_json=as_json)
    to.check(files_of_store(path))
    if trial is not None:
        _print_trial(path, trial)
        return
    show_findings(path, to)


def files_of_store(store: Path) -> tuple[Path, ...]:
    """Return the files that are one store: itself, its journal and its lock."""
    whole = store.absolute()  # "." has no name
    beside = (whole.with_name(whole.name + end) for end in ("-journal", ".lock"))
    return (store, *beside)


def show_findings(
    store: Path, to: Outputs, *, stopped: str | None = None, study_file: str = ""
) -> int:
    """Print what a store says; write the page and the picture if they are asked for.

    Args:
        store: The store of a study or of a find.
        to: Where to show it.
        stopped: Why a find stopped, where its trainings do not show it.
        study_file: The file that names the trainings, to stand on the page.

    Returns:
        How many of its trainings failed; each reason is printed on stderr.

    """
    from dwindle.store.store import read_store

    stored = read_store(store)
    origin = origin_of("report", store, "--html", to.html, study_file=study_file)
    if stored.kind == "own":
        return _show_found(stored, stopped, origin, to)
    return _show_study(stored, origin, to)


def origin_of(*words: str | Path | None, study_file: str = "") -> "Origin | None":
    """Return what stands on a page of where it comes from, by the command's words.

    The last word is the page's file, or None: then there is no page.
    """
    if words[-1] is None:
        return None
    from datetime import datetime
    from importlib.metadata import version

    from dwindle.report.opening import Origin

    return Origin(
        day=datetime.now().astimezone().date().isoformat(),
        version=version("dwindle"),
        command=shlex.join(["dwindle", *map(str, words)]),
        study_file=study_file,
    )


def _show_study(stored: "Stored", origin: "Origin | None", to: Outputs) -> int:
    from dwindle.findings.build import findings_of
    from dwindle.store.store import study_from_stored

    study = study_from_stored(stored)
    findings = findings_of(study)
    # Failed trainings are in no table: each reason is printed once, with its count.
    errors = Counter(outcome.error for _, outcome in study.rows if outcome.error)
    for text, count in errors.items():
        note(f"{counted(count, 'training')} failed: {text}", style="red")
    if not to.as_json:
        # First what cannot fail: a page may find no room, a picture nothing to show.
        from dwindle.report.terminal import print_findings

        print_findings(findings, stdout())
    if to.html is not None or to.png is not None:
        from dwindle.report.page import write_page, write_picture

        to.write(findings, origin, page=write_page, picture=write_picture)
    if to.as_json:
        print_json(findings.as_dict())
    return errors.total()


def _show_found(
    stored: "Stored", stopped: str | None, origin: "Origin | None", to: Outputs
) -> int:
    from dwindle.finding.found import found_of
    from dwindle.finding.records import find_from_stored

    find = find_from_stored(stored)
    if find.spec.target or len(find.scales) > 1:
        from dwindle.tuning.cells import cells_of_find
        from dwindle.tuning.tuned import tuned_of

        tuned = tuned_of(cells_of_find(find), find.spec.target)
        show_own(tuned, origin, to)
        return find.failed
    found = found_of(find, stopped)
    show_own(found, origin, to)
    # Without any penalty (C = inf) some cannot train: that is no failure of the search.
    return sum(
        each.status == "error" and not math.isinf(each.value) for each in found.curve
    )


def show_own(shown: "Found | Tuned", origin: "Origin | None", to: Outputs) -> None:
    """Print what trainings of one's own show; write its page and picture if asked."""
    if not to.as_json:
        stdout().print(shown, crop=False)
    if to.html is not None or to.png is not None:
        from dwindle.finding.found import Found
        from dwindle.finding.page import page_of_found, write_page, write_picture
        from dwindle.tuning.page import page_of_tuned

        page = (
            page_of_found(shown) if isinstance(shown, Found) else page_of_tuned(shown)
        )
        to.write(page, origin, page=write_page, picture=write_picture)
    if to.as_json:
        print_json(shown.as_dict())


def _print_trial(store: Path, trial: int) -> None:
    """Print the kept output of a training, with nothing in it that acts."""
    from dwindle.finding.driver import output_folder
    from dwindle.finding.output import readable
    from dwindle.finding.records import find_from_stored
    from dwindle.store.store import read_store

    stored = read_store(store)
    if stored.kind != "own":
        must, got = "--trial must come with the store of a find.", f"{store}, a study"
        raise UsageError(must, got, "The trainings of a study print nothing.")
    found = {trial.number: outcome for trial, outcome in find_from_stored(stored).rows}
    if trial not in found:
        there = f"one from 1 to {max(found)}" if found else "absent: none has ended"
        raise RangeError("--trial", trial, there)
    output = output_folder(store) / f"{trial}.txt"
    if output.is_file():
        print(readable(output.read_bytes()).rstrip("\n"))
    elif found[trial].error:
        print(readable(str(found[trial].error)))
    else:
        note(f"Training {trial} printed nothing, or its output was deleted.")
