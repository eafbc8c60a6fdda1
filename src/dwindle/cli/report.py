"""dwindle report: what a study found, from its store; needs no torch."""

import math
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dwindle.cli.options import Option, read_whole
from dwindle.cli.output import note, print_json, stdout
from dwindle.errors import RangeError, UsageError
from dwindle.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from dwindle.finding.found import Found
    from dwindle.findings.model import Answer, Findings
    from dwindle.report.opening import Origin
    from dwindle.report.vega import Spec
    from dwindle.store.store import Stored
    from dwindle.tuning.tuned import Tuned

# Exit code of a command some of whose trainings failed: what it shows lacks them.
_FAILED = 3
FORCE = Option("--force", "replace a file that dwindle did not write")
PNG = Option("--png", "write the main figure as a picture, too", "PICTURE")
OUTPUTS = (
    Option("--html", "write what was found as one page, too", "PAGE"),
    PNG,
    FORCE,
)
OPTIONS = (
    Option("STORE", "the store of a study, such as my-study.db", required=True),
    *OUTPUTS,
    Option("--trial", "print the kept output of training N of a find", "N", read_whole),
)


class Display(NamedTuple):
    """What was found, in each way that it is shown."""

    draw: "Callable[[Console], None]"
    record: Callable[[], object]  # what JSON has
    page: "Callable[[Origin | None], str]"
    picture: "Callable[[], Spec]"


def of_study(found: "Answer | Findings") -> Display:
    """Return how a study, or the answer, is shown."""
    from dwindle.findings.conclusion import answer_as_dict
    from dwindle.findings.model import Answer
    from dwindle.report.page import picture_of, render_page
    from dwindle.report.terminal import print_found

    return Display(
        lambda console: print_found(found, console),
        lambda: answer_as_dict(found) if isinstance(found, Answer) else found,
        lambda origin: render_page(found, origin),
        lambda: picture_of(found),
    )


def of_own(found: "Found | Tuned") -> Display:
    """Return how a find or a tune is shown."""

    def page(origin: "Origin | None") -> str:
        from dwindle.finding.page import render_page

        return render_page(content(), origin)

    def content() -> Any:  # a page of a find or a tune
        from dwindle.finding.found import Found
        from dwindle.finding.page import page_of_found
        from dwindle.tuning.page import page_of_tuned

        if isinstance(found, Found):
            return page_of_found(found)
        return page_of_tuned(found)

    return Display(
        lambda console: console.print(found, crop=False),
        found.as_dict,
        page,
        lambda: content().picture,
    )


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where a command shows what it found, as it was typed: pages, pictures, JSON."""

    html: str | None
    png: str | None
    force: bool
    as_json: bool

    @classmethod
    def checked(
        cls,
        arguments: Mapping[str, Any],
        inputs: Sequence[str | Path],
        *,
        as_json: bool,
    ) -> Self:
        """Return the outputs among the arguments of a command.

        A path that could not be written is refused, before anything is trained or
        printed; ``inputs`` are files that must stay.
        """
        from dwindle.report.writing import check_target

        html, png, force = arguments["html"], arguments["png"], arguments["force"]
        named = [output for output in (html, png) if output is not None]
        for number, output in enumerate(named):
            check_target(output, force=force, inputs=(*inputs, *named[:number]))
        return cls(html=html, png=png, force=force, as_json=as_json)

    def show(
        self, found: Display, *words: str | Path | None, study_file: str = ""
    ) -> None:
        """Print what was found; write the page and the picture if they are wanted."""
        # First what cannot fail: a page may find no room, a picture nothing to show.
        if not self.as_json:
            found.draw(stdout())
        if self.html is not None:
            from datetime import datetime
            from importlib.metadata import version

            from dwindle.report.opening import Origin

            origin = Origin(
                day=datetime.now().astimezone().date().isoformat(),
                version=version("dwindle"),
                command=shlex.join(["dwindle", *map(str, words)]),
                study_file=study_file,
            )
            self._write(self.html, found.page(origin).encode())
        if self.png is not None:
            from dwindle.report import render, writing

            picture = writing.marked_picture(render.png(found.picture()))
            self._write(self.png, picture)
        if self.as_json:
            print_json(found.record())

    def _write(self, path: str, content: bytes) -> None:
        from dwindle.report.writing import write_whole

        write_whole(path, content, force=self.force)
        note(f"Wrote {path}")


def command(*, store: str, trial: int | None, as_json: bool, **arguments: Any) -> None:
    """Report what a study or a find showed: a table, JSON, or one whole page.

    One that still runs, or was stopped, is reported as far as it came.
    """
    path = Path(store)
    to = Outputs.checked(arguments, files_of_store(path), as_json=as_json)
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
    """Show what a store has, and return how many of its trainings failed.

    ``stopped`` is why a find stopped, where its trainings do not show it.
    """
    from dwindle.store.store import read_store, study_from_stored

    stored = read_store(store)
    if stored.kind == "own":
        found, failed = _found_in(stored, stopped)
    else:
        from dwindle.findings.build import findings_of

        study = study_from_stored(stored)
        # Failed trainings are in no table: each reason is printed once, with its count.
        errors = Counter(outcome.error for _, outcome in study.rows if outcome.error)
        for text, count in errors.items():
            note(f"{counted(count, 'training')} failed: {text}", style="red")
        found, failed = of_study(findings_of(study)), errors.total()
    to.show(found, "report", store, "--html", to.html, study_file=study_file)
    return failed


def show_kept(store: Path, to: Outputs, **more: Any) -> int:
    """Print where results are kept, show them, and return the exit code.

    ``more`` is as :func:`show_findings` has it.
    """
    shown = shlex.quote(str(store))
    note(f"Results are kept in {store}; dwindle report {shown} shows them again.")
    if not show_findings(store, to, **more):
        return 0
    note("Run the same line again to train what failed once more.")
    return _FAILED


def _found_in(stored: "Stored", stopped: str | None) -> tuple[Display, int]:
    from dwindle.finding.found import found_of
    from dwindle.finding.records import find_from_stored

    find = find_from_stored(stored)
    if find.spec.target or len(find.scales) > 1:
        from dwindle.tuning.cells import cells_of_find
        from dwindle.tuning.tuned import tuned_of

        return of_own(tuned_of(cells_of_find(find), find.spec.target)), find.failed
    found = found_of(find, stopped)
    # Without any penalty (C = inf) some cannot train: that is no failure of the search.
    failed = sum(
        each.status == "error" and not math.isinf(each.value) for each in found.curve
    )
    return of_own(found), failed


def _print_trial(store: Path, trial: int) -> None:
    """Print the kept output of a training, without control characters."""
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
