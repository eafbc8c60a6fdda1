"""Thirty kinds of results with a known truth: what is claimed, and what is found."""

import math
import zlib

import numpy as np
import pytest
from fitting.planted import KINDS, draw

import dwindle

CLAIMS = ("optimum", "at most", "at least")
MOST_BY_NOISE, LEAST_FOUND = 0.10, 0.90
EFFECT = 4  # standard errors
SURE = 2.6  # standard errors of a rate: 30 kinds are checked


def claims(name, *, effect, draws):
    """Return the share of files of which an optimum or a bound is claimed."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), effect])
    claimed = 0
    for _ in range(draws):
        rows, _ = draw(KINDS[name], generator, effect=effect)
        (cell,) = dwindle.fit(rows).cells
        claimed += cell.verdict in CLAIMS
    return claimed / draws


def test_noise_is_no_optimum_and_an_optimum_is_found():
    """One file of every kind without an effect, one with: counted over the kinds."""
    by_noise = sum(claims(name, effect=0, draws=1) for name in KINDS)
    found = sum(claims(name, effect=EFFECT, draws=1) for name in KINDS)
    assert len(KINDS) == 30
    assert by_noise <= 6
    assert found >= 25


DECAYS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)  # two a decade, as many grids are


def two_a_decade(generator, *, level, around=0.6, decays=DECAYS):
    """Return rows of a parabola whose best λ lies around 0.1, and that best λ."""
    center = math.log(0.1) + generator.uniform(-around, around)
    return [
        {
            "weight_decay": decay,
            "seed": seed,
            "val_loss": 1 + 0.02 * (math.log(decay) - center) ** 2 + own
            + generator.normal(0, 0.003),
        }
        for seed, own in enumerate(generator.normal(0, level, 4))
        for decay in decays
    ], math.exp(center)  # fmt: skip


@pytest.mark.parametrize("level", [0.005, 0.05])
def test_seeds_that_pair_make_the_interval_narrow_on_a_coarse_grid(level):
    """It holds the best λ in nine of ten files, and pairing never makes it wider."""
    generator, held, widths = np.random.default_rng(4), 0, []
    files = 30
    for _ in range(files):
        rows, best = two_a_decade(generator, level=level)
        (cell,) = dwindle.fit(rows).cells
        held += cell.low < best < cell.high
        bare = [{k: row[k] for k in ("weight_decay", "val_loss")} for row in rows]
        (alone,) = dwindle.fit(bare).cells
        open_ = alone.low is None or alone.high is None
        alone_width = math.inf if open_ else math.log(alone.high / alone.low)
        widths.append((math.log(cell.high / cell.low), alone_width))
    assert held >= 0.9 * files - SURE * math.sqrt(0.9 * 0.1 * files)
    paired, unpaired = np.median(widths, axis=0)
    # A gap of the grid is 1.1 to 1.2: its neighbors are 2.3 apart.
    assert paired < 0.5
    # Without differences between seeds both see the same noise.
    assert paired < unpaired * (1.3 if level < 0.01 else 1)


def test_holes_leave_the_end_that_is_measured_worse():
    """A diverged, a pruned and a failed training: 0.3 is worse all the same."""
    files, optima = 20, 0
    for number in range(files):
        generator = np.random.default_rng(number)
        rows, _ = two_a_decade(generator, level=0.05, around=0, decays=DECAYS[:7])
        states = {(1, 2): "pruned", (0.1, 1): "failed"}
        for row in rows:
            at = row["weight_decay"], row["seed"]
            row["state"] = states.get(at, "finished")
            row["val_loss"] = math.inf if at == (1, 3) else row["val_loss"]
        (cell,) = dwindle.fit(rows).cells
        assert (cell.diverged, cell.trainings) == (1, 26)
        assert cell.high < 0.3
        optima += cell.verdict == "optimum"
    assert optima >= 19  # all of 100 files were


@pytest.mark.full
def test_rates_of_every_kind_are_kept():
    """200 files of each: at most 10 % claimed by noise, 90 % of 4 errors found."""
    draws = 200
    rates = {
        name: [claims(name, effect=effect, draws=draws) for effect in (0, EFFECT)]
        for name in KINDS
    }

    def slack(rate):
        return SURE * math.sqrt(max(rate * (1 - rate), 1 / draws) / draws)

    over = {
        name: (noise, found)
        for name, (noise, found) in rates.items()
        if noise - slack(noise) > MOST_BY_NOISE or found + slack(found) < LEAST_FOUND
    }
    mean_noise, mean_found = np.mean(list(rates.values()), axis=0)
    assert not over
    assert mean_noise <= MOST_BY_NOISE
    assert mean_found >= LEAST_FOUND


def test_the_exponent_of_unpaired_cells_is_as_wide_as_their_noise():
    """λ* falls as 1 / width: two widths that share no seed show it only so far."""
    generator, held, files = np.random.default_rng(0), 0, 20
    for _ in range(files):
        rows = []
        for width in (32, 64):
            center = math.log(1e-2 * 64 / width)
            rows += [
                {
                    "wd": float(np.exp(x)),
                    "width": width,
                    "val_loss": float(np.exp(loss)),
                }
                for x in np.linspace(center - 4, center + 4, 9)
                for loss in 0.03 * (x - center) ** 2 + generator.normal(0, 0.08, 3)
            ]
        (axis,) = dwindle.fit(rows).axes
        held += axis.low <= -1 <= axis.high
    assert held >= 0.9 * files - SURE * math.sqrt(0.9 * 0.1 * files)
