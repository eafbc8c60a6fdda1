"""What is trained on: a problem's data, how a seed splits them, its layer shapes."""

import gzip
import os
import re
import zlib
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dwindle.errors import DataFilesError, MissingLibraryError, UnknownNameError
from dwindle.store.records import ProblemFacts
from dwindle.study.sampling import split_order

# All of scikit-learn's digits; two thirds are trained on, the rest validates.
_DIGITS = 1797
_DIGITS_POOL = 1200
FOLDER_VARIABLE = "DWINDLE_FASHION_MNIST"
_DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
# A fifth of the test images, other ones for each seed: so the interval knows of them.
_FASHION_TEST = 10_000
_FASHION_VALID = 2000
_FASHION_FACTS = ProblemFacts(
    inputs=784, classes=10, hidden=True, validation_samples=_FASHION_VALID
)
# Predicting a character: from how many before it, and the symbols that are not rare.
_CONTEXT = 8
_SYMBOLS = " abcdefghijklmnopqrstuvwxyz.,(`_"
# Blocks of text are drawn, not characters: a window must not reach from one part of the
# split into the other.
_TEXT_BLOCKS, _TEXT_BLOCK, _TEXT_POOL_BLOCKS = 250, 1000, 200
_TEXT_SAMPLES = _TEXT_BLOCK - _CONTEXT
_TEXT_POOL = _TEXT_POOL_BLOCKS * _TEXT_SAMPLES
_TEXT_VALID_OF_BLOCK = 62
_TEXT_VALID = (
    3000  # of 50 blocks: two thirds of a study's time would else be evaluation
)
_TEXT_FACTS = ProblemFacts(
    inputs=_CONTEXT * (len(_SYMBOLS) + 1),
    classes=len(_SYMBOLS) + 1,
    hidden=True,
    validation_samples=_TEXT_VALID,
)
# IDX: two zero bytes, the type (8 is an unsigned byte), the number of axes.
_UNSIGNED_BYTE = 8
_HEADER = 4
_REMEDY = "Fetch the file again; a download may have been cut off."


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


class Problem(Hashable, Protocol):
    """A classification task for dense ReLU networks.

    ``train_pack`` trains on anything with these members; a study names one of
    ``PROBLEMS``, since its store could not see that other data had changed.
    One without hidden layers is a multinomial logistic regression, at any depth.
    """

    @property
    def name(self) -> str:
        """The name that study files and stores use."""

    @property
    def facts(self) -> ProblemFacts:
        """What a store keeps of it: enough to know its networks."""

    @property
    def pool_size(self) -> int:
        """Samples that training sets are drawn from."""

    def load(self) -> Data:
        """Return the data; called once per process."""

    def split(self, seed: int) -> Split:
        """Return the rows that a seed draws from and those that it validates with."""


@dataclass(frozen=True)
class Digits:
    """The 1,797 digits: each seed draws its own 1,200 as a pool, 597 validate.

    Pixels are standardized by one mean and one deviation, those of all digits, so that
    black stays one number. Reference: scikit-learn's ``load_digits``, the test
    part of the UCI set of handwritten digits.
    """

    name: str
    facts: ProblemFacts
    pool_size: int = _DIGITS_POOL

    def load(self) -> Data:
        """Return the digits in the order of scikit-learn."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        x = ((pixels - pixels.mean()) / pixels.std()).astype(np.float32)
        return Data(x, labels.astype(np.int64))

    def split(self, seed: int) -> Split:
        """Return the split that a seed draws of all digits."""
        order = split_order(seed, _DIGITS)
        return Split(pool=order[:_DIGITS_POOL], valid=order[_DIGITS_POOL:])


@dataclass(frozen=True)
class FashionMnist:
    """60,000 images to draw from; each seed validates with 2,000 of 10,000 test images.

    Two thousand keep an evaluation cheap beside a training; the standard error that
    this leaves is the same for all λ of a seed. Pixels are standardized by the mean and
    the standard deviation of all training pixels. Reference: Xiao, Rasul, Vollgraf
    (2017), Fashion-MNIST.
    """

    name: str = "fashion-mlp"
    facts: ProblemFacts = _FASHION_FACTS
    pool_size: int = 60_000

    def load(self) -> Data:
        """Read the four files, or say how to get those that are not there.

        They are looked for where the environment variable ``DWINDLE_FASHION_MNIST``
        points, else where Debian's package puts them.
        """
        pool, labels = self._read("train")
        valid, valid_labels = self._read("t10k")
        mean, spread = float(pool.mean()), float(pool.std())
        pixels = np.concatenate([pool, valid]).astype(np.float32)
        return Data(
            (pixels - np.float32(mean)) / np.float32(spread),
            np.concatenate([labels, valid_labels]).astype(np.int64),
        )

    def split(self, seed: int) -> Split:
        """Return all training images as the pool, and the test images of a seed."""
        test = self.pool_size + split_order(seed, _FASHION_TEST)
        # Training images are never validated with: the pool is the same for all seeds.
        return Split(pool=np.arange(self.pool_size), valid=test[:_FASHION_VALID])

    def _read(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images = read_idx(self._find(f"{part}-images-idx3-ubyte"))
        labels = read_idx(self._find(f"{part}-labels-idx1-ubyte"))
        return images.reshape(len(images), -1), labels

    def _find(self, name: str) -> Path:
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
        must = f"{shape.prod():,} bytes long, as its header says"
        raise DataFilesError(str(path), must, f"{len(content) - start:,}", _REMEDY)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


@dataclass(frozen=True)
class Text:
    """The next character after eight others, in the text of torch's documentation.

    The docstrings of torch's functions are at hand wherever studies train, and the
    version of torch is part of the key of every training. Case is dropped, white space
    is one blank, and rare characters are one symbol. The text is cut into blocks of
    1,000 characters; each seed draws a fifth of them to validate with, so that no
    validation sample shares characters with the pool.
    """

    name: str
    facts: ProblemFacts
    pool_size: int = _TEXT_POOL

    def load(self) -> Data:
        """Read the docstrings: samples are places in the text, in order."""
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
            raise DataFilesError(
                "torch/_torch_docs.py", must, f"{len(codes):,}", remedy
            )
        windows = np.lib.stride_tricks.sliding_window_view(codes, _CONTEXT + 1)
        blocks = windows[:count].reshape(_TEXT_BLOCKS, _TEXT_BLOCK, _CONTEXT + 1)
        # The first windows of a block only: the others reach into the next one.
        whole = blocks[:, :_TEXT_SAMPLES].reshape(-1, _CONTEXT + 1)
        inputs = np.eye(rare + 1, dtype=np.float32)[whole[:, :-1]]
        return Data(inputs.reshape(len(whole), -1), whole[:, -1].copy())

    def split(self, seed: int) -> Split:
        """Return the samples of the blocks that a seed draws for each part."""
        order = split_order(seed, _TEXT_BLOCKS)
        rows = order[:, None] * _TEXT_SAMPLES + np.arange(_TEXT_SAMPLES)
        pool, rest = np.split(rows, [_TEXT_POOL_BLOCKS])
        # Few of each block, for neighbors are nearly one sample.
        valid = rest[:, :: _TEXT_SAMPLES // _TEXT_VALID_OF_BLOCK].flatten()
        return Split(pool=pool.flatten(), valid=valid[:_TEXT_VALID])


_DIGITS_FACTS = ProblemFacts(
    inputs=64, classes=10, hidden=True, validation_samples=_DIGITS - _DIGITS_POOL
)
DIGITS_MLP = Digits(name="digits-mlp", facts=_DIGITS_FACTS)
DIGITS_LOGISTIC = Digits(
    name="digits-logistic", facts=replace(_DIGITS_FACTS, hidden=False)
)
# The same nets with a LayerNorm before each ReLU: problems of their own, so that their
# trainings are never pooled with those of the plain ones.
DIGITS_MLP_LAYERNORM = Digits(
    name="digits-mlp-layernorm", facts=replace(_DIGITS_FACTS, layer_norm=True)
)
FASHION_MLP_LAYERNORM = FashionMnist(
    name="fashion-mlp-layernorm", facts=replace(_FASHION_FACTS, layer_norm=True)
)
PROBLEMS: dict[str, Problem] = {
    one.name: one
    for one in (
        DIGITS_LOGISTIC,
        DIGITS_MLP,
        DIGITS_MLP_LAYERNORM,
        FashionMnist(),
        FASHION_MLP_LAYERNORM,
        Text(name="text-mlp", facts=_TEXT_FACTS),
        Text(name="text-mlp-layernorm", facts=replace(_TEXT_FACTS, layer_norm=True)),
    )
}


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


@cache
def load_once(problem: Problem) -> Data:
    """Return the data of a problem, read from disk once per process."""
    return problem.load()
