"""Which method finds the best λ with the fewest trainings: same curves, same noise.

    python bench/find_design.py [SEARCHES | --quick]

Of every method: the share of searches whose answer is within 25 % of the best λ after
so many trainings, over the six cells of ``tests/stats/found_curves.py``; for the
two-point design also where it stops by itself. ``--quick`` has two searches a cell
and no sampler. A sampler's first ten trials are random, so that with the mean of five
seeds TPE and the Gaussian process are one random search up to 50 trainings; every
search has random numbers of its own. scikit-learn's grid and Optuna's samplers are
compared where they are importable: install them (with torch for Optuna's Gaussian
process) beside this package in an environment apart, or into a folder that PYTHONPATH
names.
"""

import math
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from stats.found_curves import CELLS, search

from dwindle.stats.curve import Curve
from dwindle.stats.optimum import minima_of
from dwindle.stats.points import Point
from dwindle.stats.two_point import next_points, read_out

WITHIN = math.log(1.25)
BUDGETS = (15, 21, 25, 35, 52, 65, 104)
SEEDS_OF_A_MEAN = 5
GRID = 13
# Beyond, a Gaussian process of Optuna takes minutes a search, and ours has stopped.
LAST_OF_OURS = 52


def two_point(loss, design, number):  # noqa: ARG001 - as all methods
    """The two-point design, without λ = 0 and without its stop."""
    asked = {"low": design.low, "high": design.high, "zero": False}
    whole = type(design)(**asked, trainings=LAST_OF_OURS, within=1.1)
    points = []
    while not (proposal := next_points(points, whole)).stopped_because:
        points += [Point(x=x, seed=s, loss=loss(x, s)) for x, s in proposal.points]
    budgets = [budget for budget in BUDGETS if budget <= LAST_OF_OURS]
    return {b: math.log(read_out(points[:b], whole).value) for b in budgets}


def grid(loss, design, number):  # noqa: ARG001 - as all methods
    """A grid of 13 λ by as many seeds as there are trainings for; a local cubic."""
    places = np.linspace(math.log(design.low), math.log(design.high), GRID)
    most = BUDGETS[-1] // GRID
    losses = np.array([[loss(x, seed) for x in places] for seed in range(most)])
    found = {}
    for budget in BUDGETS:
        seeds = budget // GRID
        curve = Curve(
            seeds=tuple(range(seeds)),
            log_decay=places,
            losses=losses[:seeds],
            without_decay=None,
        )
        found[budget] = float(minima_of(curve, curve.log_mean[None, :])[0])
    return found


def sklearn_grid(loss, design, number):  # noqa: ARG001 - as all methods
    """The grid of 13 and five folds of scikit-learn's search: a fold is a seed."""
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import GridSearchCV

    class Training(BaseEstimator):
        def __init__(self, x=0.0):
            self.x = x

        def fit(self, seeds, y=None):  # noqa: ARG002 - as scikit-learn calls it
            return self

        def score(self, seeds, y=None):  # noqa: ARG002
            return -loss(self.x, int(seeds[0, 0]))

    places = np.linspace(math.log(design.low), math.log(design.high), GRID)
    seeds = np.arange(SEEDS_OF_A_MEAN)[:, None]
    folds = [(seeds[:, 0], seed) for seed in seeds]
    grid_search = GridSearchCV(Training(), {"x": places}, cv=folds, refit=False)
    grid_search.fit(seeds)
    return {GRID * SEEDS_OF_A_MEAN: grid_search.best_params_["x"]}


def optuna_search(sampler_name, seeds, last):
    """Return a method of Optuna's: a fresh seed a trial, or the mean of some seeds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

    def method(loss, design, number):
        def objective(trial):
            decay = trial.suggest_float("decay", design.low, design.high, log=True)
            several = range(seeds) if seeds > 1 else [trial.number]
            return np.mean([loss(math.log(decay), seed) for seed in several])

        sampler = getattr(optuna.samplers, sampler_name)(seed=number)
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=last // seeds)
        found = {}
        for budget in (budget for budget in BUDGETS if budget <= last):
            best = min(study.trials[: budget // seeds], key=lambda trial: trial.value)
            found[budget] = math.log(best.params["decay"])
        return found

    return method


def methods(*, quick):
    """Return methods by name."""
    found = {"two-point design": two_point, "grid of 13, paired, cubic": grid}
    if find_spec("sklearn") and not quick:
        found["scikit-learn, grid of 13, 5 folds"] = sklearn_grid
    if find_spec("optuna") and not quick:
        for name, last in (("TPESampler", BUDGETS[-1]), ("GPSampler", LAST_OF_OURS)):
            found[f"Optuna {name}, a seed a trial"] = optuna_search(name, 1, last)
            found[f"Optuna {name}, mean of 5"] = optuna_search(
                name, SEEDS_OF_A_MEAN, BUDGETS[-1]
            )
    return found


def main(searches, *, quick=False):
    """Print both tables."""
    kinds = CELLS
    # The same number would be the same shift and the same random trials in all cells.
    numbers = [range(searches * at, searches * (at + 1)) for at in range(len(kinds))]
    drawn = [(c, n) for c, some in zip(kinds, numbers, strict=True) for n in some]
    print(f"share within 25 % after ... trainings, {len(drawn)} searches")
    print(f"{'':34s}" + "".join(f"{budget:>7d}" for budget in BUDGETS))
    for name, method in methods(quick=quick).items():
        near = {budget: [] for budget in BUDGETS}
        for cell, number in drawn:
            loss, truth = cell.replicate(number)
            for budget, place in method(loss, cell.design(), number).items():
                near[budget].append(abs(place - truth) <= WITHIN)
        shares = [
            f"{np.mean(row):7.2f}" if row else f"{'–':>7s}" for row in near.values()
        ]
        print(f"{name:34s}" + "".join(shares), flush=True)
    print("\nthe two-point design with λ = 0, to its own stop at ±25 %")
    for cell, some in zip(kinds, numbers, strict=True):
        ends = [search(*cell.replicate(n), cell.design()) for n in some]
        trainings = [end.trainings for end in ends]
        print(
            f"{cell.name:16s} trainings: mean {np.mean(trainings):.1f},"
            f" 90 % {np.quantile(trainings, 0.9):.0f};"
            f" within {np.mean([abs(end.error) <= WITHIN for end in ends]):.2f},"
            f" covered {np.mean([end.covered for end in ends]):.2f}"
        )


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "20"
    main(2 if asked == "--quick" else int(asked), quick=asked == "--quick")
