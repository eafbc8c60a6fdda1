"""The same number of fits of the same size by scikit-learn's grid search."""

import warnings

import numpy as np
from machine import seconds_of
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from tasks import DECAYS, DIGITS, SEEDS

from dwindle.study.problems import load_once


def measure_grid_search_ms(width: int, repeats: int) -> float:
    """Return the median milliseconds of a fit: 13 alphas by 5 folds on two processes.

    Four fifths of 750 samples are the 600 that a training of ours sees; batches of
    32 and exactly 30 epochs of SGD with momentum, no early stop, no refit.
    """
    data = load_once(DIGITS)
    network = MLPClassifier(
        (width, width),
        solver="sgd",
        batch_size=32,
        learning_rate_init=0.05,
        momentum=0.9,
        nesterovs_momentum=False,
        max_iter=30,
        tol=0.0,
        n_iter_no_change=1000,
    )
    search = GridSearchCV(
        network,
        {"alpha": np.geomspace(1e-5, 1e-1, DECAYS)},
        cv=SEEDS,
        n_jobs=2,
        refit=False,
    )
    x, y = data.x[:750], data.y[:750]
    with warnings.catch_warnings():
        # Thirty epochs are not meant to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(x, y)  # starts the processes
        seconds = [seconds_of(lambda: search.fit(x, y))[0] for _ in range(repeats)]
    return float(np.median(seconds)) / (DECAYS * SEEDS) * 1e3
