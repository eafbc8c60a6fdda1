"""Handwritten digits, 8 by 8 pixels, as scikit-learn carries them."""

from dataclasses import dataclass

import numpy as np

from dwindle.study.problem import Data, Split
from dwindle.study.sampling import split_order

_SAMPLES = 1797
_POOL = 1200


@dataclass(frozen=True)
class Digits:
    """The 1,797 digits: each seed draws its own 1,200 as a pool, 597 validate.

    Pixels are standardized by one mean and one deviation, those of all digits, so that
    black stays one number. Reference: scikit-learn's ``load_digits``, the test
    part of the UCI set of handwritten digits.
    """

    name: str
    hidden: bool
    inputs: int = 64
    classes: int = 10
    pool_size: int = _POOL
    valid_size: int = _SAMPLES - _POOL

    def load(self) -> Data:
        """Return the digits in the order of scikit-learn."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        x = ((pixels - pixels.mean()) / pixels.std()).astype(np.float32)
        return Data(x, labels.astype(np.int64))

    def split(self, seed: int) -> Split:
        """Return the split that a seed draws of all digits."""
        order = split_order(seed, _SAMPLES)
        return Split(pool=order[:_POOL], valid=order[_POOL:])


DIGITS_MLP = Digits(name="digits-mlp", hidden=True)
DIGITS_LOGISTIC = Digits(name="digits-logistic", hidden=False)
