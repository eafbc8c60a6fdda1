"""Where training without decay is best, and each λ that was tried costs."""

import math

import numpy as np
import pytest

import dwindle
from dwindle.fitting.compared import where_none_is_lowest
from dwindle.fitting.losses import CellLosses
from dwindle.fitting.trainings import CellRows, Training

DECAYS = (0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)


def hurt(*, noise=0.0, seeds=4, decays=DECAYS):
    """Return rows of which every λ > 0 is worse: loss = exp(level) (1 + λ's cost)."""
    generator = np.random.default_rng(1)
    level = generator.normal(0, 0.05, seeds)
    return [
        {
            "weight_decay": decay,
            "seed": seed,
            "val_loss": (1 + 0.3 * decay / (decay + 0.003))
            * math.exp(level[seed] + generator.normal(0, noise)),
        }
        for decay in decays
        for seed in range(seeds)
    ]


def without(name, rows):
    return [{key: row[key] for key in row if key != name} for row in rows]


def renamed(name, rows):
    return [{**without("val_loss", [row])[0], name: row["val_loss"]} for row in rows]


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        (hurt(), {}),
        (renamed("acc", hurt()), {"maximize": False}),
        (hurt(noise=0.003), {}),
        (hurt(decays=(0, 0.1)), {}),
        (without("seed", hurt(seeds=12, decays=DECAYS[:6])), {}),
        (
            [{**row, "val_loss": row["val_loss"] - 1.2} for row in hurt()],
            {},
        ),
    ],
    ids=["paired", "as an accuracy", "noisy", "one λ", "unpaired", "below zero"],
)
def test_decay_that_costs_is_no_decay_that_does_not_matter(rows, asked):
    """0 is the value, and the claim is that decay does not help: no gain is not 0."""
    (cell,) = dwindle.fit(rows, **asked).cells
    assert (cell.value, cell.matters, cell.verdict) == (0, "no", "does not help")
    assert (cell.low, cell.high, cell.needed) == (None, None, None)
    assert (cell.compared.one, cell.compared.found.verdict) == (0, "better")


def test_costs_are_those_of_the_rows():
    """The costs are shares of the loss without decay, those of the best and worst λ."""
    rows = CellRows(
        scale={}, settings={}, trainings=[Training(*row.values()) for row in hurt()]
    )
    found = where_none_is_lowest(
        CellLosses(rows=rows, log_scale=True, is_reversed=False)
    )
    assert (found.least, found.most) == (
        pytest.approx(0.075),
        pytest.approx(0.3 / 1.003),
    )
    assert found.is_sure


def test_a_c_without_decay_is_infinite():
    """Where a larger number is less decay none at all has no number in JSON."""
    rows = [
        {"C": 1 / row["weight_decay"] if row["weight_decay"] else math.inf} | row
        for row in hurt()
    ]
    found = dwindle.fit(without("weight_decay", rows))
    assert (found.value, found.cells[0].verdict) == (math.inf, "does not help")
    assert found.as_dict()["cells"][0]["value"] is None


def test_noise_that_hides_the_cost_claims_nothing():
    """None is lowest, and it may be noise: 0 is the value, no cost is claimed."""
    (cell,) = dwindle.fit(hurt(noise=0.1, seeds=3)).cells
    assert (cell.value, cell.matters, cell.verdict) == (0, "cannot tell", "cannot tell")
    few = dwindle.fit(hurt(seeds=2))
    assert (few.value, few.cells[0].noise_known) == (0, False)
    assert few.command  # none has no guess, but it has a line that settles it


def test_a_decay_that_lost_a_seed_may_help_the_others():
    """One seed diverged at the λ that is best for three: decay is not said to cost."""
    rows = hurt()
    for row in rows:
        if row["weight_decay"] == 0.01:
            row["val_loss"] = math.inf if row["seed"] == 1 else row["val_loss"] * 0.7
    (cell,) = dwindle.fit(rows).cells
    assert cell.verdict != "does not help"
    assert cell.value > 0


def test_two_equal_groups_are_rarely_called_a_cost():
    """Where decay does nothing a cost is claimed in at most one file of ten."""
    generator, claimed = np.random.default_rng(2), 0
    for _ in range(60):
        rows = [
            {
                "weight_decay": d,
                "seed": s,
                "val_loss": math.exp(generator.normal(0, 0.05)),
            }
            for d in (0, 0.01, 0.1)
            for s in range(4)
        ]
        claimed += dwindle.fit(rows).cells[0].verdict == "does not help"
    assert claimed <= 6
