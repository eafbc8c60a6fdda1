"""Problems: their data, where files are found, and what chance draws for a seed."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.errors import DataFilesError, UnknownNameError
from dwindle.store.records import Scale
from dwindle.study.problems import FOLDER_VARIABLE, problem, read_idx
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


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim])
    return header + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


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


@pytest.mark.parametrize(
    ("name", "pool", "rows"),
    [("digits-mlp", 1200, 1797), ("fashion-mlp", 60_000, 70_000)],
)
def test_every_seed_has_its_own_split(name, pool, rows):
    """No sample is drawn from and validated with; other seeds validate with others.

    Of Fashion-MNIST no seed validates with training images.
    """
    splits = [problem(name).split(seed) for seed in range(4)]
    for split in splits:
        assert (len(split.pool), len(split.valid)) == (
            problem(name).pool_size,
            problem(name).facts.validation_samples,
        )
        both = {*split.pool.tolist(), *split.valid.tolist()}
        assert len(both) == len(split.pool) + len(split.valid)
        assert both <= set(range(rows))
    assert problem(name).pool_size == pool
    assert len({tuple(split.valid) for split in splits}) == 4
    if name == "fashion-mlp":
        assert splits[1].pool.tolist() == list(range(pool))
    else:
        # The first rows are part of the problem: they may never change.
        assert splits[0].valid[:8].tolist() == FIRST_VALID
        again = problem("digits-logistic").split(0)
        assert again.valid.tolist() == splits[0].valid.tolist()


def test_layers_follow_the_scale():
    """Depth counts hidden layers; a problem without hidden layers has one matrix."""
    expected = ((64, 5), (5, 5), (5, 5), (5, 10))
    assert problem("digits-mlp").facts.layer_shapes(SCALE) == expected
    assert problem("digits-logistic").facts.layer_shapes(SCALE) == ((64, 10),)
    with pytest.raises(UnknownNameError) as refused:
        problem("digit-mlp")
    assert refused.value.nearest[0] == "digits-mlp"


@pytest.mark.parametrize("compressed", [True, False])
def test_fashion_is_read_and_standardized(tmp_path, monkeypatch, compressed):
    """IDX files, plain or gzip, become pixels of mean 0 and standard deviation 1."""
    generator = np.random.default_rng(1)
    arrays = {}
    for name, shape in FILES.items():
        most = 10 if len(shape) == 1 else 256
        arrays[name] = generator.integers(most, size=shape).astype(np.uint8)
        content = idx_bytes(arrays[name])
        if compressed:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (tmp_path / name).write_bytes(content)
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
    """A file that does not match its header is an error, never wrong numbers."""
    for name, content, must in [
        ("a", b"not idx at all", "an IDX file of unsigned bytes"),
        ("b", b"\0\0", "an IDX file of unsigned bytes"),
        (
            "c",
            idx_bytes(np.zeros(7, np.uint8))[:-2],
            "7 bytes long, as its header states",
        ),
        ("d.gz", b"no gzip", "readable"),
        ("e.gz", gzip.compress(b"cut off" * 99)[:-9], "readable"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataFilesError) as refused:
            read_idx(tmp_path / name)
        assert refused.value.must == must


@given(SEEDS, st.integers(0, 1000), st.integers(1, 100), st.integers(1, 100))
def test_what_a_seed_draws_holds_each_sample_once(seed, epoch, one, other):
    """Subsets of a seed are nested; an epoch and a split are permutations.

    The split is on a separate stream, and another seed's is another.
    """
    small, large = sorted((one, other))
    subset = training_subset(seed, 100, large).tolist()
    assert training_subset(seed, 100, small).tolist() == subset[:small]
    assert len(set(subset)) == large
    order, split = epoch_order(seed, epoch, large), split_order(seed, large)
    assert sorted(order.tolist()) == sorted(split.tolist()) == list(range(large))
    # Of 100 samples no two seeds, nor two draws of one seed, agree.
    splits = [split_order(each, 100).tolist() for each in (seed, seed, seed + 1)]
    assert splits[0] == splits[1] != splits[2]
    assert splits[0] != training_subset(seed, 100, 100).tolist()


def test_seeds_and_epochs_differ():
    """Another seed: another subset, order, network; another epoch: another order."""
    draws = {
        "order": [epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)],
        "subset": [training_subset(seed, 50, 20) for seed in (0, 1)],
        "network": [initial_weights(seed, [(4, 3)])[0].ravel() for seed in (0, 1)],
    }
    for name, found in draws.items():
        assert len({tuple(each.tolist()) for each in found}) == len(found), name


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
