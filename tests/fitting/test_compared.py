"""Is this difference noise: two decays, within seeds where seeds have both."""

import numpy as np
import pytest
from fitting.planted import Planted, draw

import dwindle
from dwindle.errors import RangeError
from dwindle.stats.matters import compare_two


def test_noise_is_rarely_a_difference_and_four_errors_are_found():
    """Best against second best of noise: below 10 %; four standard errors: 90 %."""
    generator, draws = np.random.default_rng(0), 400
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


def test_seeds_that_are_needed_would_tell():
    """As many more seeds as are said pass the test in most cases."""
    generator = np.random.default_rng(1)
    shift = 0.1
    first = {str(s): float(x) for s, x in enumerate(generator.normal(0, 0.1, 6))}
    other = {s: x + shift * (1 if s == "0" else 0.3) for s, x in first.items()}
    found = compare_two(first, {**other, "1": first["1"] - 0.1})
    assert found.verdict == "cannot tell"
    assert found.paired
    assert found.needed > 3


def test_unpaired_trainings_are_compared_as_such():
    """Without shared seeds Welch's interval holds; single trainings show nothing."""
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
