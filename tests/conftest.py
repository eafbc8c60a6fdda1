"""What all tests share: the oracle folder on the path, and that a skip is a failure."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# `from oracle.sgd import ...`: slow and obvious twins of the formulas.
sys.path.insert(0, str(Path(__file__).parent))

# The processes of a test run share the cores: threads that wait for each other's core
# take the most of a small product's time. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# In CI the examples are the same every time: a change fails for what it changed.
settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config: pytest.Config) -> None:
    """Let tests be listed: where none runs, no snapshot is used."""
    if config.option.collectonly:
        config.option.warn_unused_snapshots = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skipped test into a failed one: what was not run was not shown."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure here: {report.longrepr}"
    return report
