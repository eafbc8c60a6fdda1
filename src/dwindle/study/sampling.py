"""What chance decides in a training, as a function of the seed alone.

All λ of a seed share its validation split, its training subset, its initialization and
its data order, so curves over λ are paired. Each draw has its own stream: neither the
number of models nor the order of calls can shift another's numbers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The first word of each stream's seed: two draws of a seed never share numbers.
_SUBSET, _WEIGHTS, _ORDER, _SPLIT = range(4)


def split_order(seed: int, samples: int) -> NDArray[np.int64]:  # (samples,)
    """Return the order of all samples that a seed splits into pool and validation set.

    Every seed has its own split: with one split for all, the spread between seeds
    leaves out what the choice of the validation set does to the best λ.
    """
    return np.random.default_rng([_SPLIT, seed]).permutation(samples)


def training_subset(
    seed: int, pool_size: int, dataset_size: int
) -> NDArray[np.int64]:  # (dataset_size,)
    """Return which samples of the pool a seed trains on.

    A smaller training set is the beginning of a larger one.
    """
    return np.random.default_rng([_SUBSET, seed]).permutation(pool_size)[:dataset_size]


def initial_weights(
    seed: int, shapes: Sequence[tuple[int, int]]
) -> list[NDArray[np.float64]]:  # one (fan_out, fan_in) per layer
    """Return He-normal weights: mean 0, variance 2 / fan_in; biases start at zero.

    The width and the depth, through the shapes, are part of what decides; λ is not.
    """
    # Depth and width in the seed: networks of two shapes share no numbers by accident.
    generator = np.random.default_rng([_WEIGHTS, seed, len(shapes), shapes[0][1]])
    return [
        generator.standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in)
        for fan_in, fan_out in shapes
    ]


def epoch_order(
    seed: int, epoch: int, dataset_size: int
) -> NDArray[np.int64]:  # (dataset_size,)
    """Return the order in which an epoch (counted from 0) visits the training set."""
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(dataset_size)
