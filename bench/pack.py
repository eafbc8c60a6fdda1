"""Time packs against plain loops on the same trainings; print a table, write JSON.

Every way of training starts from the same weights and sees the same minibatches; the
final losses must agree. Workers of both parallel ways are started, and have loaded
what they need, before the clock starts. Repeats are interleaved, so that a busy moment
of the machine hits all ways alike, and medians are reported.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Self

import tasks
import torch
from agreement import count_unequal
from baselines import loop, loop_on_all_cores
from grid_search import measure_grid_search_ms
from machine import best_seconds, measure_peak_gflops, seconds_of
from rich.console import Console
from rich.table import Table

from dwindle.store.records import Trial
from dwindle.study.backends import Processes
from dwindle.study.cost import pack_size
from dwindle.study.engine import engine_version
from dwindle.study.machine import cores
from dwindle.study.plan import even_parts

WIDTHS = (16, 64, 128, 256, 512)
SKLEARN_WIDTH = 64
ADAMW_WIDTH = 64
# From here on more trainings only add waiting: the loop times the 13 of one seed, the
# parallel ways the 26 of two.
WIDE = 256
MEMORY_CEILING = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; milliseconds are per training, None is not measured."""

    bench: str = "pack"
    optimizer: str
    width: int
    loop_ms: float | None
    parallel_loop_ms: float | None
    pack_ms: float
    ratio_vs_loop: float | None
    ratio_vs_parallel_loop: float | None
    ratio_vs_sklearn: float | None
    share_of_peak: float


@dataclass(frozen=True)
class Timing:
    """Milliseconds per training of one way, and the losses it ended with."""

    ms: float
    losses: dict[Trial, float]


Measured = tuple[str, int, dict[str, Timing], float | None]


class Bench:
    """Owns the workers of both parallel ways, started before anything is timed."""

    def __init__(self, settings: Sequence[tuple[str, int]], repeats: int) -> None:
        self._repeats = repeats
        os.environ["OMP_NUM_THREADS"] = "1"
        self._pool = ProcessPoolExecutor(
            cores(),
            multiprocessing.get_context("spawn"),
            tasks.prepare_worker,
            (tuple(settings),),
        )
        # One task per worker at once, so that each of them is up.
        list(self._pool.map(tasks.train_job, tasks.trials("sgd", 16)[: 2 * cores()]))
        del os.environ["OMP_NUM_THREADS"]
        self._processes = Processes(problem=tasks.DIGITS.name)
        self._train_packs(tasks.trials("sgd", 16)[: 2 * cores()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._processes.close()

    def measure(self, optimizer: str, width: int) -> dict[str, Timing]:
        """Return the median timing of each way."""
        trials = some = tasks.trials(optimizer, width)
        if width >= WIDE:
            trials, some = trials[: 2 * tasks.DECAYS], trials[: tasks.DECAYS]
        jobs = [tasks.job(trial) for trial in some]
        torch.set_num_threads(_faster_threads(jobs[0]))
        ways = {
            "loop": (some, lambda: loop(jobs)),
            "parallel": (trials, lambda: self._loop_on_all_cores(trials)),
            "pack": (trials, lambda: self._train_packs(trials)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        losses: dict[str, list[float]] = {}
        for _ in range(self._repeats):
            for name, (_, train) in ways.items():
                took, losses[name] = seconds_of(train)
                seconds[name].append(took)
        return {
            name: Timing(
                median(seconds[name]) / len(which) * 1e3,
                dict(zip(which, losses[name], strict=True)),
            )
            for name, (which, _) in ways.items()
        }

    def _loop_on_all_cores(self, trials: Sequence[Trial]) -> list[float]:
        return loop_on_all_cores(self._pool, trials, tasks.train_job)

    def _train_packs(self, trials: Sequence[Trial]) -> list[float]:
        losses: dict[Trial, float] = {}
        packs = _even_packs(trials)
        for trained in self._processes.run(packs):
            for trial, outcome in zip(
                packs[trained.index], trained.outcomes, strict=True
            ):
                losses[trial] = math.inf if outcome.loss is None else outcome.loss
        return [losses[trial] for trial in trials]


def _even_packs(trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """Cut the trials into even packs, as many for each core as for the others."""
    scale, options = trials[0].scale, trials[0].optimizer
    most = pack_size(scale, tasks.DIGITS, options, MEMORY_CEILING)
    rounds = math.ceil(len(trials) / (most * cores()))
    count = rounds * cores() if most > 1 else len(trials)
    return even_parts(tuple(trials), count)


def _faster_threads(job: tuple[tasks.Task, list[torch.Tensor], float]) -> int:
    """Return how many threads make the plain loop fastest."""

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        return best_seconds(lambda: loop([job]), 3)

    return min((1, cores()), key=seconds)


def _row(
    optimizer: str,
    width: int,
    timings: dict[str, Timing],
    sklearn_ms: float | None,
    peak: float,
) -> Row:
    pack_ms = timings["pack"].ms
    loop_ms, parallel_ms = timings["loop"].ms, timings["parallel"].ms
    return Row(
        optimizer=optimizer,
        width=width,
        loop_ms=loop_ms,
        parallel_loop_ms=parallel_ms,
        pack_ms=pack_ms,
        ratio_vs_loop=loop_ms / pack_ms,
        ratio_vs_parallel_loop=parallel_ms / pack_ms,
        ratio_vs_sklearn=None if sklearn_ms is None else sklearn_ms / pack_ms,
        share_of_peak=tasks.flops(width) / (pack_ms * 1e-3) / (peak * 1e9),
    )


def _print_table(console: Console, rows: Sequence[Row], peak: float) -> None:
    title = f"ms per training, engine {engine_version()}, peak {peak:.0f} GF/s"
    table = Table(title=title)
    for column in ("optimizer", "width", "loop", "all cores", "packs"):
        table.add_column(column, justify="right")
    for column in ("× loop", "× all", "× sklearn", "of peak"):
        table.add_column(column, justify="right")
    for row in rows:
        sklearn = "–" if row.ratio_vs_sklearn is None else f"{row.ratio_vs_sklearn:.1f}"
        table.add_row(
            row.optimizer,
            str(row.width),
            f"{row.loop_ms:.1f}",
            f"{row.parallel_loop_ms:.1f}",
            f"{row.pack_ms:.2f}",
            f"{row.ratio_vs_loop:.1f}",
            f"{row.ratio_vs_parallel_loop:.1f}",
            sklearn,
            f"{row.share_of_peak:.0%}",
        )
    console.print(table)


def _write(path: Path, rows: Sequence[Row], peak: float) -> None:
    """Write what is measured so far: a run that is cut off is not lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"peak_gflops": peak, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; return 1 if losses of the ways differ, 0 otherwise."""
    arguments = _arguments()
    console, settings = Console(), [("sgd", width) for width in arguments.widths]
    if ADAMW_WIDTH in arguments.widths:
        settings.append(("adamw", ADAMW_WIDTH))
    measured: list[Measured] = []
    peak, unequal = 0.0, 0
    with Bench(settings, arguments.repeats) as bench:
        for optimizer, width in settings:
            console.print(f"{optimizer}, width {width} …")
            timings = bench.measure(optimizer, width)
            sklearn_ms = None
            if (optimizer, width) == ("sgd", SKLEARN_WIDTH):
                sklearn_ms = measure_grid_search_ms(width, arguments.repeats)
            measured.append((optimizer, width, timings, sklearn_ms))
            losses = {name: timing.losses for name, timing in timings.items()}
            unequal += count_unequal(losses, console)
            # The best of all times, for the machine may be busy at any of them.
            peak = max(peak, measure_peak_gflops())
            rows = [_row(*one, peak) for one in measured]
            _write(arguments.out, rows, peak)
    _print_table(console, rows, peak)
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
