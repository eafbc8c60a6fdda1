"""Thousands of tiny trainings through the driver: memory stays, and rows stay small.

A search alone ends after some trainings; so there are many, of as many scales, in one
store, as a large tune has them.
"""

from dataclasses import replace

import psutil
import pytest
from finding.formula import Formula, search

from dwindle.finding.driver import run_search
from dwindle.finding.records import find_from_stored
from dwindle.store.store import read_store

OF_A_SCALE = 9  # so few need no interval: what is measured is not the statistics
MOST_BYTES, MOST_GROWTH = 400, 10_000_000


@pytest.mark.parametrize("trainings", [500, pytest.param(5000, marks=pytest.mark.full)])
def test_memory_is_flat_and_rows_are_small(tmp_path, trainings):
    """After the first tenth memory grows by a few MB at most; all rows are there."""
    path, before = tmp_path / "kept.db", 0
    scales = -(-trainings // OF_A_SCALE)
    for width in range(1, scales + 1):
        whole = search(Formula(), trainings=OF_A_SCALE)
        spec = replace(whole.spec, scale={"width": float(width)})
        run_search(replace(whole, spec=spec), path)
        if width == scales // 10:
            before = psutil.Process().memory_info().rss
    assert psutil.Process().memory_info().rss - before < MOST_GROWTH
    rows = find_from_stored(read_store(path)).rows
    assert len({(trial.number, trial.scale["width"]) for trial, _ in rows}) == len(rows)
    assert len(rows) == scales * OF_A_SCALE >= trainings
    assert path.stat().st_size / len(rows) < MOST_BYTES
