"""The trainings that the benchmark times, for packs and for plain loops alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from baselines import train
from torch import Tensor

from dwindle.store.records import Optimizer, Scale, Trial
from dwindle.study.engine import lrs_of
from dwindle.study.problems import load_once, problem, rows_of
from dwindle.study.sampling import epoch_order, initial_weights

DIGITS = problem("digits-mlp")
SEEDS = 5
DECAYS = 13
_SCHEDULE = {"schedule": "cosine", "warmup": 0.05}
OPTIMIZERS = {
    "sgd": Optimizer(name="sgd", momentum=0.9, **_SCHEDULE),
    "adamw": Optimizer(name="adamw", betas=(0.9, 0.99), **_SCHEDULE),
}
# Peak lr and the ends of the grid of λ, as the studies of `dwindle answer` have them.
_LRS = {"sgd": 0.05, "adamw": 3e-3}
_GRIDS = {"sgd": (1e-5, 1e-1), "adamw": (3e-3, 10.0)}


@dataclass(frozen=True)
class Task:
    """What a plain loop needs of a seed, made before the clock starts."""

    optimizer: Callable[..., torch.optim.Optimizer]
    lrs: list[float]
    orders: list[Tensor]
    batch_size: int
    x: Tensor
    y: Tensor
    valid_x: Tensor
    valid_y: Tensor


def trials(optimizer: str, width: int) -> list[Trial]:
    """Return 13 λ for each of 5 seeds: N = 600, batches of 32, 30 epochs."""
    scale = Scale(
        width=width,
        depth=2,
        batch_size=32,
        dataset_size=600,
        epochs=30,
        lr=_LRS[optimizer],
    )
    return [
        Trial(
            problem=DIGITS.name,
            optimizer=OPTIMIZERS[optimizer],
            scale=scale,
            normalization="none",
            weight_decay=float(decay),
            seed=seed,
        )
        for seed in range(SEEDS)
        for decay in np.geomspace(*_GRIDS[optimizer], DECAYS)
    ]


def flops(width: int) -> int:
    """Count the operations of a training; the first layer needs no input gradient."""
    shapes = DIGITS.facts.layer_shapes(trials("sgd", width)[0].scale)
    weights = [fan_in * fan_out for fan_in, fan_out in shapes]
    return 2 * 600 * 30 * (3 * sum(weights) - weights[0])


@cache
def prepared(optimizer: str, width: int, seed: int) -> tuple[Task, list[Tensor]]:
    """Return the task and the initial weights of a seed, as the engine draws them."""
    trial, data = trials(optimizer, width)[0], load_once(DIGITS)
    scale, options = trial.scale, trial.optimizer
    rows = rows_of(DIGITS, replace(trial, seed=seed))
    kinds = {
        "sgd": partial(torch.optim.SGD, lr=1.0, momentum=options.momentum),
        "adamw": partial(torch.optim.AdamW, lr=1.0, betas=options.betas),
    }
    task = Task(
        optimizer=kinds[optimizer],
        lrs=lrs_of(trial),
        orders=[
            torch.from_numpy(epoch_order(seed, epoch, scale.dataset_size))
            for epoch in range(int(scale.epochs))
        ],
        batch_size=scale.batch_size,
        x=torch.from_numpy(data.x[rows.pool]),
        y=torch.from_numpy(data.y[rows.pool]),
        valid_x=torch.from_numpy(data.x[rows.valid]),
        valid_y=torch.from_numpy(data.y[rows.valid]),
    )
    drawn = initial_weights(seed, DIGITS.facts.layer_shapes(scale))
    return task, [torch.from_numpy(matrix).float() for matrix in drawn]


def job(trial: Trial) -> tuple[Task, list[Tensor], float]:
    """Return what a plain loop trains for a trial."""
    task, weights = prepared(trial.optimizer.name, trial.scale.width, trial.seed)
    return task, weights, trial.weight_decay


def train_job(trial: Trial) -> float:
    """Train a trial plainly in a worker; return its validation loss."""
    return train(*job(trial))


def prepare_worker(settings: Sequence[tuple[str, int]]) -> None:
    """Set a worker up: one thread, and everything made that is not to be timed."""
    torch.set_num_threads(1)
    for optimizer, width in settings:
        for seed in range(SEEDS):
            prepared(optimizer, width, seed)
    train_job(trials("sgd", 16)[0])
