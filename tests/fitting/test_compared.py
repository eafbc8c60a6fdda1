"""Is this difference noise: two decays, and none against each that was tried."""

import math

import numpy as np
import pytest
from fitting.planted import Planted, draw

import dwindle
from dwindle.errors import RangeError
from dwindle.fitting.compared import where_none_is_lowest
from dwindle.fitting.losses import CellLosses
from dwindle.fitting.trainings import CellRows, TrainingRow
from dwindle.stats.matters import compare_two


def test_noise_is_rarely_a_difference_and_four_errors_are_found():
    """Best against second best of noise: below 10 %; four standard errors: 90 %."""
    generator, draws = np.random.default_rng(0), 300
    seen = {}
    for seeds, effect in ((4, 0), (4, 4), (8, 0), (8, 4)):
        found = 0
        for _ in range(draws):
            level = generator.normal(0, 1, seeds)
            losses = level + generator.normal(0, 0.1, (9 if not effect else 2, seeds))
            losses[-1] += effect * 0.1 * np.sqrt(2 / seeds)
            best, second = np.argsort(losses.mean(axis=1))[:2]
            named = [
                dict(zip("abcdefgh", map(float, row), strict=False)) for row in losses
            ]
            found += compare_two(named[best], named[second]).verdict == "better"
        seen[seeds, effect] = found / draws
    assert seen[4, 0] <= 0.10
    assert seen[8, 0] <= 0.10
    assert seen[4, 4] >= 0.88  # two standard errors of the count below 0.9
    assert seen[8, 4] >= 0.90


def test_the_two_are_compared_within_seeds_where_seeds_have_both():
    """Else Welch's interval holds; single trainings show nothing but what they need."""
    first = dict(zip("012345", np.random.default_rng(1).normal(0, 0.1, 6), strict=True))
    other = {s: x + (0.1 if s == "0" else 0.03) for s, x in first.items()}
    open_ = compare_two(first, {**other, "1": first["1"] - 0.1})
    assert (open_.verdict, open_.paired, open_.needed > 3) == (
        "cannot tell",
        True,
        True,
    )
    found = compare_two({"a": 1.0, "b": 1.1}, {"c": 2.0, "d": 2.1})
    assert (found.verdict, found.paired) == ("better", False)
    single = compare_two({"a": 1.0}, {"b": 2.0})
    assert (single.low, single.verdict, single.needed) == (None, "cannot tell", 3)


def test_two_decays_can_be_chosen():
    """Those that were trained are compared; others are named."""
    rows, _ = draw(Planted(seeds=4, points=5), np.random.default_rng(2), effect=30)
    found = dwindle.fit(rows, compare=[1e-2, 1e-4]).cells[0].compared
    assert (found.one, found.found.verdict) == (pytest.approx(1e-2), "better")
    assert 0 < found.low < found.by < found.high
    with pytest.raises(RangeError) as raised:
        dwindle.fit(rows, compare=[1e-2, 7.0])
    assert raised.value.value == "7"
    diverged = [{**row, "val_loss": "nan"} for row in rows]
    with pytest.raises(RangeError) as raised:
        dwindle.fit(diverged, compare=[1e-2, 1e-4])
    assert raised.value.value == "0.01"


def test_a_share_that_rounds_to_nothing_is_a_difference():
    """Losses around 1e9 that differ by 0.06: no digit of a percentage shows it."""
    rows = [
        {"wd": wd, "seed": seed, "loss": 1e9 + rise + 0.01 * seed * (1 + rise)}
        for wd, rise in ((0.01, 0.0), (0.03, 0.06), (0.1, 0.3))
        for seed in range(4)
    ]
    compared = dwindle.fit(rows).cells[0].compared
    assert (compared.one, compared.other) == (0.01, 0.03)
    # 0.06 of each seed, and 0.0006 times its number; a double at 1e9 has 1e-7.
    assert (compared.is_share, compared.by) == (False, pytest.approx(0.0609, abs=1e-6))
    assert 0.05 < compared.low < compared.by < compared.high < 0.07
    near = [{**row, "loss": row["loss"] - 1e9 + 1} for row in rows]
    assert dwindle.fit(near).cells[0].compared.is_share


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


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        (hurt(), {}),
        (
            [{**r, "acc": r["val_loss"]} for r in hurt()],
            {"metric": "acc", "maximize": False},
        ),
        (hurt(noise=0.003), {}),
        (hurt(decays=(0, 0.1)), {}),
        (without("seed", hurt(seeds=12, decays=DECAYS[:6])), {}),
        ([{**row, "val_loss": row["val_loss"] - 1.2} for row in hurt()], {}),
    ],
    ids=["paired", "as an accuracy", "noisy", "one λ", "unpaired", "below zero"],
)
def test_decay_that_costs_is_no_decay_that_does_not_matter(rows, chosen):
    """0 is the value, and the claim is that decay does not help: no gain is not 0."""
    (cell,) = dwindle.fit(rows, **chosen).cells
    assert (cell.value, cell.matters, cell.verdict) == (0, "no", "does not help")
    assert (cell.low, cell.high, cell.needed) == (None, None, None)
    assert (cell.compared.one, cell.compared.found.verdict) == (0, "better")


def test_costs_are_those_of_the_rows():
    """The costs are shares of the loss without decay, those of the best and worst λ."""
    rows = CellRows(
        scale={}, settings={}, trainings=[TrainingRow(*row.values()) for row in hurt()]
    )
    found = where_none_is_lowest(
        CellLosses(rows=rows, log_scale=True, is_reversed=False)
    )
    assert (found.least, found.most) == pytest.approx((0.075, 0.3 / 1.003))
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
    """One seed diverged at the λ that is best for three: decay is not found to cost."""
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
    for _ in range(40):
        rows = [
            {"wd": d, "seed": s, "loss": math.exp(generator.normal(0, 0.05))}
            for d in (0, 0.01, 0.1)
            for s in range(4)
        ]
        claimed += dwindle.fit(rows).cells[0].verdict == "does not help"
    assert claimed <= 4
