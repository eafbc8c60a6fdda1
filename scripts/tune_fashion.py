"""Show ``dwindle tune`` on Fashion-MNIST: the decay of a large net from small ones.

    python scripts/tune_fashion.py [PART ...]

Of each part (an optimizer on an MLP or a CNN) the proxies are tuned; then the target,
which no tune trains, is searched by itself over the whole range; then both values and
the nearest proxy's are trained there with seeds that nobody has seen.
All trainings are kept in build/tune-fashion: the same line again continues, and one
that stands in a table of studies/tune-fashion is not run again. Results go to the
latter: JSON of what was found, and a table of every training.
"""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fashion_training
import numpy as np
from fashion_training import BUILT, COLUMNS, SHOWN, known

import dwindle
from dwindle.finding.records import find_from_stored
from dwindle.stats.student import mean_interval
from dwindle.store.store import read_store

FRESH = range(1000, 1004)  # seeds that no search has used


@dataclass(frozen=True)
class Part:
    """One demonstration: what is trained, its proxies and its target."""

    knob: str
    low: float
    high: float
    proxies: Mapping[str, Sequence[float]]
    target: Mapping[str, float]


# The first value of an axis is where the other axis is varied: nearest to the target.
_MLP = {"width": [128, 64, 32, 16], "dataset_size": [8000, 4000, 2000, 1000]}
_CNN = {"width": [32, 16, 8]}
_MLP_TARGET = {"width": 512, "dataset_size": 30_000, "epochs": 20}
_CNN_TARGET = {"width": 64, "dataset_size": 10_000, "epochs": 20}
_ADAMW = {"knob": "torch.optim.AdamW", "low": 3e-3, "high": 30.0}
_SGD = {"knob": "torch.optim.SGD", "low": 1e-5, "high": 0.1}
PARTS = {
    "mlp-adamw": Part(**_ADAMW, proxies=_MLP, target={**_MLP_TARGET, "lr": 2e-3}),
    "mlp-sgd": Part(**_SGD, proxies=_MLP, target={**_MLP_TARGET, "lr": 0.05}),
    "cnn-adamw": Part(**_ADAMW, proxies=_CNN, target={**_CNN_TARGET, "lr": 2e-3}),
    "cnn-sgd": Part(**_SGD, proxies=_CNN, target={**_CNN_TARGET, "lr": 0.05}),
}


def fresh_losses(name, decays):
    """Return the losses of each decay at the target with unseen seeds."""
    train = getattr(fashion_training, name.replace("-", "_"))
    scale = PARTS[name].target
    return np.array([[train(each, seed, **scale) for seed in FRESH] for each in decays])


def trainings(name, fresh_decays):
    """Yield a row for each training, searched or fresh."""
    row = known(name)
    for step in ("proxies", "target"):
        for trial, _ in find_from_stored(read_store(kept(name, step))).rows:
            at = int(trial.scale["width"]), int(trial.scale["dataset_size"])
            yield {**row[*at, trial.seed, float(trial.typed)], "step": step}
    at = PARTS[name].target["width"], PARTS[name].target["dataset_size"]
    for seed in FRESH:
        for decay in fresh_decays:
            yield {**row[*at, seed, decay], "step": "fresh"}


def report(shown):
    """Print at once: a part takes half an hour."""
    sys.stdout.write(f"{shown}\n")
    sys.stdout.flush()


def kept(name, step):
    """Return the store of a step."""
    return BUILT / f"{name}-{step}.db"


def demonstrate(name):
    """Run one part to its end and write what it shows."""
    part = PARTS[name]
    asked = {
        "train": f"{fashion_training.__file__}:{name.replace('-', '_')}",
        "knob": part.knob,
        "low": part.low,
        "high": part.high,
        "run": {"schedule": "cosine", "batch_size": fashion_training.BATCH},
    }
    tuned = dwindle.tune(
        **asked, proxies=part.proxies, target=part.target, store=kept(name, "proxies")
    )
    report(tuned)
    found = dwindle.find(**asked, scale=part.target, store=kept(name, "target"))
    report(found)
    near = next((each.value for each in tuned.rules if each.rule == "unchanged"), None)
    asked_for = {"found": found.value, "predicted": tuned.value, "unchanged": near}
    # A search without a value has nothing to train; no decay stands beside.
    decays = {key: value for key, value in asked_for.items() if value is not None}
    decays |= {"none": 0.0}
    losses = fresh_losses(name, list(decays.values()))
    above = dict(zip(decays, np.log(losses) - np.log(losses[0]), strict=True))
    best = next(iter(decays))
    curve = {"curve"}
    result = {
        "tuned": tuned.as_dict(),
        "cells": [vars(cell) for cell in tuned.cells],
        "found": {k: v for k, v in found.as_dict().items() if k not in curve},
        "share_that_decay_saves": found.gain,
        "fresh_seeds": len(FRESH),
        "decays": decays,
        f"ln_loss_above_{best}": {
            key: vars(mean_interval(row)) for key, row in above.items()
        },
    }
    text = json.dumps(result, indent=1)
    report(text)
    SHOWN.mkdir(parents=True, exist_ok=True)
    (SHOWN / f"{name}.json").write_text(f"{text}\n")
    rows = list(trainings(name, decays.values()))  # read from the file written next
    with (SHOWN / f"{name}.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    BUILT.mkdir(parents=True, exist_ok=True)
    for each in sys.argv[1:] or PARTS:
        demonstrate(each)
