"""What one validation split hides, a split per seed shows."""

import math
from dataclasses import dataclass

import numpy as np

from dwindle.findings.cells import gather, measure_cell
from dwindle.store.records import PER_SEED, Optimizer, ProblemFacts, Scale, Trial
from dwindle.study.engine import train_pack
from dwindle.study.problems import Data, Split

SCALE = Scale(width=1, depth=0, batch_size=10, dataset_size=40, epochs=25, lr=0.2)
HALF = 300
FACTS = ProblemFacts(inputs=30, classes=2, hidden=False)


@dataclass(frozen=True)
class Planted:
    """Two classes in 30 features; of the last samples 4 of 10 labels are wrong.

    A split of an even number validates with right labels, which asks for little decay;
    one of an odd number with wrong ones, where only small weights cost little.
    """

    name: str = "planted"
    facts: ProblemFacts = FACTS
    pool_size: int = 400

    def load(self) -> Data:
        generator = np.random.default_rng(7)
        x = generator.standard_normal((self.pool_size + 2 * HALF, 30))
        y = x @ np.linspace(0, 1, 30) > 0
        wrong = generator.random(HALF) < 0.4
        y[-HALF:] ^= wrong
        return Data(x.astype(np.float32), y.astype(np.int64))

    def split(self, seed: int) -> Split:
        first = self.pool_size + (seed % 2) * HALF
        return Split(
            pool=np.arange(self.pool_size), valid=np.arange(first, first + HALF)
        )


def best_decay(split):
    """The best λ of the planted problem with its limits, 10 seeds."""
    trials = [
        Trial(
            problem="planted",
            optimizer=Optimizer(name="sgd"),
            scale=SCALE,
            normalization="none",
            weight_decay=decay,
            seed=seed,
            split=split,
        )
        for seed in range(10)
        for decay in (0.0, *(10 ** (k / 3) for k in range(-12, 3)))
    ]
    outcomes = train_pack(trials, problem=Planted())
    (trainings,) = gather(zip(trials, outcomes, strict=True)).values()
    scale = {"dataset_size": 40.0}
    return measure_cell(
        trainings, value=1.0, scale=scale, coefficient=1.0, classes=2
    ).findings


def test_an_interval_includes_the_choice_of_the_split():
    """Two fixed splits exclude each other; with a split per seed both are inside."""
    right, wrong, resampled = (best_decay(split) for split in (0, 1, PER_SEED))
    assert right.optimum < right.high < wrong.low < wrong.optimum
    low, high = resampled.low or 0, resampled.high or math.inf
    assert low < wrong.low
    assert high > right.high
    assert math.log(high / max(low, 1e-4)) > 2 * math.log(wrong.high / wrong.low)
