"""SciPy is optional, and its absence is told with the line that installs it."""

import sys

import pytest

from dwindle.errors import MissingLibraryError
from dwindle.stats.student import t_quantile


def test_without_scipy_the_install_line_is_given(monkeypatch):
    """A statistic without SciPy is an error that says what to install."""
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'dwindle\[report\]'"):
        t_quantile(0.95, degrees_of_freedom=4)
