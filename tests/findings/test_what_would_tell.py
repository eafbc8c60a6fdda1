"""What would tell: a grid that reaches, seeds enough, networks that train."""

import math
from dataclasses import replace

import pytest
from findings.simulated_study import ended, findings_of_rows, simulated_rows, study_spec

from dwindle.findings.conclusion import conclude
from dwindle.findings.next_steps import next_steps
from dwindle.store.records import Outcome
from dwindle.store.spec import AxisSpec

WIDTH = AxisSpec(axis="width", values=(16, 64, 256))
DEAD = replace(ended(2.31), train_loss=math.log(10))
GONE = Outcome(status="diverged", steps=4, seconds=0.1)


def study_of(outcome_of, *, axes=(WIDTH,), **grid):
    """A study whose trainings end as a function of λ and seed."""
    spec = study_spec(axes=axes, **grid)
    rows = [
        (trial, outcome_of(trial.weight_decay, trial.seed))
        for trial, _ in simulated_rows(spec, {})
    ]
    return findings_of_rows(spec, rows)


def axis_of_outcomes(outcome_of, **grid):
    return study_of(outcome_of, **grid).axes[0]


def test_a_grid_that_ends_before_decay_acts_says_where():
    """Nothing is gained up to the last λ, and nothing is lost there either."""
    level = (0.5, 0.501, 0.502, 0.499, 0.5)
    axis = axis_of_outcomes(
        lambda _, seed: ended(level[seed]), low=1e-12, high=1e-9, points=7
    )
    assert {cell.matters for cell in axis.cells} == {"no"}
    assert (
        "decay does not matter there up to 1e-09, where the grid ends" in axis.why_null
    )
    assert axis.would_tell == "a grid that goes above 1e-09"
    wall = axis_of_outcomes(lambda at, seed: ended(level[seed] * (1 + 9 * at)))
    assert "where the grid ends" not in wall.why_null
    assert "a grid that goes above" not in wall.would_tell


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_ask_for_three(seeds):
    """A verdict needs three seeds; no other effect would help before that."""
    rows = simulated_rows(study_spec(axes=(WIDTH,)), {"width": -0.5})
    few = [row for row in rows if row[0].seed < seeds]
    axis = findings_of_rows(study_spec(axes=(WIDTH,)), few).axes[0]
    assert axis.would_tell == f"3 seeds or more instead of {seeds}"


@pytest.mark.parametrize(
    ("lost", "told"),
    [(GONE, "diverged"), (DEAD, "stayed at chance")],
)
def test_a_grid_that_is_too_high_asks_for_a_lower_one(lost, told):
    """Networks that train without decay show that loss; the grid is to blame."""
    axis = axis_of_outcomes(
        lambda at, _: lost if at else ended(0.5), low=10, high=1e4, points=7
    )
    assert axis.would_tell == "a grid that goes below 10"
    assert f"without decay these train, and every λ > 0 {told}" in axis.why_null
    assert [cell.loss_without_decay for cell in axis.cells] == [0.5, 0.5, 0.5]


def test_networks_that_never_train_are_said_not_to():
    """At chance without decay, too: no grid is to blame, but the lr or the steps."""
    axis = axis_of_outcomes(lambda *_: DEAD)
    assert axis.would_tell.startswith("networks that train (at 16, 64 and 256")
    assert "the learning rate is too low or too high" in axis.would_tell
    assert "grid" not in axis.would_tell


def test_a_cell_of_survivors_does_not_ask_for_a_finer_grid():
    """Many networks at chance are not cured by λ closer together."""
    axis = axis_of_outcomes(
        lambda at, seed: (
            DEAD
            if (seed + int(3 * math.log10(at or 1))) % 4 == 0
            else ended(0.5 + 0.1 * seed + at)
        ),
        points=5,
    )
    assert "networks that train" in axis.would_tell
    assert "finer" not in axis.would_tell


def test_the_next_step_goes_with_what_would_tell():
    """It has the grid, or that nothing was trained; a doubt is there once."""
    idle = study_of(lambda _, seed: ended(0.5 + 0.001 * seed), high=1e-9, low=1e-12)
    ruined = study_of(lambda at, _: GONE if at else ended(0.5), low=10, high=1e4)
    dead = study_of(lambda *_: DEAD)
    (steps,) = next_steps([idle])
    assert "does not matter up to 1e-09, where the grid ends" in steps
    assert "nothing is worth setting" not in steps
    assert "every λ from 10 up is too large" in next_steps([ruined])[0]
    assert "nothing was trained" in next_steps([dead])[0]
    assert "nothing was trained" in conclude(dead).headline
    depth = AxisSpec(axis="depth", values=(1, 2, 4))
    blank = conclude(study_of(lambda *_: GONE, axes=(WIDTH, depth)))
    assert blank.sentences[0].count("cannot tell") == 1
    assert "nor whether depth does" in blank.sentences[0]
    assert "cannot tell" not in blank.headline
