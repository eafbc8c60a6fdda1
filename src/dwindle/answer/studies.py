"""The studies behind the answer: digits, small ReLU networks, the question's setting.

The settings are those in which most cells have an optimum inside the grid; where decay
does not matter, the statistics show it.
"""

from dataclasses import replace

from dwindle.store.records import Optimizer, Scale
from dwindle.store.spec import AxisSpec, StudySpec

# Every axis has this scale on it, so one best λ is that of all of them.
BASE = Scale(width=64, depth=2, batch_size=32, dataset_size=600, epochs=30, lr=0.05)

# Around the base, by factors of two (but for the depth): wide enough for an exponent.
WIDTH = AxisSpec(axis="width", values=(16, 32, 64, 128, 256))
DEPTH = AxisSpec(axis="depth", values=(1, 2, 3, 4))
BATCH_SIZE = AxisSpec(axis="batch_size", values=(8, 16, 32, 64, 128))
DATASET_SIZE = AxisSpec(axis="dataset_size", values=(150, 300, 600, 1200))
EPOCHS = AxisSpec(axis="epochs", values=(8, 15, 30, 60, 120))

# The question's own setting: stochastic gradient descent and an L2 penalty.
SGD = StudySpec(
    name="SGD with an L2 penalty",
    problem="digits-mlp",
    # Each seed validates on its own split, which an interval then includes. With 8 of
    # them one unlucky split can leave epochs and dataset size undecided.
    seeds=12,
    optimizer=Optimizer(name="sgd", momentum=0.9, schedule="cosine", warmup=0.05),
    base=BASE,
    low=1e-5,
    high=1e-1,
    axes=(
        WIDTH,
        DEPTH,
        BATCH_SIZE,
        DATASET_SIZE,
        EPOCHS,
        AxisSpec(axis="lr", values=(0.0125, 0.025, 0.05, 0.1, 0.2)),
    ),
)

# The size of its step is the lr, for any gradient: another lr, and a range of λ that is
# a hundred times as high.
ADAMW = replace(
    SGD,
    name="AdamW",
    optimizer=Optimizer(
        name="adamw", betas=(0.9, 0.99), schedule="cosine", warmup=0.05
    ),
    base=replace(BASE, lr=3e-3),
    low=3e-3,
    high=10.0,
    axes=(
        WIDTH,
        DEPTH,
        BATCH_SIZE,
        DATASET_SIZE,
        EPOCHS,
        AxisSpec(axis="lr", values=(7.5e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2)),
    ),
)

# The asker's proposal as a training: every layer's λ divided by layers · n_j · n_j+1.
LAYER_MEAN = replace(
    SGD,
    name="SGD, the asker's normalization",
    normalization="layer-mean",
    axes=(WIDTH,),
)

# Name of the store -> what it keeps. A quick answer is another study, so it never
# finds, or leaves, trainings in the stores of the full one.
FULL = {"sgd.db": SGD, "adamw.db": ADAMW, "sgd-layer-mean.db": LAYER_MEAN}
QUICK = {"sgd-quick.db": replace(SGD, seeds=5, axes=(WIDTH, BATCH_SIZE, DATASET_SIZE))}
