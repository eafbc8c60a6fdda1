"""Thirty kinds of results with a known truth: what is claimed, and what is found."""

import math
import sys
import zlib

import numpy as np
import pytest
from fitting.kinds import KINDS
from fitting.planted import draw

import dwindle

CLAIMS = ("optimum", "at most", "at least")
MOST_BY_NOISE, LEAST_FOUND = 0.10, 0.90
EFFECT = 4  # standard errors
SURE = 2.6  # standard errors of a rate: 30 kinds are looked at


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


@pytest.mark.full
def test_rates_of_every_kind_are_kept(capsys):
    """200 files of each: at most 10 % claimed by noise, 90 % of 4 errors found."""
    draws, over = 200, {}
    rates = {
        name: [claims(name, effect=effect, draws=draws) for effect in (0, EFFECT)]
        for name in KINDS
    }
    lines = [
        f"{name:46} {noise:.3f} ({interval(noise, draws)})  "
        f"{found:.3f} ({interval(found, draws)})\n"
        for name, (noise, found) in rates.items()
    ]
    with capsys.disabled():
        sys.stdout.writelines(["\n", *lines])
    for name, (noise, found) in rates.items():
        if noise - SURE * error(noise, draws) > MOST_BY_NOISE:
            over[name] = noise
        if found + SURE * error(found, draws) < LEAST_FOUND:
            over[name] = found
    mean_noise, mean_found = np.mean(list(rates.values()), axis=0)
    assert not over
    assert mean_noise <= MOST_BY_NOISE
    assert mean_found >= LEAST_FOUND


def error(rate, draws):
    """Return the standard error of a rate."""
    return math.sqrt(max(rate * (1 - rate), 1 / draws) / draws)


def interval(rate, draws):
    """Return Wilson's 90 % interval of a rate, as text."""
    z = 1.645
    middle = (rate + z * z / (2 * draws)) / (1 + z * z / draws)
    half = z / (1 + z * z / draws)
    half *= math.sqrt(rate * (1 - rate) / draws + z * z / (4 * draws * draws))
    return f"{middle - half:.3f} to {middle + half:.3f}"
