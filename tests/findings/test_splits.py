"""What one validation split hides, a split per seed shows."""

import math
from dataclasses import replace

import numpy as np
from findings.simulated_study import study_spec

from dwindle.findings.cells import gather, measure_cell
from dwindle.store.records import PER_SEED, Optimizer, ProblemFacts, Scale
from dwindle.store.spec import AxisSpec
from dwindle.study.engine import train_pack
from dwindle.study.problems import Data, Problem, Split

HALF, POOL = 300, 400


def load():
    """Two classes in 30 features; of the last samples 4 of 10 labels are wrong."""
    generator = np.random.default_rng(7)
    x = generator.standard_normal((POOL + 2 * HALF, 30))
    y = x @ np.linspace(0, 1, 30) > 0
    y[-HALF:] ^= generator.random(HALF) < 0.4
    return Data(x.astype(np.float32), y.astype(np.int64))


class Planted(Problem):
    """A problem whose splits are of two kinds."""

    def split(self, seed):
        """An even one validates with right labels, an odd one with wrong ones.

        The one needs little decay, in the other only small weights cost little.
        """
        first = POOL + (seed % 2) * HALF
        return Split(pool=np.arange(POOL), valid=np.arange(first, first + HALF))


FACTS = ProblemFacts(inputs=30, classes=2, hidden=False)
PLANTED = Planted("planted", FACTS, POOL, load, blocks=0)
SPEC = study_spec(
    optimizer=Optimizer(name="sgd"),
    base=Scale(width=1, depth=0, batch_size=10, dataset_size=40, epochs=25, lr=0.2),
    axes=(AxisSpec(axis="lr", values=(0.2,)),),
)
DECAYS = (0.0, *(10 ** (k / 3) for k in range(-12, 3)))


def best_decay(split):
    """The best λ of the planted problem with its limits, 10 seeds."""
    spec = replace(SPEC, split=split)
    trials = [
        replace(spec.trial(spec.base, decay, seed), problem="planted")
        for seed in range(10)
        for decay in DECAYS
    ]
    (found,) = gather(
        zip(trials, train_pack(trials, problem=PLANTED), strict=True)
    ).values()
    scale = {"dataset_size": 40.0}
    return measure_cell(
        found, value=1.0, scale=scale, coefficient=1.0, classes=2
    ).findings


def test_an_interval_includes_the_choice_of_the_split():
    """Two fixed splits exclude each other; with a split per seed both are inside."""
    right, wrong, resampled = (best_decay(split) for split in (0, 1, PER_SEED))
    assert right.optimum < right.high < wrong.low < wrong.optimum
    low, high = resampled.low or 0, resampled.high or math.inf
    assert low < wrong.low
    assert high > right.high
    assert math.log(high / max(low, 1e-4)) > 2 * math.log(wrong.high / wrong.low)
