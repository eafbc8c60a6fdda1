"""What all tests share: the oracle folder on the path, and that a skip is a failure."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# `from oracle.sgd import ...`: slow and obvious twins of the formulas.
sys.path.insert(0, str(Path(__file__).parent))
# `import evidence`: the scripts behind data and pages that are in the repository.
sys.path.append(str(Path(__file__).parents[1] / "scripts"))

# The processes of a test run share the cores: threads that wait for each other's core
# take the most of a small product's time. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# They kill, wait, compile, train or certify: 5 to 20 s a file.
LONG_FILES = {"docs", "finding", "pytorch", "stats", "study", "tuning"}

# In CI the examples are the same every time: a change fails for what it changed.
settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
# The quick run is made many times, each time with other examples, and fewer of them.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config: pytest.Config) -> None:
    """Let tests be listed, where no snapshot is used; take the profile of a run."""
    if config.option.markexpr == "not full" and not os.environ.get("CI"):
        settings.load_profile("quick")
    if config.option.collectonly:
        config.option.warn_unused_snapshots = True


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Iterator[int]:
    """Take one worker more than cores for the whole suite: some tests only wait."""
    is_whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    return (yield) + int(is_whole)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the folders with the longest files first: at the end all workers work."""
    items.sort(key=lambda item: item.path.parent.name not in LONG_FILES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skipped test into a failed one: what was not run was not shown."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure here: {report.longrepr}"
    return report
