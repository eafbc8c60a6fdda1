"""A damaged store of a search is refused, or reads as the whole one."""

import pytest
from finding.formula import Formula, loss_of, search
from store.test_damage import assert_nothing_else_is_read

from dwindle.finding.records import OwnTrial, find_from_stored
from dwindle.store.records import Outcome
from dwindle.store.store import Store, read_store

# So many that rows fill the file: damage to free space says nothing.
TRAININGS, OF_A_PACK = 240, 8


def training(number):
    decay = 1e-3 * 1.01**number
    loss = loss_of(decay, number % 5)
    outcome = Outcome(status="ok", steps=0, seconds=0.5, loss=loss)
    return OwnTrial(number=number, typed=repr(decay), seed=number % 5), outcome


@pytest.mark.parametrize(
    "step", [9, pytest.param(1, marks=pytest.mark.full, id="all 1,000")]
)
def test_no_corruption_of_a_search_reads_as_something_else(tmp_path, step):
    """The corruptions of the store's own test, on trainings of one's own."""
    path, asked = tmp_path / "whole.db", search(Formula())
    with Store(path, spec=asked.spec, conditions=asked.conditions) as store:
        for first in range(1, TRAININGS + 1, OF_A_PACK):
            pack = [training(first + more) for more in range(OF_A_PACK)]
            store.commit(pack, seconds=0.5)
    (tmp_path / "broken").mkdir()
    assert_nothing_else_is_read(
        path,
        tmp_path / "broken",
        slice(0, None, step),
        lambda at: find_from_stored(read_store(at)),
    )
