"""dwindle answer: the question answered with networks trained in front of you."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.cli.options import Option
from dwindle.cli.output import stderr
from dwindle.cli.report import FORCE, PNG, Outputs, files_of_store, of_study
from dwindle.cli.study import WORKERS

if TYPE_CHECKING:
    from rich.console import Console

    from dwindle.findings.model import Answer, Claim
    from dwindle.store.spec import StudySpec
    from dwindle.study.driver import OnProgress, StudyProgress

_FOLDER = "dwindle-answer"

OPTIONS = (
    Option("--quick", "SGD over width, batch and data size, 5 seeds: half a minute"),
    Option("--out", f"folder for the page and the stores; {_FOLDER}", "DIR"),
    PNG,
    WORKERS,
    FORCE,
)


def command(
    *,
    quick: bool,
    out: str | None,
    workers: int | None,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Answer whether L2 regularization should be corrected for scale.

    The claims of the question and of its answer are checked live, hundreds of networks
    are trained on real data, and every published rule is held against what came out.
    The trainings of the studies are kept, and the same command again continues them;
    the claims are checked anew each time.
    """
    from dwindle.answer.studies import FULL, QUICK

    folder = Path(out or _FOLDER)
    studies, page = (QUICK if quick else FULL), folder / "report.html"
    stores = [at for name in studies for at in files_of_store(folder / name)]
    to = Outputs.checked({**arguments, "html": str(page)}, stores, as_json=as_json)
    answer = _answer(studies, folder, workers)
    kind = ("--quick",) if quick else ()
    to.show(of_study(answer), "answer", *kind, "--out", folder)


def _answer(
    studies: "Mapping[str, StudySpec]", folder: Path, workers: int | None
) -> "Answer":
    from dwindle.answer.whole import give_answer
    from dwindle.study.backends import Processes
    from dwindle.study.progress import shown_on

    console = stderr()
    (problem,) = {spec.problem for spec in studies.values()}
    # The workers load their libraries while the claims are checked.
    with (
        Processes(workers, problem=problem) as backend,
        shown_on(console) as on_progress,
    ):
        audience = _Listeners(console, on_progress)
        return give_answer(studies, folder, backend=backend, audience=audience)


@dataclass(frozen=True)
class _Listeners:
    """Prints claims as they are checked, above the bars of the studies."""

    console: "Console"
    show: "OnProgress"

    def on_claim(self, title: str, claim: "Claim") -> None:
        # Into a file the claims come once, with the whole answer.
        if self.console.is_terminal:
            from dwindle.report.page import MARKS

            mark = MARKS[claim.verdict]
            sign = f"[{mark.style}]{mark.sign}[/]"
            self.console.print(f"{sign} {title}: {claim.number}")

    def on_progress(self, progress: "StudyProgress") -> None:
        self.show(progress)
