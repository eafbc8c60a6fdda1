"""Trainings on Fashion-MNIST for ``tune_fashion.py``: an MLP, a CNN, two optimizers.

A store knows its training by this file: what is asked of it stands in the other one.
Needs the four files where Debian's dataset-fashion-mnist puts them.
A training that stands in a table of studies/tune-fashion or build/tune-fashion is not
run again, as the same numbers give the same loss: to train all anew, delete them.
"""

import csv
import gzip
import math
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

DATA = Path("/usr/share/datasets/fashion-mnist")
ROOT = Path(__file__).parents[1]
BUILT, SHOWN = ROOT / "build" / "tune-fashion", ROOT / "studies" / "tune-fashion"
COLUMNS = "step", "width", "dataset_size", "weight_decay", "seed", "loss", "seconds"
BATCH, HELD_OUT = 100, 5000


@cache
def images():
    """All training images, standardized, with their labels."""

    def read(name, header):
        raw = gzip.decompress((DATA / f"{name}-ubyte.gz").read_bytes())
        return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).copy())

    pixels = read("train-images-idx3", 16).reshape(-1, 28, 28).float() / 255
    return (pixels - pixels.mean()) / pixels.std(), read("train-labels-idx1", 8).long()


def mlp(width):
    """Two hidden layers."""
    layers = (nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, 10))


def cnn(channels):
    """Two convolutions, of images at half size."""
    return nn.Sequential(
        nn.AvgPool2d(2), nn.Unflatten(1, (1, 14)),
        nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(18 * channels, 10),
    )  # fmt: skip


def known(name):
    """Return the rows of trainings that were run, by what was trained."""
    rows = {}
    for folder in (SHOWN, BUILT):
        table = folder / f"{name}.csv"
        if table.exists():
            with table.open(newline="") as stream:
                for row in csv.DictReader(stream):
                    at = row["width"], row["dataset_size"], row["seed"]
                    rows[(*map(int, at), float(row["weight_decay"]))] = row
    return rows


def trained(name, train_once, weight_decay, seed, scale):
    """Return the loss of a training from a table, or train and add it to one."""
    at = int(scale["width"]), int(scale["dataset_size"])
    row = known(name).get((*at, seed, weight_decay))
    if row is None:
        start = time.perf_counter()
        loss = train_once()
        seconds = f"{time.perf_counter() - start:.3g}"
        row = {"loss": f"{loss:.6g}"}
        BUILT.mkdir(parents=True, exist_ok=True)
        with (BUILT / f"{name}.csv").open("a", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            if not stream.tell():
                table.writerow(COLUMNS)
            table.writerow(("new", *at, weight_decay, seed, row["loss"], seconds))
    return float(row["loss"])


SGD = partial(torch.optim.SGD, momentum=0.9)


def train(kind, optimizer_class, weight_decay, seed, scale):
    """Train once; the seed chooses images, held-out images, weights and order."""
    (x, y), size = images(), int(scale["dataset_size"])
    torch.manual_seed(seed)
    rows = torch.randperm(len(y))
    chosen, held_out = rows[:size], rows[-HELD_OUT:]
    model = kind(int(scale["width"]))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others}]
    optimizer = optimizer_class(groups, lr=scale["lr"], weight_decay=0.0, fused=True)
    epochs = int(scale["epochs"])
    steps = epochs * math.ceil(size / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    inputs, labels = x[chosen], y[chosen]
    for _ in range(epochs):
        for batch in torch.randperm(size).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return float(cross_entropy(model(x[held_out]), y[held_out]))


def training_of(name, kind, optimizer_class):
    """Return the function that trains a net by an optimizer, as find calls it."""

    def train_or_read(weight_decay, seed, **scale):
        at = weight_decay, seed, scale
        return trained(name, lambda: train(kind, optimizer_class, *at), *at)

    return train_or_read


mlp_adamw = training_of("mlp-adamw", mlp, torch.optim.AdamW)
mlp_sgd = training_of("mlp-sgd", mlp, SGD)
cnn_adamw = training_of("cnn-adamw", cnn, torch.optim.AdamW)
cnn_sgd = training_of("cnn-sgd", cnn, SGD)
