"""``dwindle.find``: the best weight decay of a training, from Python."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.decay.python_inputs import RunLike
from dwindle.errors import StudyStoppedError

if TYPE_CHECKING:
    from dwindle.finding.driver import OnProgress, Settings
    from dwindle.finding.found import Found
    from dwindle.finding.metric import Take
    from dwindle.finding.search import Train
    from dwindle.study.cluster import Cluster


@contextmanager
def under_way(
    store: "str | Path | None",
    name: str,
    ray: "bool | str | Cluster",
    **settings: Any,  # of Settings, each of its own type
) -> "Iterator[tuple[Path, Settings, OnProgress]]":
    """Yield the store of results, how trainings run, and what shows progress.

    Without a ``store``, a temporary one called ``name`` is removed after success.
    """
    from dwindle.finding.driver import Settings
    from dwindle.finding.progress import shown_here
    from dwindle.study.cluster import cluster_for

    with (
        _place_of_results(store, name) as path,
        cluster_for(ray) as cluster,
        shown_here() as on_progress,
    ):
        yield path, Settings(cluster=cluster, **settings), on_progress


@contextmanager
def _place_of_results(store: "str | Path | None", name: str) -> Iterator[Path]:
    """Yield the store of a search: the caller's, or one removed after success."""
    # After any error the folder stays: hours of training may be in it.
    if store is not None:
        yield Path(store)
        return
    folder = Path(tempfile.mkdtemp(prefix=f"dwindle-{name}-"))
    path = folder / f"{name}.db"
    try:
        yield path
    except StudyStoppedError as stopped:
        stopped.remedy = f'Call it again with store="{path}" to continue.'
        raise
    finally:
        if not path.exists():  # nothing was trained
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def find(  # noqa: PLR0913, each is an option
    train: "Train",
    *,
    knob: object,
    low: float,
    high: float,
    typed: object = None,
    run: RunLike | None = None,
    metric: str = "loss",
    take: "Take" = "last",
    maximize: bool | None = None,
    trainings: int = 25,
    within: float = 1.25,
    guess: float | None = None,
    zero: bool = True,
    scale: Mapping[str, float] | None = None,
    seconds: float | None = None,
    timeout: float | None = None,
    jobs: int | None = None,
    ray: "bool | str | Cluster" = False,
    store: str | Path | None = None,
    accept_change: bool = False,
) -> "Found":
    """Find the best weight decay of a training, and how sure it is.

    It trains a first seed at seven values and every further one at two, until the 90 %
    interval of the best value is narrow enough: typically 16 to 27 trainings.

    Args:
        train: A function of ``weight_decay`` and ``seed`` that returns a loss, a dict
            with ``"loss"``, or yields (step, loss); ``"module:function"``; or a command
            as a list of words with ``{weight_decay}`` and ``{seed}`` in them.
        knob: Where the decay is typed, ``"torch.optim.AdamW"`` or the class; or
            ``"half-life:epochs"``, with ``typed``.
        low: Least decay of the range, as it is typed at the knob, above 0.
        high: Greatest one.
        typed: Where the training types its number, where the knob is a half-life.
        run: Facts of the training, so that the half-life of the answer can be given.
        metric: Key of the loss in a dict; of a command, how the loss is printed.
        take: Which of several losses counts: the ``"last"``, ``"min"`` or ``"max"``.
        maximize: Whether larger is better; if left out, the name of the metric decides:
            ``val_accuracy`` is maximized.
        trainings: The most trainings.
        within: Factor at which the interval is narrow enough.
        guess: Where the best is expected.
        zero: Whether it is trained without decay, too: only that shows whether decay
            matters at all.
        scale: Quantities of scale that its trainings get by name, such as the width.
            A store may hold trainings of several scales.
        seconds: After these no further training begins.
        timeout: Seconds after which a single training is ended.
        jobs: Trainings at a time; one, or as many as Ray has room for.
        ray: Whether they run on a local Ray cluster, started for it; ``HOST:PORT`` of
            one that runs; or a :class:`~dwindle.study.cluster.Cluster`, with what a
            training needs: ``Cluster("10.0.0.1:6379", gpus=0.5)``.
        store: The file of results: with it the same call goes on after any stop.
            Without, results are only in what is returned.
        accept_change: Go on although the training is another one than in the store.

    Returns:
        The value to type with its interval, why, and every training.

    Raises:
        RangeError: If a number is impossible.
        UnknownNameError: If there is no such knob.
        UsageError: If the training takes no weight decay, or the cluster cannot be had.
        FirstTrainingError: If the first training gives no loss.
        NoEffectError: If the loss is the same for every weight decay.
        StudyStoppedError: On Ctrl-C; what has ended is in the store.
        StoreError: If the store is another training's, or cannot be used.

    Example:
        >>> def train(weight_decay, seed):
        ...     return 1 + (weight_decay - 0.1 - seed / 1000) ** 2
        >>> found = find(train, knob="torch.optim.SGD", low=1e-3, high=1, trainings=8)
        >>> found.trainings, found.stopped_because
        (8, 'trainings')

    """
    # Imported here, with numpy: importing dwindle must stay fast.
    from dwindle.finding.driver import run_search
    from dwindle.finding.found import found_of
    from dwindle.finding.metric import Metric
    from dwindle.finding.records import find_from_stored
    from dwindle.finding.search import search_of
    from dwindle.finding.unit import Unit
    from dwindle.store.store import read_store

    read = Metric(text=metric, take=take, maximize=maximize)
    search = search_of(
        train=train,
        metric=read,
        unit=Unit.from_given(knob, typed, run),
        low=low,
        high=high,
        trainings=trainings,
        within=within,
        guess=guess,
        zero=zero,
        scale=scale,
    )
    with (
        closing(search),
        under_way(
            *(store, "find", ray),
            jobs=jobs,
            seconds=seconds,
            timeout_s=timeout,
            accept_change=accept_change,
        ) as (path, settings, on_progress),
    ):
        stopped = run_search(search, path, settings, on_progress)
        return found_of(find_from_stored(read_store(path)), stopped)
