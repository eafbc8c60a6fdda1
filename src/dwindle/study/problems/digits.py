"""Handwritten digits, 8 by 8 pixels, as scikit-learn carries them."""

from dataclasses import dataclass

import numpy as np

from dwindle.study.problem import Data

_POOL = 1200
_SPLIT_SEED = 20120624  # fixed for ever: another split is another problem


@dataclass(frozen=True)
class Digits:
    """The 1,797 digits: 1,200 to draw from and 597 to validate, the same for all.

    Pixels are standardized by one mean and one deviation, those of the whole pool, so
    that black stays one number. Reference: scikit-learn's ``load_digits``, the test
    part of the UCI set of handwritten digits.
    """

    name: str
    hidden: bool
    inputs: int = 64
    classes: int = 10
    pool_size: int = _POOL

    def load(self) -> Data:
        """Return the digits, split by a permutation with a fixed seed."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
        drawn = pixels[order]
        x = ((drawn - drawn[:_POOL].mean()) / drawn[:_POOL].std()).astype(np.float32)
        y = labels[order].astype(np.int64)
        return Data(x[:_POOL], y[:_POOL], x[_POOL:], y[_POOL:])


DIGITS_MLP = Digits(name="digits-mlp", hidden=True)
DIGITS_LOGISTIC = Digits(name="digits-logistic", hidden=False)
