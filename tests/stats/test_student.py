"""Student's t against tables, and means of few values."""

import sys

import numpy as np
import pytest

from dwindle.errors import MissingLibraryError
from dwindle.stats.student import half_width, mean_interval, t_quantile

# Printed tables of Student's t, 95 % one-sided.
TABLE = {1: 6.314, 2: 2.920, 4: 2.132, 7: 1.895, 30: 1.697}


def test_quantiles_are_those_of_the_printed_tables():
    """The 95 % quantiles are the ones that every table prints."""
    found = {of: t_quantile(0.95, degrees_of_freedom=of) for of in TABLE}
    assert found == pytest.approx(TABLE, abs=5e-4)  # three printed places


def test_the_interval_of_a_mean_by_hand():
    """Mean 2, sd 1, three values: the half width is 2.920 / √3."""
    interval = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert interval.value == 2
    assert interval.high - 2 == pytest.approx(2.920 / 3**0.5, abs=5e-4)
    assert 2 - interval.low == pytest.approx(interval.high - 2)


def test_one_value_has_no_spread():
    """A single seed gives a mean and no interval, never an interval of width 0."""
    interval = mean_interval(np.array([1.5]))
    assert (interval.value, interval.low, interval.high) == (1.5, None, None)


def test_the_mean_lies_in_its_interval_in_nine_of_ten_samples():
    """90 % intervals of five normal values hold the truth in 90 % of 4000 samples."""
    samples = np.random.default_rng(3).standard_normal((4000, 5))
    held = np.mean([abs(s.mean()) <= half_width(s) for s in samples])
    # Three binomial standard deviations of 4000 draws at 0.9.
    assert held == pytest.approx(0.9, abs=0.0143)


def test_without_scipy_the_install_line_is_given(monkeypatch):
    """A statistic without SciPy is an error that says what to install."""
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingLibraryError) as raised:
        t_quantile(0.95, degrees_of_freedom=4)
    assert raised.value.extra == "report"
