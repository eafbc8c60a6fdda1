"""Trainings on Fashion-MNIST for ``tune_fashion.py``: an MLP, a CNN, two optimizers.

A store knows its training by this file: what is asked of it stands in the other one.
Needs the four files where Debian's dataset-fashion-mnist puts them.
"""

import gzip
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

DATA = Path("/usr/share/datasets/fashion-mnist")
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


def train(kind, optimizer_class, weight_decay, seed, scale, **options):
    """Train once; the seed chooses images, held-out images, weights and order."""
    (x, y), size = images(), int(scale["dataset_size"])
    torch.manual_seed(seed)
    rows = torch.randperm(len(y))
    chosen, held_out = rows[:size], rows[-HELD_OUT:]
    model = kind(int(scale["width"]))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others}]
    optimizer = optimizer_class(
        groups, lr=scale["lr"], weight_decay=0.0, fused=True, **options
    )
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


def mlp_adamw(weight_decay, seed, **scale):
    """Train this net by this optimizer."""
    return train(mlp, torch.optim.AdamW, weight_decay, seed, scale)


def mlp_sgd(weight_decay, seed, **scale):
    """Train this net by this optimizer."""
    return train(mlp, torch.optim.SGD, weight_decay, seed, scale, momentum=0.9)


def cnn_adamw(weight_decay, seed, **scale):
    """Train this net by this optimizer."""
    return train(cnn, torch.optim.AdamW, weight_decay, seed, scale)


def cnn_sgd(weight_decay, seed, **scale):
    """Train this net by this optimizer."""
    return train(cnn, torch.optim.SGD, weight_decay, seed, scale, momentum=0.9)
