"""Train the curves on which searches are tried: ``tests/data/find_curves.npz``.

    python bench/find_curves.py FOLDER

Half an hour on one core. Needs Fashion-MNIST where ``dwindle study`` looks for it. The
MLPs are studies of this package, whose stores stay in FOLDER; the CNN and the network
that predicts letters are plain torch. The file of the repository had the CNN's pixels
standardized with three digits of their mean and spread: its losses repeat to about 1 %.
"""

import math
import pydoc_data.topics
import sqlite3
import sys
from json import loads
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from dwindle.cli.main import main as dwindle
from dwindle.study.problems import problem

FILE = Path(__file__).parents[1] / "tests" / "data" / "find_curves.npz"
STUDY = """
[study]
problem = "fashion-mlp"
seeds = 32
[optimizer]
name = "{name}"
lr = {lr}
schedule = "cosine"
warmup = 0.05
[base]
width = 64
depth = 2
batch_size = 32
dataset_size = 1000
epochs = 30
[weight_decay]
low = {low}
high = {high}
points = 21
[axes]
dataset_size = [400, 1000]
"""
# Momentum .9 is the default of neither: SGD has it, AdamW has betas.
OPTIMIZERS = {
    "sgd": {"lr": "0.05\nmomentum = 0.9", "low": 1e-5, "high": 1e-1},
    "adamw": {"lr": 2e-3, "low": 1e-3, "high": 10.0},
}
CONTEXT = 8  # letters that the text network sees


def studies(folder):
    """Return {cell: (decays, losses)} of the four MLP cells."""
    found = {}
    for name, asked in OPTIMIZERS.items():
        file = folder / f"fm-{name}.toml"
        file.write_text(STUDY.format(name=name, **asked))
        dwindle(["study", str(file)])
        with sqlite3.connect(file.with_suffix(".db")) as store:
            rows = store.execute("SELECT trial, scale, loss FROM trial").fetchall()
        for size in (400, 1000):
            losses = {}
            for trial, scale, loss in rows:
                if loads(scale)["dataset_size"] == size:
                    row = loads(trial)
                    losses[row["seed"], row["weight_decay"]] = loss or math.nan
            found[f"mlp-{name}-{size}"] = table(losses)
    return found


def table(losses):
    """Decays at which all seeds have a loss, and the losses (seeds, decays)."""
    seeds, decays = (sorted(set(each)) for each in zip(*losses, strict=True))
    whole = np.array([[losses[seed, decay] for decay in decays] for seed in seeds])
    kept = np.isfinite(whole).all(axis=0)
    return np.array(decays)[kept], whole[:, kept]


def train(model, optimizer_class, decay, data, orders, batch_size, **options):  # noqa: PLR0913, PLR0917
    """Train with decayed matrices, a warm-up and a cosine; return the last loss."""
    x, y, valid_x, valid_y = data
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others}]
    optimizer = optimizer_class(groups, weight_decay=0.0, **options)
    steps = sum(len(order) for order in orders) // batch_size

    def lr_at(step):
        warm = min(1.0, (step + 1) / (0.05 * steps))
        return warm * 0.5 * (1 + math.cos(math.pi * step / steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_at)
    for order in orders:
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return float(cross_entropy(model(valid_x), valid_y))


def cnn(seed, decay):
    """500 images at half size, two convolutions, SGD."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    rows = torch.randperm(60_000, generator=generator)
    images = avg_pool2d(torch.from_numpy(IMAGES.x[:60_000]).view(-1, 1, 28, 28), 2)
    labels = torch.from_numpy(IMAGES.y)
    parts = [
        part for at in (rows[:500], rows[500:1500]) for part in (images[at], labels[at])
    ]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(144, 10),
    )
    orders = [torch.randperm(500, generator=generator) for _ in range(25)]
    return train(
        model, torch.optim.SGD, decay, parts, orders, 25, lr=0.05, momentum=0.9
    )


def text(seed, decay):
    """The next letter of Python's help topics from eight, AdamW."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    topics = pydoc_data.topics.topics
    raw = "".join(topics[key] for key in sorted(topics))
    raw = "".join(
        c if c == "\n" or (c.isascii() and c.isprintable()) else " " for c in raw
    )
    letters = sorted(set(raw))
    code = torch.tensor([letters.index(letter) for letter in raw])
    starts = torch.randperm(len(code) - CONTEXT - 1, generator=generator)
    parts = []
    for at in (starts[:4000], starts[4000:7000]):
        parts.append(torch.stack([code[at + step] for step in range(CONTEXT)], 1))
        parts.append(code[at + CONTEXT])
    model = nn.Sequential(
        nn.Embedding(len(letters), 16),
        nn.Flatten(),
        nn.Linear(CONTEXT * 16, 96),
        nn.ReLU(),
        nn.Linear(96, len(letters)),
    )
    orders = [torch.randperm(4000, generator=generator) for _ in range(12)]
    return train(model, torch.optim.AdamW, decay, parts, orders, 100, lr=3e-3)


def main(folder):
    """Train all, and write the file."""
    found = studies(folder)
    for name, one, seeds, decays in (
        ("cnn", cnn, 13, np.logspace(-4.2, -0.6, 19)),
        ("text", text, 12, np.logspace(-2.2, 1.4, 13)),
    ):
        places = [0.0, *decays]
        losses = [[one(seed, decay) for decay in places] for seed in range(seeds)]
        found[name] = np.array(places), np.array(losses)
    arrays = {}
    for name, (decays, losses) in found.items():
        arrays[f"{name}.decay"] = decays
        arrays[f"{name}.losses"] = losses.astype(np.float32)
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    IMAGES = problem("fashion-mlp").load()
    main(Path(sys.argv[1]))
