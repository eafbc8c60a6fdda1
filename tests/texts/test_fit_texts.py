"""What a file of results is answered, word by word.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import numpy as np
from fitting.planted import Planted, draw
from syrupy.assertion import SnapshotAssertion

import dwindle
from dwindle.show import as_text

GRID = {"seeds": 5, "points": 9}


def rows(kind, effect, **more):
    return [
        {**row, **more}
        for row in draw(kind, np.random.default_rng(3), effect=effect)[0]
    ]


CASES = {
    "a clear dip": (rows(Planted(**GRID, zero=True), 20), {}),
    "no column of seeds": (
        rows(Planted(**GRID, paired=False, has_seed=False), 12),
        {},
    ),
    "noise": (rows(Planted(**GRID, zero=True), 0), {}),
    "accuracies": (rows(Planted(**GRID, score=True), 20), {}),
    "two that are compared": (
        rows(Planted(**GRID), 20),
        {"compare": (1e-4, 1e-2)},
    ),
    "a cell for each width": (
        [
            *rows(Planted(**GRID), 20, width=64),
            *rows(Planted(**GRID), 20, width=128),
        ],
        {},
    ),
    "a seed that diverged everywhere": (
        [
            *rows(Planted(**GRID), 20),
            *(
                {"weight_decay": 10.0**-k, "seed": 9, "val_loss": "nan"}
                for k in range(5)
            ),
        ],
        {},
    ),
    "one seed diverged at an end": (
        [
            {
                "wd": 0.01 * 2**k,
                "seed": seed,
                "loss": 1 + 0.01 * max(k, 0) ** 2 + 0.005 * ((3 * seed + k) % 4)
                if (k, seed) != (-3, 1)
                else float("nan"),
            }
            for k in range(-3, 4)
            for seed in range(4)
        ],
        {},
    ),
    "every training diverged": (
        [
            {"wd": wd, "seed": seed, "loss": float("inf")}
            for wd in (0.01, 0.1)
            for seed in range(3)
        ],
        {},
    ),
    "one decay whose trainings ended": (
        [
            *({"wd": wd, "seed": 0, "loss": "nan"} for wd in (0.01, 0.1)),
            {"wd": 0.1, "seed": 1, "loss": 1.0},
        ],
        {},
    ),
    "each λ is lost to one of two seeds": (
        [
            {"wd": wd, "seed": seed, "loss": loss}
            for wd, losses in ((0.01, (1.0, "nan")), (0.1, ("nan", 2.0)))
            for seed, loss in enumerate(losses)
        ],
        {},
    ),
    "every λ above 0 diverged": (
        [
            {"wd": wd, "seed": seed, "loss": float("nan") if wd else 1.0 + seed}
            for wd in (0, 0.01, 0.1)
            for seed in range(3)
        ],
        {},
    ),
    "losses far from 0": (
        [
            {"wd": 10.0**-k, "seed": seed, "loss": 1e9 + 0.1 * abs(k - 2) + 0.01 * seed}
            for k in range(5)
            for seed in range(3)
        ],
        {},
    ),
    "decay that costs": (
        [
            {"wd": wd, "seed": s, "loss": 1 + 0.3 * wd / (wd + 0.003) + 0.01 * s}
            for wd in (0, 0.001, 0.01, 0.1)
            for s in range(4)
        ],
        {},
    ),
    "Optuna's column, and a command without a seed": (
        [{"wd": 10.0**-k, "seed": 0, "value": 2 + abs(k - 2)} for k in range(5)],
        {"script": ["python", "t.py", "--wd", "{weight_decay}"]},
    ),
    "Optuna's column": (
        [{"wd": 10.0**-k, "seed": 0, "value": 2 + abs(k - 2)} for k in range(5)],
        {},
    ),
    "two rows": ([{"wd": 0.1, "loss": 2.0}, {"wd": 0.01, "loss": 1.0}], {}),
}


def test_what_results_are_answered(snapshot: SnapshotAssertion):
    """The answer first; then columns as they were taken, and the next step."""
    texts = {
        name: as_text(dwindle.fit(table, **asked)._drawn(), width=80)
        for name, (table, asked) in CASES.items()
    }
    assert texts == snapshot
