"""Chance is a function of the seed: nested, paired, and each draw on its own stream."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.study.sampling import (
    epoch_order,
    initial_weights,
    split_order,
    training_subset,
)

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.integers(1, 100), st.integers(1, 100))
def test_a_smaller_training_set_begins_a_larger_one(seed, one, other):
    """Subsets of a seed are nested, and hold each sample at most once."""
    small, large = sorted((one, other))
    subset = training_subset(seed, 100, large)
    assert training_subset(seed, 100, small).tolist() == subset[:small].tolist()
    assert len(set(subset.tolist())) == large


@given(SEEDS, st.integers(0, 1000), st.integers(1, 100))
def test_an_epoch_visits_each_sample_once(seed, epoch, size):
    """The order of an epoch is a permutation."""
    order = epoch_order(seed, epoch, size)
    assert sorted(order.tolist()) == list(range(size))


def test_seeds_and_epochs_differ():
    """Another seed: another subset, order, network; another epoch: another order."""
    orders = [epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 4
    subsets = [training_subset(seed, 50, 20) for seed in (0, 1)]
    assert subsets[0].tolist() != subsets[1].tolist()
    networks = [initial_weights(seed, [(4, 3)])[0] for seed in (0, 1)]
    assert not (networks[0] == networks[1]).any()


@given(SEEDS, st.integers(2, 100))
def test_a_split_holds_each_sample_once_and_differs_by_seed(seed, samples):
    """The split of a seed is a permutation of all samples, on a stream of its own."""
    order = split_order(seed, samples)
    assert sorted(order.tolist()) == list(range(samples))
    assert split_order(seed, samples).tolist() == order.tolist()
    # Of 100 samples no two seeds, nor two draws of one seed, agree.
    assert split_order(seed, 100).tolist() != split_order(seed + 1, 100).tolist()
    assert split_order(seed, 100).tolist() != training_subset(seed, 100, 100).tolist()


def test_initial_weights_are_he_normal():
    """Every layer has mean 0 and variance 2 / fan_in."""
    shapes = [(400, 300), (300, 200)]
    for (fan_in, fan_out), matrix in zip(
        shapes, initial_weights(5, shapes), strict=True
    ):
        assert matrix.shape == (fan_out, fan_in)
        count, sd = matrix.size, np.sqrt(2 / fan_in)
        # Five standard errors of a mean and of a standard deviation.
        assert abs(matrix.mean()) < 5 * sd / np.sqrt(count)
        assert matrix.std() == pytest.approx(sd, rel=5 / np.sqrt(2 * count))
