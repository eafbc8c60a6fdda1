"""Fashion-MNIST: 28 by 28 pixels, ten kinds of clothes, read from IDX files."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dwindle.errors import DataFilesError
from dwindle.study.problem import Data, Split
from dwindle.study.problems.idx import read_idx
from dwindle.study.sampling import split_order

FOLDER_VARIABLE = "DWINDLE_FASHION_MNIST"
_DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
_VALID = 2000
_TEST_SIZE = 10_000
_TRAIN, _TEST = "train", "t10k"


@dataclass(frozen=True)
class FashionMnist:
    """60,000 images to draw from; each seed validates with 2,000 of 10,000 test images.

    Two thousand keep an evaluation cheap beside a training; the standard error that
    this leaves is the same for all λ of a seed. Pixels are standardized by the mean and
    the standard deviation of all training pixels. Reference: Xiao, Rasul, Vollgraf
    (2017), Fashion-MNIST.
    """

    name: str = "fashion-mlp"
    hidden: bool = True
    inputs: int = 784
    classes: int = 10
    pool_size: int = 60_000
    valid_size: int = _VALID
    folder: str | None = None

    def load(self) -> Data:
        """Read the four files.

        They are looked for in ``folder``, else where the environment variable
        ``DWINDLE_FASHION_MNIST`` points, else where Debian's package puts them.

        Raises:
            DataFilesError: If one of them is not there, and how to get it; or if it
                is not what its header says.

        """
        pool, labels = self._read(_TRAIN)
        valid, valid_labels = self._read(_TEST)
        mean, spread = float(pool.mean()), float(pool.std())
        return Data(
            _standardized(np.concatenate([pool, valid]), mean=mean, spread=spread),
            np.concatenate([labels, valid_labels]).astype(np.int64),
        )

    def split(self, seed: int) -> Split:
        """Return all training images as the pool, and the test images of a seed."""
        test = self.pool_size + split_order(seed, _TEST_SIZE)
        return Split(pool=np.arange(self.pool_size), valid=test[:_VALID])

    def _read(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images = read_idx(self._find(f"{part}-images-idx3-ubyte"))
        labels = read_idx(self._find(f"{part}-labels-idx1-ubyte"))
        return images.reshape(len(images), -1), labels

    def _find(self, name: str) -> Path:
        folder = Path(self.folder or os.environ.get(FOLDER_VARIABLE) or _DEBIAN_FOLDER)
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


def _standardized(
    pixels: NDArray[np.uint8], *, mean: float, spread: float
) -> NDArray[np.float32]:
    return (pixels.astype(np.float32) - np.float32(mean)) / np.float32(spread)


FASHION_MLP = FashionMnist()
