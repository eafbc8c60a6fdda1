"""Problems: their data, where files are found, and what chance draws for a seed."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.errors import DataFilesError
from dwindle.store.records import Scale
from dwindle.study.problems import (
    FOLDER_VARIABLE,
    problem,
    read_idx,
)
from dwindle.study.sampling import (
    epoch_order,
    initial_weights,
    split_order,
    training_subset,
)

FIRST_VALID = [665, 1369, 1242, 586, 299, 553, 1196, 758]
SCALE = Scale(width=5, depth=3, batch_size=1, dataset_size=1, epochs=1, lr=0.1)
SEEDS = st.integers(0, 2**31)
FILES = {
    "train-images-idx3-ubyte": (6, 28, 28),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (4, 28, 28),
    "t10k-labels-idx1-ubyte": (4,),
}


TORN_GZIP = gzip.compress(b"cut off" * 99)[:-9]


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim])
    return header + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def write_fashion(folder, *, compressed):
    generator = np.random.default_rng(1)
    arrays = {}
    for name, shape in FILES.items():
        most = 10 if len(shape) == 1 else 256
        arrays[name] = generator.integers(most, size=shape).astype(np.uint8)
        content = idx_bytes(arrays[name])
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return arrays


def test_digits_are_standardized_gray_levels():
    """1,797 digits of mean 0 and deviation 1: 17 gray levels, all ten digits."""
    data, other = (problem(name).load() for name in ("digits-mlp", "digits-logistic"))
    assert data.x.shape == (1797, 64)
    # Float32 over 115,008 pixels.
    assert data.x.mean() == pytest.approx(0, abs=1e-5)
    assert data.x.std() == pytest.approx(1, rel=1e-5)
    assert len(np.unique(data.x)) == 17
    assert set(data.y.tolist()) == set(range(10))
    np.testing.assert_array_equal(data.x, other.x)


def test_every_seed_has_its_own_split_of_the_digits():
    """1,200 to draw from, 597 to validate, no digit in both; other seeds, other ones.

    The first rows are part of the problem: they may never change.
    """
    splits = [problem("digits-mlp").split(seed) for seed in range(4)]
    for split in splits:
        assert (len(split.pool), len(split.valid)) == (1200, 597)
        assert sorted([*split.pool, *split.valid]) == list(range(1797))
    assert len({tuple(split.valid) for split in splits}) == 4
    assert splits[0].valid[:8].tolist() == FIRST_VALID
    again = problem("digits-logistic").split(0)
    assert again.valid.tolist() == splits[0].valid.tolist()


def test_every_seed_has_its_own_images_of_fashion_to_validate_with():
    """2,000 of the 10,000 test images, none of the training images; others by seed."""
    one, other = (problem("fashion-mlp").split(seed) for seed in (0, 1))
    assert one.pool.tolist() == list(range(60_000))
    assert len(set(one.valid.tolist())) == 2000
    assert one.valid.min() >= 60_000
    assert one.valid.max() < 70_000
    assert set(one.valid.tolist()) != set(other.valid.tolist())


def test_layers_follow_the_scale():
    """Depth counts hidden layers; a problem without hidden layers has one matrix."""
    expected = ((64, 5), (5, 5), (5, 5), (5, 10))
    assert problem("digits-mlp").facts.layer_shapes(SCALE) == expected
    assert problem("digits-logistic").facts.layer_shapes(SCALE) == ((64, 10),)


@pytest.mark.parametrize("compressed", [True, False])
def test_fashion_is_read_and_standardized(tmp_path, monkeypatch, compressed):
    """IDX files, plain or gzip, become pixels of mean 0 and standard deviation 1."""
    arrays = write_fashion(tmp_path, compressed=compressed)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    data = problem("fashion-mlp").load()
    assert data.x.shape == (10, 784)
    # Float32 over 4,704 pixels.
    assert data.x[:6].mean() == pytest.approx(0, abs=1e-5)
    assert data.x[:6].std() == pytest.approx(1, rel=1e-5)
    labels = [arrays[name].tolist() for name in FILES if "labels" in name]
    assert data.y.tolist() == labels[0] + labels[1]
    pixels = arrays["train-images-idx3-ubyte"]
    back = data.x[6:] * pixels.std() + pixels.mean()
    expected = arrays["t10k-images-idx3-ubyte"].reshape(4, 784)
    # Float32 of numbers up to 255.
    np.testing.assert_allclose(back, expected, atol=1e-3)


def test_without_files_the_way_to_get_them_is_named(tmp_path, monkeypatch):
    """The error names folder, package and variable."""
    empty = tmp_path / "elsewhere"
    monkeypatch.setenv(FOLDER_VARIABLE, str(empty))
    with pytest.raises(DataFilesError) as refused:
        problem("fashion-mlp").load()
    assert refused.value.path.startswith(str(empty))
    for word in ("dataset-fashion-mnist", FOLDER_VARIABLE):
        assert word in refused.value.remedy


def test_damaged_files_are_refused(tmp_path):
    """A file that is not what its header says is an error, never wrong numbers."""
    files = {
        "a": b"not idx at all",
        "b": b"\0\0",
        "c": idx_bytes(np.zeros(7, np.uint8))[:-2],
        "d.gz": b"no gzip",
        "e.gz": TORN_GZIP,
    }
    found = {}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataFilesError) as refused:
            read_idx(tmp_path / name)
        found[name] = refused.value.must
    idx = "an IDX file of unsigned bytes"
    size = "7 bytes long, as its header says"
    readable = "readable"
    assert list(found.values()) == [idx, idx, size, readable, readable]


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
    draws = {
        "order": [epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)],
        "subset": [training_subset(seed, 50, 20) for seed in (0, 1)],
        "network": [initial_weights(seed, [(4, 3)])[0].ravel() for seed in (0, 1)],
    }
    for name, found in draws.items():
        assert len({tuple(each.tolist()) for each in found}) == len(found), name


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


def test_a_text_is_the_character_after_eight_others():
    """Neighbors are one character apart, and no validation sample shares any."""
    text = problem("text-mlp")
    data = text.load()
    windows = data.x.reshape(len(data.x), 8, -1).argmax(2)
    assert (data.x.sum(1) == 8).all()
    # Within a block the next window has moved by a character.
    assert (windows[1, :-1] == windows[0, 1:]).all()
    assert windows[1, -1] == data.y[0]
    for seed in (0, 1):
        split = text.split(seed)
        assert len(split.pool) == text.pool_size
        assert len(split.valid) == text.facts.validation_samples
        blocks = [set((rows // 992).tolist()) for rows in (split.pool, split.valid)]
        assert not blocks[0] & blocks[1]
        assert len(blocks[1]) > 45
    assert set(text.split(0).valid) != set(text.split(1).valid)
