"""Large stores of searches: memory stays, rows stay small, no damage goes unseen."""

from dataclasses import replace

import psutil
import pytest
from finding.formula import Formula, loss_of, search
from store.test_damage import assert_nothing_else_is_read

from dwindle.finding.driver import run_search
from dwindle.finding.records import OwnTrial, find_from_stored
from dwindle.store.records import Outcome
from dwindle.store.store import Store, read_store

OF_A_SCALE = 9  # so few need no interval: what is measured is not the statistics
MOST_BYTES, MOST_GROWTH = 400, 10_000_000
# So many that rows fill the file: damage to free space has no effect.
TRAININGS, OF_A_PACK = 240, 8


@pytest.mark.parametrize("scales", [30, pytest.param(560, marks=pytest.mark.full)])
def test_memory_is_flat_and_rows_are_small(tmp_path, scales):
    """After the first tenth memory grows by a few MB at most; all rows are there."""
    # A search alone ends after some trainings; a large tune has many, of many scales.
    path, before, size = tmp_path / "kept.db", 0, 0
    for width in range(1, scales + 1):
        whole = search(Formula(), trainings=OF_A_SCALE)
        spec = replace(whole.spec, scale={"width": float(width)})
        run_search(replace(whole, spec=spec), path)
        if width == scales // 10:
            before = psutil.Process().memory_info().rss
            size = path.stat().st_size
    assert psutil.Process().memory_info().rss - before < MOST_GROWTH
    rows = find_from_stored(read_store(path)).rows
    assert len({(trial.number, trial.scale["width"]) for trial, _ in rows}) == len(rows)
    assert len(rows) == scales * OF_A_SCALE
    later = len(rows) - scales // 10 * OF_A_SCALE
    assert (path.stat().st_size - size) / later < MOST_BYTES


def training(number):
    decay = 1e-3 * 1.01**number
    loss = loss_of(decay, number % 5)
    outcome = Outcome(status="ok", steps=0, seconds=0.5, loss=loss)
    return OwnTrial(number=number, typed=repr(decay), seed=number % 5), outcome


@pytest.mark.parametrize(
    "step", [9, pytest.param(1, marks=pytest.mark.full, id="all 1,000")]
)
def test_no_corruption_of_a_search_reads_as_something_else(tmp_path, step):
    """The corruptions of the store's own test, on a user's own trainings."""
    path, plan = tmp_path / "whole.db", search(Formula())
    with Store(path, spec=plan.spec, conditions=plan.conditions) as store:
        for first in range(1, TRAININGS + 1, OF_A_PACK):
            pack = [training(first + more) for more in range(OF_A_PACK)]
            store.commit(pack, seconds=0.5)
    broken, kept = tmp_path / "broken", slice(0, None, step)
    broken.mkdir()
    assert_nothing_else_is_read(
        path, broken, kept, lambda at: find_from_stored(read_store(at))
    )
