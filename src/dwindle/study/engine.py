"""Train a pack of networks at once and say what each ended with."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dwindle.decay.penalties import layer_coefficients
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError
from dwindle.store.records import Outcome, Scale, Trial
from dwindle.study.batches import Samples
from dwindle.study.compiler import compiled_steps
from dwindle.study.evaluation import evaluate, sums_of_squares
from dwindle.study.layout import Layout
from dwindle.study.optimizers import Pack
from dwindle.study.problem import Problem, layer_shapes
from dwindle.study.problems import load_once
from dwindle.study.sampling import epoch_order, initial_weights, training_subset
from dwindle.study.steps import steps_for
from dwindle.study.watch import Watch

# Raise the number whenever the same trial would come out differently. Compiled steps
# round in another order than PyTorch's: their results are kept apart.
# 3: every seed has its own validation split; before, all seeds shared one.
ENGINE_VERSION = "3+compiled" if compiled_steps("float32") else "3+torch"

EpochsDone = Callable[[int, int], None]


def train_pack(
    trials: Sequence[Trial],
    *,
    problem: Problem,
    dtype: str = "float32",
    device: str = "cpu",
    on_epoch: EpochsDone | None = None,
) -> list[Outcome]:
    """Train all trials at once, one thread, and return their outcomes in order.

    The models share problem, optimizer, normalization and scale but for the lr; λ, lr
    and seed are each model's own. A model that diverges ends as ``diverged`` and does
    not touch the others.

    Args:
        trials: The pack, at least one trial.
        problem: The task that all of them name.
        dtype: ``float32``, or ``float64`` for checks.
        device: A torch device.
        on_epoch: Called after every epoch with (epochs done, epochs in all).

    Raises:
        RangeError: If the trials cannot be one pack, or a size is out of range.

    """
    _check(trials, problem)
    start = time.perf_counter()
    # Models of a seed lie side by side, for they share their minibatches.
    order = sorted(range(len(trials)), key=lambda i: trials[i].seed)
    with _one_thread(), torch.inference_mode():
        run = _Run([trials[i] for i in order], problem, dtype, device)
        run.train(on_epoch)
        sorted_outcomes = run.outcomes(start)
    outcomes: dict[int, Outcome] = dict(zip(order, sorted_outcomes, strict=True))
    return [outcomes[i] for i in range(len(trials))]


def _check(trials: Sequence[Trial], problem: Problem) -> None:
    if not trials:
        raise RangeError("trials", "none", "at least one")
    alike = {replace(t, weight_decay=0, seed=0, scale=_any_lr(t.scale)) for t in trials}
    if len(alike) != 1 or trials[0].problem != problem.name:
        _refuse_mixture(len(alike))
    _check_sizes(trials[0].scale, problem)
    for trial in trials:
        _require("lr", trial.scale.lr, "above 0", holds=trial.scale.lr > 0)
        decay = trial.weight_decay
        _require("weight_decay", decay, "0 or more", holds=decay >= 0)


def _check_sizes(scale: Scale, problem: Problem) -> None:
    size, pool = scale.dataset_size, problem.pool_size
    must = f"in 1 … {pool}, the pool of {problem.name}"
    _require("dataset_size", size, must, holds=1 <= size <= pool)
    must = f"in 1 … {size}, the size of the training set"
    _require("batch_size", scale.batch_size, must, holds=1 <= scale.batch_size <= size)


def _require(name: str, value: float, must: str, *, holds: bool) -> None:
    if not holds:
        raise RangeError(name, value, must)


def _refuse_mixture(kinds: int) -> NoReturn:
    must = "alike but for weight_decay, seed and lr, and of the problem given"
    raise RangeError(name="trials of a pack", value=f"{kinds} kinds", must=must)


def _any_lr(scale: Scale) -> Scale:
    return replace(scale, lr=1.0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread per pack, denormal numbers off: they cost time and mean nothing."""
    threads = torch.get_num_threads()
    tiny = torch.tensor(1e-40)
    had_denormals = bool(tiny * 1 != 0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(not had_denormals)


@dataclass(frozen=True)
class _Group:
    """The models of one seed."""

    seed: int
    models: slice
    train: Samples


class _Run:
    """A pack in training. It owns the weights and everything that changes with them."""

    def __init__(
        self, trials: Sequence[Trial], problem: Problem, dtype: str, device: str
    ) -> None:
        self._trials = trials
        self._scale = trials[0].scale
        shapes = layer_shapes(problem, self._scale)
        self._layout = layout = Layout(
            shapes, len(trials), getattr(torch, dtype), torch.device(device)
        )
        self._problem = problem
        self._groups = _groups(trials, problem, layout)
        self._coefficients = layer_coefficients(trials[0].normalization, shapes)
        self._weights = _initial(layout, self._groups)
        sizes = [self._scale.batch_size] * self._scale.steps_per_epoch
        sizes[-1] = self._scale.dataset_size - sum(sizes[:-1])
        self._watch = Watch(layout.models, sizes)

    def train(self, on_epoch: EpochsDone | None) -> None:
        """Take all steps, or those until no model is left that has not diverged."""
        scale, options = self._scale, self._trials[0].optimizer
        groups = [(group.models, group.train) for group in self._groups]
        steps = steps_for(self._pack(), options, groups, scale.batch_size)
        schedule = Schedule(
            shape=options.schedule,  # type: ignore[arg-type] # Schedule checks it
            warmup=options.warmup,
            final=options.final_lr,
        )
        lrs = [scale.lr * share for share in schedule.multipliers(scale.steps)]
        starts = range(0, scale.steps, scale.steps_per_epoch)
        for epoch, first in enumerate(starts):
            sums = steps.epoch(
                self._orders(epoch), first, lrs[first : first + scale.steps_per_epoch]
            )
            self._watch.look(first, sums)
            if on_epoch is not None:
                on_epoch(epoch + 1, len(starts))
            if self._watch.all_gone():
                break
        steps.finish()

    def _orders(self, epoch: int) -> list[NDArray[np.int64]]:
        size = self._scale.dataset_size
        return [epoch_order(group.seed, epoch, size) for group in self._groups]

    def _pack(self) -> Pack:
        def doubles(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64)

        decays = doubles([trial.weight_decay for trial in self._trials])
        ratios = doubles([trial.scale.lr / self._scale.lr for trial in self._trials])
        spread = doubles(self._coefficients)[:, None]
        return Pack(self._layout, self._weights, spread * decays, ratios)

    def outcomes(self, start: float) -> list[Outcome]:
        """Evaluate all models and say what each ended with."""
        ended = [each for group in self._groups for each in self._ended(group)]
        seconds = (time.perf_counter() - start) / len(self._trials)
        return [replace(outcome, seconds=seconds) for outcome in ended]

    def _ended(self, group: _Group) -> Iterator[Outcome]:
        data, rows = load_once(self._problem), self._problem.split(group.seed).valid
        valid = Samples(self._layout, data.x[rows], data.y[rows])
        for model in range(group.models.start, group.models.stop):
            yield self._outcome(model, group.train, valid)

    def _outcome(self, model: int, trained_on: Samples, held_out: Samples) -> Outcome:
        weights = self._layout.weights_of(self._weights, model)
        train, valid = evaluate(weights, trained_on), evaluate(weights, held_out)
        steps, squares = self._scale.steps, sums_of_squares(weights)
        finite = all(map(math.isfinite, (valid.loss, train.loss, *squares)))
        at = self._watch.diverged_at[model]
        if at is not None or not finite:
            return Outcome(
                status="diverged",
                steps=steps,
                seconds=0.0,
                diverged_at_step=at or steps,
                last_finite_loss=self._watch.last_finite[model],
            )
        weighted = zip(self._coefficients, squares, strict=True)
        counts = [fan_in * fan_out for fan_in, fan_out in self._layout.shapes]
        return Outcome(
            status="ok",
            steps=steps,
            seconds=0.0,
            loss=valid.loss,
            accuracy=valid.accuracy,
            train_loss=train.loss,
            sum_of_squares=sum(squares),
            penalty=self._trials[model].weight_decay
            / 2
            * sum(c * s for c, s in weighted),
            layer_rms=tuple(
                (s / n) ** 0.5 for s, n in zip(squares, counts, strict=True)
            ),
        )


def _groups(trials: Sequence[Trial], problem: Problem, layout: Layout) -> list[_Group]:
    data = load_once(problem)
    groups, start = [], 0
    for seed, members in groupby(trials, key=lambda trial: trial.seed):
        stop = start + len(list(members))
        drawn = training_subset(seed, problem.pool_size, trials[0].scale.dataset_size)
        rows = problem.split(seed).pool[drawn]
        train = Samples(layout, data.x[rows], data.y[rows])
        groups.append(_Group(seed, slice(start, stop), train))
        start = stop
    return groups


def _initial(layout: Layout, groups: Sequence[_Group]) -> list[Tensor]:
    weights = layout.zeros()
    for group in groups:
        drawn = initial_weights(group.seed, layout.shapes)
        for i, matrix in enumerate(drawn):
            layout.decayed(weights[i], i)[group.models] = torch.from_numpy(matrix)
    return weights
