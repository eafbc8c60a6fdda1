"""``dwindle.tune`` and ``dwindle.predict``: from small scales to a large one."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwindle.errors import UsageError

if TYPE_CHECKING:
    from dwindle.finding.driver import OnProgress, OnWarning, SearchPlan, Settings
    from dwindle.finding.search import Train
    from dwindle.study.cluster import Cluster
    from dwindle.tuning.tuned import Tuned

Proxies = Mapping[str, Sequence[float]]
Scale = Mapping[str, float]
# Least and greatest spread of a guess, as a standard deviation in ln λ.
_SPREADS = (0.3, 0.8)


def plan_cells(proxies: Proxies, target: Scale, fixed: Scale) -> tuple[Scale, ...]:
    """Return the scales to train: one axis at a time, from the first of every axis.

    Other quantities are as at the target, unless they are fixed.

    Raises:
        UsageError: If no axis has two values, or the target leaves one out.

    Example:
        >>> cells = plan_cells(
        ...     {"width": [64, 128], "depth": [2, 4]}, {"width": 512, "depth": 8}, {}
        ... )
        >>> [tuple(cell.values()) for cell in cells]
        [(64.0, 2.0), (128.0, 2.0), (64.0, 4.0)]

    """
    for name, values in proxies.items():
        if len(set(values)) < 2:  # noqa: PLR2004 - a line needs two points
            must = "An axis of proxies must have two values or more: a law needs them."
            got = f"{name} = {values[0]:g}" if values else f"no {name}"
            raise UsageError(must, got, f"Write --proxy {name}=64,128,256.")
        if name not in target:
            must = f"The target must give its {name}: the proxies differ in it."
            raise UsageError(must, "none", f"Write --target {name}=1024.")
    if not proxies:
        must = "A tune must have proxies."
        raise UsageError(must, "none", "Write --proxy width=64,128,256.")
    base = {**target, **fixed, **{name: values[0] for name, values in proxies.items()}}
    cells: list[Scale] = []
    for name, values in proxies.items():
        for value in values:
            cell = {key: float(number) for key, number in {**base, name: value}.items()}
            if cell not in cells:
                cells.append(cell)
    return tuple(cells)


def run_tune(  # noqa: PLR0913, PLR0917, as run_search, with the scales
    search_at: Callable[[Scale], "SearchPlan"],
    cells: Sequence[Scale],
    target: Scale,
    store: Path,
    settings: "Settings",
    on_progress: "OnProgress",
    on_warning: "OnWarning" = lambda _: None,
) -> None:
    """Search cell by cell, each from the value that the cells before predict.

    After any stop the same call goes on: what a cell starts from follows from the
    store, which has all cells before it.
    """
    from dwindle.finding.driver import run_search

    for number, cell in enumerate(cells):
        with closing(search_at(cell)) as search:
            guess, spread = _guess(store, cells[:number], cell)
            spec = replace(
                search.spec,
                cells=tuple(map(dict, cells)),
                target=dict(target),
                guess=guess or search.spec.guess,
                guess_spread=spread,
            )
            at = replace(search, spec=spec)
            if run_search(at, store, settings, on_progress, on_warning) == "time":
                return


def _guess(
    store: Path, before: Sequence[Scale], cell: Scale
) -> tuple[float | None, float]:
    """Return the expected best decay of a cell, and the spread of that guess."""
    least, most = _SPREADS
    if not before:
        return None, most
    from dwindle.tuning.cells import cells_in

    stored = cells_in(store)
    known = tuple(cell for cell in stored.cells if cell.scale in before)
    cells = replace(stored, cells=known)
    if not cells.usable:
        return None, most
    axes = tuple(name for name in cell if len({c[name] for c in (*before, cell)}) > 1)
    at = cells.law(axes).at(cell)
    # Few digits: after a stop the same guess must come of the same trainings.
    return float(f"{math.exp(at.value):.3g}"), min(max(at.sd, least), most)


def tune(  # noqa: PLR0913, each is an option
    train: "Train",
    *,
    proxies: Proxies,
    target: Scale,
    knob: object,
    low: float,
    high: float,
    scale: Scale | None = None,
    run: Any = None,  # facts in any form that find takes
    typed: object = None,
    metric: str = "loss",
    maximize: bool | None = None,
    trainings: int = 25,
    within: float = 1.25,
    jobs: int | None = None,
    ray: "bool | str | Cluster" = False,
    seconds: float | None = None,
    timeout: float | None = None,
    store: str | Path | None = None,
    accept_change: bool = False,
) -> "Tuned":
    """Find the best decay at several small scales, and carry it to a large one by law.

    Args:
        train: A training as :func:`dwindle.find` takes it, of the scale, too.
        proxies: The small scales, axis by axis: ``{"width": [64, 128, 256]}``.
        target: The large one: ``{"width": 1024}``. What is no proxy is the same in all.
        knob: Where the decay is typed.
        low: Least decay of the range of the first scale, above 0.
        high: Greatest one.
        scale: Quantities that the proxies have and the target has otherwise.
        run: Facts of the training.
        typed: Where the training types its number, where the knob is a half-life.
        metric: Key of the loss in a dict; of a command, how the loss is printed.
        maximize: Whether larger is better; if left out, the name of the metric decides:
            ``val_accuracy`` is maximized.
        trainings: The most trainings of a scale.
        within: Factor at which the interval of a scale is narrow enough.
        jobs: Trainings at a time; one, or as many as Ray has room for.
        ray: Where they run, as :func:`dwindle.find` takes it.
        seconds: After these no further training of a scale begins.
        timeout: Seconds after which a single training is ended.
        store: The file of results: with it the same call goes on after any stop.
        accept_change: Go on although the training is another one than in the store.

    Returns:
        The value at the target with its predictive interval, and every rule.

    Raises:
        UsageError: If there are too few proxies, or the training gets no such scale.
        StudyStoppedError: On Ctrl-C; what has ended is in the store.

    Example:
        >>> def train(weight_decay, seed, width):
        ...     best = 6.4 / width
        ...     return 1 + (weight_decay / best - 1 - seed / 1000) ** 2
        >>> tuned = tune(
        ...     train,
        ...     proxies={"width": [64, 128]},
        ...     target={"width": 256},
        ...     knob="torch.optim.SGD",
        ...     low=1e-3,
        ...     high=1,
        ... )
        >>> tuned.extrapolates
        {'width': 2.0}

    """
    from dwindle.finding.face import under_way
    from dwindle.finding.metric import Metric
    from dwindle.finding.search import search_of
    from dwindle.finding.unit import Unit

    cells = plan_cells(proxies, target, scale or {})
    unit = Unit.from_given(knob, typed, run)

    def search_at(cell: Scale) -> "SearchPlan":
        return search_of(
            train=train,
            metric=Metric(text=metric, maximize=maximize),
            unit=unit,
            low=low,
            high=high,
            trainings=trainings,
            within=within,
            scale=cell,
        )

    with under_way(
        *(store, "tune", ray),
        jobs=jobs,
        seconds=seconds,
        timeout_s=timeout,
        accept_change=accept_change,
    ) as (path, settings, on_progress):
        run_tune(search_at, cells, target, path, settings, on_progress)
        return predict(path, target=target)


def predict(store: str | Path, *, target: Scale | None = None) -> "Tuned":
    """Predict the best decay of a scale from a store of finished trainings.

    Nothing is trained, imported or started.

    Args:
        store: A store of ``find``, ``tune``, or of a built-in study.
        target: The scale; that of the tune when None.

    Returns:
        The value at the target with its predictive interval, and every rule.

    Raises:
        UsageError: If the store has no scales, there is no target, or it leaves out
            what differs.
        UnknownNameError: If it names what no training in the store has.
        StoreError: If the store cannot be read.

    """
    from dwindle.tuning.cells import cells_in
    from dwindle.tuning.tuned import tuned_of

    cells = cells_in(store)
    if not any(cell.scale for cell in cells.cells):
        must = "A prediction must have trainings at several scales."
        got = f"a find of {cells.name} at one scale, which has no name"
        remedy = (
            "Train at some: the line of the find, with tune instead of find, --proxy "
            "width=64,128,256 --target width=1024, and {width} in the command."
        )
        raise UsageError(must, got, remedy)
    wanted = target or cells.target
    if not wanted:
        must = "A prediction must have a target."
        raise UsageError(must, "none", "Write --target width=1024.")
    return tuned_of(cells, wanted)
