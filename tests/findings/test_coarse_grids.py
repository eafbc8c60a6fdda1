"""The best λ of one cell does not depend on how coarse its grid was written."""

import math
from functools import cache

import numpy as np
import pytest
from findings.simulated_study import ended, findings_of_rows, study_spec
from stats.simulated_curves import SGD_WIDE, mean_curve, true_optimum

from dwindle.store.spec import AxisSpec
from dwindle.study.plan import ROUNDS, round_trials
from dwindle.study.problems import problem

TRUTH = 0.0045
POINTS = (3, 4, 5, 7, 13, 25, 49)
DIGITS = problem("digits-mlp")


def loss_of(trial):
    """A cell's true curve times each seed's level and what decay does to a seed."""
    generator = np.random.default_rng([7, trial.seed])
    level, helped = generator.standard_normal(2) * (0.11, 0.06)
    if not trial.weight_decay:
        return math.exp(level)
    x = math.log(trial.weight_decay / TRUTH) + true_optimum(SGD_WIDE)
    mean = float(mean_curve(SGD_WIDE, np.array([x]), shift=0)[0])
    grown = 1 / (1 + math.exp(-(x - true_optimum(SGD_WIDE) + 1.5) / 1.6))
    return mean * math.exp(level + helped * grown)


def outcome_of(trial):
    return ended(loss_of(trial))


@cache
def studied(points, *, low=1e-5, high=1e-1, rounds=ROUNDS):
    """The only cell of a study with that grid, and the λ that were trained."""
    spec = study_spec(
        axes=(AxisSpec(axis="width", values=(64,)),),
        low=low,
        high=high,
        points=points,
        seeds=5,
    )
    trials = [
        trial
        for number in range(rounds)
        for trial in round_trials(spec, DIGITS, outcome_of, number=number)
    ]
    rows = [(trial, outcome_of(trial)) for trial in trials]
    cell = findings_of_rows(spec, rows).axes[0].cells[0]
    return cell, sorted({trial.weight_decay for trial in trials})


@pytest.mark.parametrize("points", POINTS)
def test_every_grid_ends_at_the_same_optimum(points):
    """From 3 to 49 points over four decades: the truth is held, the place is one."""
    cell, _ = studied(points)
    assert cell.matters == "yes"
    assert cell.low <= TRUTH <= cell.high
    assert cell.optimum == pytest.approx(TRUTH, rel=0.15)
    assert math.log(cell.high / cell.low) >= 2 * 0.12
    # The loss there lies at the lowest mean, not far below and not above.
    lowest = min(point.mean for point in cell.curve if point.weight_decay)
    assert 0.98 * lowest <= cell.loss_at_optimum <= 1.01 * lowest


@pytest.mark.parametrize("points", POINTS)
def test_a_grid_that_is_not_filled_yet_is_never_read_tightly(points):
    """Also of the bare grid, as an older store has it, the interval holds the truth.

    Above a third of a decade it reaches the λ on both sides; the place is one that was
    trained.
    """
    cell, decays = studied(points, rounds=1)
    gap = 4 * math.log(10) / (points - 1)
    assert (cell.low or 0) <= TRUTH <= (cell.high or math.inf)
    if points < 13:
        assert cell.low is None or math.log(cell.optimum / cell.low) > 0.99 * gap
        assert cell.high is None or math.log(cell.high / cell.optimum) > 0.99 * gap
        assert min(abs(cell.optimum - decay) for decay in decays) < 1e-12
    assert (cell.why == studied(points)[0].why) == (points >= 13)


@pytest.mark.parametrize(
    ("points", "low", "high", "decays", "highest"),
    [
        (13, 1e-8, 1.0, 1 + 13 + 4, 1.0),  # a third is wasted, none of the truth is
        (3, 1e-6, 1e-3, 20, 1e-1 * 1.01),  # below the optimum: a decade more, the gaps
    ],
)
def test_a_grid_that_lies_badly_holds_the_truth_with_few_trainings(
    points, low, high, decays, highest
):
    """Two thirds of a decade over eight decades, and three points that end below."""
    cell, trained = studied(points, low=low, high=high)
    assert cell.low <= TRUTH <= cell.high
    assert len(trained) <= decays
    assert max(trained) <= highest
