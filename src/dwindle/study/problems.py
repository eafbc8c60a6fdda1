"""What is trained on: a problem's data, how a seed splits them, its layer shapes."""

import gzip
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dwindle.errors import DataFilesError, MissingLibraryError, UnknownNameError
from dwindle.store.records import ProblemFacts, Trial
from dwindle.study.sampling import split_order, training_subset


@dataclass(frozen=True, eq=False)
class Data:
    """All samples of a problem, before any split."""

    x: NDArray[np.float32]  # (samples, inputs)
    y: NDArray[np.int64]  # (samples,)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the data: a pool to draw training sets from, and a validation set."""

    pool: NDArray[np.int64]  # (pool,)
    valid: NDArray[np.int64]  # (valid,)


@dataclass(frozen=True)
class Problem:
    """A classification task for dense ReLU networks.

    A study names one of ``PROBLEMS``, since its store could not see that other data had
    changed. One without hidden layers is a multinomial logistic regression, at any
    depth.

    Args:
        name: What study files and stores call it.
        facts: What a store keeps of it: enough to derive its networks.
        pool_size: Samples that training sets are drawn from.
        load: Returns the data; called once per process.
        blocks: What a split draws: blocks of samples that stand together in the data.
        block: Samples of a block.
        in_every_pool: The first so many blocks are never validated with.
        every: Of a block that validates each sample, or each second, third, ...

    """

    name: str
    facts: ProblemFacts
    pool_size: int
    load: Callable[[], Data]
    blocks: int
    block: int = 1
    in_every_pool: int = 0
    every: int = 1

    def split(self, seed: int) -> Split:
        """Return the rows that a seed draws from and validates with."""
        first = self.in_every_pool
        drawn = first + split_order(seed, self.blocks - first)
        order = np.concatenate([np.arange(first), drawn])
        rows = order[:, None] * self.block + np.arange(self.block)
        pool, rest = np.split(rows, [self.pool_size // self.block])
        valid = rest[:, :: self.every].flatten()
        return Split(pool=pool.flatten(), valid=valid[: self.facts.validation_samples])


def _load_digits() -> Data:
    """Return the 1,797 digits in the order of scikit-learn.

    Pixels are standardized by one mean and one deviation, those of all digits, so that
    black stays one number. Reference: scikit-learn's ``load_digits``, the test
    part of the UCI set of handwritten digits.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    x = ((pixels - pixels.mean()) / pixels.std()).astype(np.float32)
    return Data(x, labels.astype(np.int64))


FOLDER_VARIABLE = "DWINDLE_FASHION_MNIST"
_DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"


def _load_fashion() -> Data:
    """Read the four files of Fashion-MNIST; the error of a missing one has its source.

    They are read from where the environment variable ``DWINDLE_FASHION_MNIST`` points,
    else from where Debian's package puts them. Pixels are standardized by the mean
    and the standard deviation of all training pixels. Reference: Xiao, Rasul, Vollgraf
    (2017), Fashion-MNIST.
    """
    pool, labels, valid, valid_labels = (
        read_idx(_find_fashion(f"{part}-{kind}-ubyte"))
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )
    mean, spread = float(pool.mean()), float(pool.std())
    pixels = np.concatenate([pool, valid]).astype(np.float32)
    x = (pixels.reshape(len(pixels), -1) - np.float32(mean)) / np.float32(spread)
    return Data(x, np.concatenate([labels, valid_labels]).astype(np.int64))


def _find_fashion(name: str) -> Path:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or _DEBIAN_FOLDER)
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    raise DataFilesError(
        path=str(folder / name),
        must="an IDX file, plain or with .gz",
        got="no such file",
        remedy=(
            "Install Debian's package dataset-fashion-mnist, or put the four files"
            f" of Fashion-MNIST into a folder and name it in {FOLDER_VARIABLE}."
        ),
    )


# IDX: two zero bytes, the type (8 is an unsigned byte), the number of axes.
_UNSIGNED_BYTE = 8
_HEADER = 4
_REMEDY = "Fetch the file again; a download may have been cut off."


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file, plain or gzip; one that is damaged is refused.

    The header is two zero bytes, the type (8: unsigned byte), the number of axes, and
    the length of each axis in four bytes.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, OSError, zlib.error) as reason:
        raise DataFilesError(str(path), "readable", str(reason), _REMEDY) from reason
    header = content[:_HEADER]
    if len(header) < _HEADER or header[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        must = "an IDX file of unsigned bytes"
        raise DataFilesError(str(path), must, f"the header {header!r}", _REMEDY)
    start = _HEADER + 4 * header[3]
    shape = np.frombuffer(content[_HEADER:start], dtype=">u4").astype(int)
    if len(content) - start != shape.prod():
        must = f"{shape.prod():,} bytes long, as its header states"
        raise DataFilesError(str(path), must, f"{len(content) - start:,}", _REMEDY)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


# Predicting a character: from how many before it, and the symbols that are not rare.
_CONTEXT = 8
_SYMBOLS = " abcdefghijklmnopqrstuvwxyz.,(`_"
_TEXT_BLOCKS, _TEXT_BLOCK = 250, 1000
_TEXT_SAMPLES = _TEXT_BLOCK - _CONTEXT


def _load_text() -> Data:
    """Return the next character after eight others, in torch's documentation.

    The docstrings of torch's functions are at hand wherever studies train, and the
    version of torch is part of the key of every training. Samples are places in the
    text, in order. Case is dropped, white space is one blank, and rare characters are
    one symbol.
    """
    found = find_spec("torch")
    if found is None or found.origin is None:
        raise MissingLibraryError("PyTorch", "This problem", "study")
    raw = Path(found.origin).with_name("_torch_docs.py").read_text("utf-8")
    text = re.sub(r"\s+", " ", raw).lower()
    code = {character: i for i, character in enumerate(_SYMBOLS)}
    rare = len(_SYMBOLS)
    codes = np.array([code.get(each, rare) for each in text], dtype=np.int64)
    count = _TEXT_BLOCKS * _TEXT_BLOCK
    if len(codes) < count:
        must = f"{count:,} characters long, without repeated white space"
        remedy = "Install the version of torch in requirements.txt."
        raise DataFilesError("torch/_torch_docs.py", must, f"{len(codes):,}", remedy)
    windows = np.lib.stride_tricks.sliding_window_view(codes, _CONTEXT + 1)
    blocks = windows[:count].reshape(_TEXT_BLOCKS, _TEXT_BLOCK, _CONTEXT + 1)
    # The first windows of a block only: the others reach into the next one.
    whole = blocks[:, :_TEXT_SAMPLES].reshape(-1, _CONTEXT + 1)
    inputs = np.eye(rare + 1, dtype=np.float32)[whole[:, :-1]]
    return Data(inputs.reshape(len(whole), -1), whole[:, -1].copy())


_PLAIN = (
    # All of scikit-learn's digits; two thirds are trained on, the rest validates.
    Problem(
        "digits-mlp",
        ProblemFacts(inputs=64, classes=10, hidden=True, validation_samples=597),
        pool_size=1200,
        load=_load_digits,
        blocks=1797,
    ),
    # A fifth of the test images, other ones for each seed: so the interval includes
    # their choice. Two thousand keep an evaluation cheap beside a training; the
    # standard error that this leaves is the same for all λ of a seed.
    Problem(
        "fashion-mlp",
        ProblemFacts(inputs=784, classes=10, hidden=True, validation_samples=2000),
        pool_size=60_000,
        load=_load_fashion,
        blocks=70_000,
        in_every_pool=60_000,
    ),
    # Blocks of text are drawn, not characters: a window must not reach from one part of
    # the split into the other. A fifth of them validates, with few samples of each, for
    # neighbors are nearly one sample, and 3,000 of all: two thirds of a study's time
    # would else be evaluation.
    Problem(
        "text-mlp",
        ProblemFacts(
            inputs=_CONTEXT * (len(_SYMBOLS) + 1),
            classes=len(_SYMBOLS) + 1,
            hidden=True,
            validation_samples=3000,
        ),
        pool_size=200 * _TEXT_SAMPLES,
        load=_load_text,
        blocks=_TEXT_BLOCKS,
        block=_TEXT_SAMPLES,
        every=16,
    ),
)
_LOGISTIC = replace(
    _PLAIN[0], name="digits-logistic", facts=replace(_PLAIN[0].facts, hidden=False)
)
# The same nets with a LayerNorm before each ReLU: separate problems, so that their
# trainings are never pooled with those of the plain ones.
_NORMED = (
    replace(
        one, name=f"{one.name}-layernorm", facts=replace(one.facts, layer_norm=True)
    )
    for one in _PLAIN
)
_ALL = sorted((*_PLAIN, _LOGISTIC, *_NORMED), key=lambda one: one.name)
PROBLEMS = {one.name: one for one in _ALL}


def problem(name: str) -> Problem:
    """Return the problem of that name.

    Raises:
        UnknownNameError: If there is none; with the nearest names.

    Example:
        >>> problem("digits-mlp").pool_size
        1200

    """
    if name not in PROBLEMS:
        raise UnknownNameError.among("problem", name, PROBLEMS)
    return PROBLEMS[name]


def rows_of(problem: Problem, trial: Trial) -> Split:
    """Return the rows that a trial trains on, as the pool, and validates with."""
    split = problem.split(trial.split_seed)
    drawn = training_subset(trial.seed, problem.pool_size, trial.scale.dataset_size)
    return Split(pool=split.pool[drawn], valid=split.valid)


@cache
def load_once(problem: Problem) -> Data:
    """Return the data of a problem, read from disk once per process."""
    return problem.load()
