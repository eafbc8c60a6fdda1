"""Train a pack of networks at once and return what each ended with."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dwindle.decay.penalties import layer_coefficients
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError
from dwindle.store.records import Outcome, Trial
from dwindle.study.compiled import CompiledSteps, compiled_steps
from dwindle.study.cost import EVALUATED
from dwindle.study.models import LAYER_NORM_EPSILON, Layout, Models, Samples
from dwindle.study.problems import Problem, load_once, rows_of
from dwindle.study.sampling import epoch_order, initial_weights
from dwindle.study.stacked import StackedSteps


def engine_version() -> str:
    """Return the version under which trainings of this machine are kept.

    Raise the number whenever the same trial would come out differently. Compiled steps
    round in another order than PyTorch's, and their results are kept apart. Measured in
    float32 over 324 trainings of SGD, AdamW and Adam: losses of the two differ by 7e-7
    at most where training is calm (median 3e-7), and by up to 40 % in cells where it
    amplifies rounding; two packs of PyTorch's operations differ by 1e-7, and in most
    trainings by nothing.

    3: every seed has its own validation split; before, all seeds shared one.
    """
    return "3+compiled" if compiled_steps("float32") else "3+torch"


def train_pack(
    trials: Sequence[Trial],
    *,
    problem: Problem,
    dtype: str = "float32",
) -> list[Outcome]:
    """Train all trials at once, one thread, and return their outcomes in order.

    The models share problem, optimizer, normalization and scale but for the lr; λ, lr
    and seed are each model's own. A model that diverges ends as ``diverged`` and does
    not touch the others. ``float64`` is for checks.
    """
    _check(trials, problem)
    start = time.perf_counter()
    # Models of a seed lie side by side, for they share their minibatches.
    order = sorted(range(len(trials)), key=lambda i: trials[i].seed)
    with one_thread(), torch.inference_mode():
        run = _Run([trials[i] for i in order], problem, dtype)
        run.train()
        ended = run.outcomes()
    seconds = (time.perf_counter() - start) / len(trials)
    outcomes = dict(zip(order, ended, strict=True))
    return [replace(outcomes[i], seconds=seconds) for i in range(len(trials))]


def _check(trials: Sequence[Trial], problem: Problem) -> None:
    if not trials:
        raise RangeError("trials", "none", "at least one")
    kinds = {
        replace(t, weight_decay=0, seed=0, scale=replace(t.scale, lr=1.0))
        for t in trials
    }
    if len(kinds) != 1 or trials[0].problem != problem.name:
        must = "alike but for weight_decay, seed and lr, and of the problem given"
        raise RangeError(
            name="trials of a pack", value=f"{len(kinds)} kinds", must=must
        )
    scale, options = trials[0].scale, trials[0].optimizer
    pool, samples = problem.pool_size, scale.dataset_size
    of_pool, of_set = f"the pool of {problem.name}", "the size of the training set"
    heavy = options.momentum > 0 and not options.dampening  # torch requires the same
    facts = [
        ("dataset_size", samples, 1 <= samples <= pool, f"in 1 … {pool}, {of_pool}"),
        (
            "batch_size",
            scale.batch_size,
            1 <= scale.batch_size <= samples,
            f"in 1 … {samples}, {of_set}",
        ),
        (
            "momentum",
            options.momentum,
            heavy or not options.nesterov,
            "above 0, without dampening, for Nesterov",
        ),
        *(("lr", t.scale.lr, t.scale.lr > 0, "above 0") for t in trials),
        *(
            ("weight_decay", t.weight_decay, t.weight_decay >= 0, "0 or more")
            for t in trials
        ),
    ]
    for name, value, holds, must in facts:
        if not holds:
            raise RangeError(name, value, must)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread per pack, denormal numbers off: they cost time and mean nothing."""
    threads = torch.get_num_threads()
    tiny = torch.tensor(1e-40)  # no normal float32: times 1 it is 0 if they are off
    had_denormals = bool(tiny * 1 != 0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(not had_denormals)


class Steps(Protocol):
    """Takes the steps of all models of a pack, an epoch at a time."""

    def epoch(
        self, orders: Sequence[NDArray[np.int64]], first: int, lrs: Sequence[float]
    ) -> Tensor:
        """Take a step per lr, after ``first`` others; return Σ log p, (steps, models).

        Samples of each group are in its order; an lr is the one before ratios.
        """

    def finish(self) -> None:
        """Leave the trained weights in the pack."""


_Group = tuple[int, slice, Samples]  # a seed, its models, what they train on


class _Run:
    """A pack in training. It owns the weights and everything that changes with them."""

    def __init__(self, trials: Sequence[Trial], problem: Problem, dtype: str) -> None:
        self._trials, self._problem, self._dtype = trials, problem, dtype
        self._scale = trials[0].scale
        shapes = problem.facts.layer_shapes(self._scale)
        self._layout = Layout(
            shapes,
            len(trials),
            getattr(torch, dtype),
            problem.facts.layer_norm,
        )
        self._groups = _groups(trials, problem, self._layout)
        self._coefficients = layer_coefficients(trials[0].normalization, shapes)
        self._weights = self._layout.zeros()
        for seed, models, _ in self._groups:
            for i, matrix in enumerate(initial_weights(seed, shapes)):
                of_layer = self._layout.decayed(self._weights[i], i)
                of_layer[models] = torch.from_numpy(matrix)
        # The last batch of an epoch has what is left.
        sizes = [self._scale.batch_size] * self._scale.steps_per_epoch
        sizes[-1] = self._scale.dataset_size - sum(sizes[:-1])
        self._divergence = Divergence(len(trials), sizes)

    def train(self) -> None:
        """Take all steps, or those until no model is left that has not diverged."""
        scale, options = self._scale, self._trials[0].optimizer
        groups = [(models, train) for _, models, train in self._groups]
        decays, shares, spread = (
            torch.tensor(values, dtype=torch.float64)
            for values in (
                [trial.weight_decay for trial in self._trials],
                [trial.scale.lr / scale.lr for trial in self._trials],
                self._coefficients,
            )
        )
        pack = Models(self._layout, self._weights, spread[:, None] * decays, shares)
        arguments = pack, options, groups, scale.batch_size
        library = compiled_steps(self._dtype)
        steps: Steps = (
            CompiledSteps(library, *arguments) if library else StackedSteps(*arguments)
        )
        lrs = lrs_of(self._trials[0])
        starts = range(0, scale.steps, scale.steps_per_epoch)
        for epoch, first in enumerate(starts):
            # By seed and epoch alone: all λ of a seed see the same batches.
            size = scale.dataset_size
            orders = [epoch_order(seed, epoch, size) for seed, _, _ in self._groups]
            of_epoch = lrs[first : first + scale.steps_per_epoch]
            self._divergence.record(first, steps.epoch(orders, first, of_epoch))
            if all(step is not None for step in self._divergence.step):
                break
        steps.finish()

    def outcomes(self) -> list[Outcome]:
        """Evaluate all models; the seconds are filled in by the caller."""
        data = load_once(self._problem)
        ended = []
        for _, models, train in self._groups:
            # A group is of one seed, and a pack of one split: so of its first trial.
            rows = rows_of(self._problem, self._trials[models.start]).valid
            valid = Samples(self._layout, data.x[rows], data.y[rows])
            each = range(models.start, models.stop)
            ended += [self._outcome(model, train, valid) for model in each]
        return ended

    def _outcome(self, model: int, trained_on: Samples, held_out: Samples) -> Outcome:
        weights = self._layout.weights_of(self._weights, model)
        is_normed = self._layout.layer_norm
        train_loss, _ = evaluate(weights, trained_on, layer_norm=is_normed)
        loss, accuracy = evaluate(weights, held_out, layer_norm=is_normed)
        # Σ w² of each layer's matrix, without the biases, in double precision.
        squares = [float(matrix[:, :-1].double().square().sum()) for matrix in weights]
        steps, step = self._scale.steps, self._divergence.step[model]
        # The weights may have overflowed in the very last step, after its loss.
        finite = all(map(math.isfinite, (loss, train_loss, *squares)))
        if step is not None or not finite:
            return Outcome(
                status="diverged",
                steps=steps,
                seconds=0.0,
                diverged_at_step=step or steps,
                last_finite_loss=self._divergence.last_finite[model],
            )
        weighted = zip(self._coefficients, squares, strict=True)
        penalty = self._trials[model].weight_decay / 2 * sum(c * s for c, s in weighted)
        counts = [fan_in * fan_out for fan_in, fan_out in self._layout.shapes]
        return Outcome(
            status="ok",
            steps=steps,
            seconds=0.0,
            loss=loss,
            accuracy=accuracy,
            train_loss=train_loss,
            sum_of_squares=sum(squares),
            penalty=penalty,
            layer_rms=tuple(
                (s / n) ** 0.5 for s, n in zip(squares, counts, strict=True)
            ),
        )


def _groups(trials: Sequence[Trial], problem: Problem, layout: Layout) -> list[_Group]:
    data = load_once(problem)
    groups: list[_Group] = []
    start = 0
    for seed, members in groupby(trials, key=lambda trial: trial.seed):
        of_seed = list(members)
        stop = start + len(of_seed)
        rows = rows_of(problem, of_seed[0]).pool
        train = Samples(layout, data.x[rows], data.y[rows])
        groups.append((seed, slice(start, stop), train))
        start = stop
    return groups


def lrs_of(trial: Trial) -> list[float]:
    """Return the lr of every step of a trial."""
    scale, options = trial.scale, trial.optimizer
    schedule = Schedule(
        shape=options.schedule, warmup=options.warmup, final=options.final_lr
    )
    return [scale.lr * share for share in schedule.multipliers(scale.steps)]


def evaluate(
    weights: Sequence[Tensor], samples: Samples, *, layer_norm: bool = False
) -> tuple[float, float]:
    """Return the mean cross-entropy of one network, and the share that is right.

    A product over a whole pack rounds differently with the number of its models, and
    free memory decides that number. So each model is evaluated alone: a training that
    is found again has the number that it would have in any pack. Weights are one
    (fan_out, fan_in + 1) per layer, the bias last, each contiguous.
    """
    total, right = 0.0, 0
    *hidden, last = weights
    splits = (torch.split(x, EVALUATED) for x in (samples.inputs, samples.labels))
    for inputs, labels in zip(*splits, strict=True):
        active = inputs  # (batch, features + 1)
        for matrix in hidden:
            outputs = active @ matrix.t()
            if layer_norm:
                outputs = functional.layer_norm(
                    outputs, outputs.shape[1:], eps=LAYER_NORM_EPSILON
                )
            active = functional.pad(torch.relu(outputs), (0, 1), value=1.0)
        log_p = torch.log_softmax(active @ last.t(), 1)  # (batch, classes)
        total -= float(log_p.gather(1, labels[:, None]).sum(dtype=torch.float64))
        right += int((log_p.argmax(1) == labels).sum())
    return total / len(samples), right / len(samples)


class Divergence:
    """Finds the first batch loss of a model that is not finite, epoch by epoch.

    A loss that is not finite makes every weight of its model NaN one step later, and
    NaN stays: a check once per epoch finds the exact step. ``step`` counts from 1, and
    is None while a model trains; ``last_finite`` is its last loss before.
    """

    def __init__(self, models: int, sizes: Sequence[int]) -> None:
        self._sizes = torch.tensor(sizes, dtype=torch.float64)
        self.step: list[int | None] = [None] * models
        self.last_finite: list[float | None] = [None] * models

    def record(self, steps_before: int, sums: Tensor) -> None:
        """Take in an epoch: Σ log p(right class) over each batch, (steps, models)."""
        steps = len(sums)
        losses = -sums.double() / self._sizes[:steps, None]
        # The number of finite losses before the first that is not.
        good = losses.isfinite().long().cumprod(0).sum(0).tolist()
        for model, count in enumerate(good):
            if self.step[model] is not None:
                continue
            if count:
                self.last_finite[model] = float(losses[count - 1, model])
            if count < steps:
                self.step[model] = steps_before + count + 1
