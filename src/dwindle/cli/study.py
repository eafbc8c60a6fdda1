"""dwindle study: measure the best weight decay over scale, as a study file defines."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.cli import on_ray
from dwindle.cli.options import Option, read_count, read_one_of, read_with
from dwindle.cli.output import answer, stderr
from dwindle.cli.report import OUTPUTS, Outputs, files_of_store, show_kept
from dwindle.errors import UsageError
from dwindle.show import Column, Table
from dwindle.wording import counted, quantity

if TYPE_CHECKING:
    from dwindle.store.records import Scale
    from dwindle.store.spec import StudySpec
    from dwindle.study.backends import Backend
    from dwindle.study.plan import Pack

_BACKENDS = {name: name for name in ("processes", "inline")}
_MOST_WORKERS = 1024  # each is a process that loads torch: more is a slip
WORKERS = Option(
    "--workers",
    "how many processes train at a time",
    "N",
    read_count(_MOST_WORKERS),
)
# Powers of 1024, as the system counts memory.
_BYTES = {
    f"{letter}{end}": 1 << 10 * power
    for power, letter in enumerate(("", "k", "m", "g", "t"))
    for end in ("", "b", "ib")
}
read_bytes = read_with(_BYTES, "a size of memory", "4G", "512M", kind=int)
OPTIONS = (
    Option("STUDY.toml", "the study file", required=True),
    Option("--store", "where results are kept; beside the file if not given", "PATH"),
    Option(
        "--backend",
        "processes (as many as cores) or inline",
        "NAME",
        read_one_of(_BACKENDS),
    ),
    WORKERS,
    Option(
        "--memory", "most that training may use; half of what is free", "4G", read_bytes
    ),
    Option("--dry-run", "print the plan and its cost, and train nothing"),
    *OUTPUTS,
    *on_ray.OPTIONS,
)


def command(
    *,
    study_toml: str,
    memory: int | None,
    dry_run: bool,
    as_json: bool,
    **arguments: Any,
) -> int:
    """Train what a study file defines, and report what was found.

    Every finished pack of trainings is kept at once: after an interruption the same
    command continues the study. A small study file, whole:

        [study]
        problem = "digits-mlp"          # or digits-logistic, fashion-mlp
        [optimizer]
        name = "sgd"                    # or adamw, adam
        lr = 0.05
        [base]
        width = 64
        depth = 2                       # hidden layers
        batch_size = 32
        dataset_size = 600
        epochs = 30
        [weight_decay]
        low = 1e-5                      # ends of the grid of decays
        high = 0.1
        [axes]                          # also depth, dataset_size, epochs, lr
        width = [16, 32, 64]
        batch_size = { values = [8, 16, 32], lr = "linear" }

    Further keys, and all defaults: docs/study-file.md in the repository.
    """
    from dwindle.study.study_file import read_study_file

    file = Path(study_toml)
    spec = read_study_file(file)
    if dry_run:
        _print_plan(spec, _workers(arguments), memory, as_json=as_json)
        return 0
    path = Path(arguments["store"]) if arguments["store"] else file.with_suffix(".db")
    to = Outputs.checked(arguments, (file, *files_of_store(path)), as_json=as_json)
    # Imported here: torch takes seconds, and errors of the input are raised before it.
    from dwindle.study.driver import run_study
    from dwindle.study.progress import shown_on

    with ExitStack() as stack:
        chosen = _backend(stack, spec, arguments)
        stack.callback(chosen.close)
        on_progress = stack.enter_context(shown_on(stderr()))
        run_study(spec, path, chosen, on_progress, memory)
    return show_kept(path, to, study_file=study_toml)


def _backend(
    stack: ExitStack, spec: "StudySpec", arguments: dict[str, Any]
) -> "Backend":
    """Return the chosen backend; the stack disconnects from a cluster."""
    from dwindle.study.backends import Inline, Processes, RayPacks
    from dwindle.study.driver import first_packs

    if cluster := on_ray.cluster_from(arguments):
        stack.enter_context(cluster)
        if arguments["backend"] or arguments["workers"]:
            must, got = "Packs must train in one place.", "--backend or --workers"
            remedy = f"Leave out {got}: what fits on Ray trains at a time."
            raise UsageError(must, f"{got} beside Ray", remedy)
        return RayPacks(cluster)
    if arguments["backend"] == "inline":
        return Inline()
    most = _workers(arguments)
    # A worker takes seconds to load: more than there are packs would only wait.
    packs = len(first_packs(spec, workers=most))
    return Processes(min(most, packs), problem=spec.problem)


def _workers(arguments: dict[str, Any]) -> int:
    """Return how many packs train at a time: --workers, or one for each core."""
    from dwindle.study.machine import cores

    return 1 if arguments["backend"] == "inline" else arguments["workers"] or cores()


def _print_plan(
    spec: "StudySpec", workers: int, memory: int | None, *, as_json: bool
) -> None:
    from dwindle.study.driver import first_packs

    packs = first_packs(spec, workers=workers, memory_bytes=memory)
    trainings = sum(len(pack.trials) for pack in packs)
    seconds = sum(pack.cost for pack in packs) / workers
    totals = {
        "study": spec.name,
        "trainings": trainings,
        "packs": len(packs),
        "workers": workers,
        # Two digits: the speeds were fitted on another machine.
        "seconds": float(f"{seconds:.2g}"),
    }
    last = (
        f"{counted(trainings, 'training')} in {counted(len(packs), 'pack')}, about "
        f"{seconds:.2g} s on {counted(workers, 'worker')} (a guess until "
        "measured; a cell whose best decay lies at an edge of the grid gets up to "
        "6 decays more)."
    )
    answer(totals, _plan_table(packs), last, as_json=as_json)


def _plan_table(packs: "Sequence[Pack]") -> Table:
    names = ("width", "depth", "batch_size", "dataset_size", "epochs", "lr")
    trainings: Counter[Scale] = Counter()
    seconds: defaultdict[Scale, float] = defaultdict(float)
    for pack in packs:
        trainings[pack.scale] += len(pack.trials)
        seconds[pack.scale] += pack.cost
    rows = [
        (
            *(f"{getattr(scale, name):g}" for name in names),
            str(count),
            f"{seconds[scale]:.1f}",
        )
        for scale, count in trainings.items()
    ]
    titles = (*map(quantity, names), "trainings", "worker seconds")
    return Table(columns=[Column(each, "number") for each in titles], rows=rows)
