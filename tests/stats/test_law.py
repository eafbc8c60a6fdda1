"""A law through cells: exact where all is known, honest where little is."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from dwindle.stats.law import SPREAD, Law, LawCell, Prior

WIDTHS = (64.0, 128.0, 256.0)


def law_of(logs, sd=0.01, axis="width", values=WIDTHS):
    cells = [
        LawCell(scale={axis: value}, log_decay=log, sd=sd)
        for value, log in zip(values, logs, strict=True)
    ]
    return Law(priors={axis: Prior()}, cells=cells)


def test_the_law_is_that_of_bayes():
    """Mean and variance agree with the joint normal that was written out by hand."""
    law = law_of([-math.log(width) for width in WIDTHS], sd=1e-3)
    assert law.exponent("width").value == pytest.approx(-1, abs=0.05)
    assert law.at({"width": 1024.0}).value == pytest.approx(-math.log(1024), abs=0.15)


def test_it_widens_with_distance_and_says_how_far():
    """The further from the cells, the less is known; within them it is no distance."""
    law = law_of([0.0, 0.1, -0.1])
    sds = [law.at({"width": width}).sd for width in (128.0, 256.0, 1024.0, 8192.0)]
    assert sds == sorted(sds)
    beyond = [law.beyond({"width": width}) for width in (128.0, 1024.0, 16.0)]
    assert beyond == [{}, {"width": 4.0}, {"width": 0.25}]


def test_an_axis_that_no_cell_varies_is_its_prior():
    """Nothing was measured: mean and width are those that were believed before."""
    cells = [LawCell(scale={"batch": 32.0}, log_decay=0.0, sd=0.1)] * 2
    exponent = Law(priors={"batch": Prior(mean=0.5, sd=1.0)}, cells=cells)
    found = exponent.exponent("batch")
    assert found.value == pytest.approx(0.5, abs=1e-6)
    assert found.sd == pytest.approx(1.0, rel=1e-3)


def test_its_interval_covers():
    """Of planted laws with their spread, 90 % of the intervals hold the truth."""
    draw = np.random.default_rng(0)
    hits, count = 0, 300
    for _ in range(count):
        slope, spread = draw.normal(0, 0.7), abs(draw.normal(0, SPREAD))
        noise = draw.normal(0, 1, (2, 4))
        truth = slope * np.log([*WIDTHS, 1024.0]) + spread * noise[0]
        law = law_of(truth[:3] + 0.12 * noise[1, :3], sd=0.12)
        at = law.at({"width": 1024.0})
        hits += at.low <= truth[3] <= at.high
    # The bend that may lie beyond the cells makes it a little wider than it need be.
    assert binomtest(hits, count, 0.9).pvalue > 0.01 or hits > 0.9 * count
    assert hits < 0.98 * count
