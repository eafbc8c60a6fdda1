"""Changed bytes, a file cut short, a crash at any statement: never wrong numbers."""

import random
import shutil

import pytest
from study.tiny import CONDITIONS, FACTS, SPEC, pretended_outcome

from dwindle.errors import StoreDamagedError, StoreError
from dwindle.store.records import Trial
from dwindle.store.store import Store, read_study

PACKS, TRIALS_OF_A_PACK = 6, 8
FLIPS, CUTS = 400, 40


def packs():
    """Made-up trainings, some packs of them."""
    numbers = range(PACKS * TRIALS_OF_A_PACK)
    trials = [
        Trial(
            problem=SPEC.problem,
            optimizer=SPEC.optimizer,
            scale=SPEC.base,
            normalization="none",
            weight_decay=1e-4 * number,
            seed=number % 2,
        )
        for number in numbers
    ]
    pairs = [(trial, pretended_outcome(trial)) for trial in trials]
    size = TRIALS_OF_A_PACK
    return [pairs[start : start + size] for start in numbers[::size]]


def opened(path):
    return Store(path, spec=SPEC, conditions=CONDITIONS, problem=FACTS)


def written(path):
    with opened(path) as store:
        store.plan(trial for pack in packs() for trial, _ in pack)
        for pack in packs():
            store.commit(pack, seconds=0.1)
        store.finish()
    return path.read_bytes()


def refused_or_same(path, whole):
    """Tell whether a store is refused; where it is not, it must say what it said."""
    try:
        study = read_study(path)
    except StoreError:
        return True
    assert study == whole
    return False


def test_no_flipped_byte_passes_for_data(tmp_path):
    """Any byte that changes is found out, unless nothing that is read depends on it."""
    path = tmp_path / "s.db"
    content = written(path)
    whole = read_study(path)
    chance = random.Random(20121122)  # noqa: S311, places of flips, no secrets
    found = 0
    for _ in range(FLIPS):
        place = chance.randrange(len(content))
        broken = bytearray(content)
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        found += refused_or_same(path, whole)
    # Most bytes of the file are rows; the rest is free space and index.
    assert found > FLIPS / 2


def test_a_file_cut_short_is_refused(tmp_path):
    """A copy that stopped in the middle is no store, wherever it stopped."""
    path = tmp_path / "s.db"
    content = written(path)
    for cut in range(1, CUTS):
        path.write_bytes(content[: len(content) * cut // CUTS])
        with pytest.raises(StoreError, match=r"must be .*Got "):
            read_study(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE trial SET loss = loss / 2 WHERE pack = 2", "rows of trainings"),
        ("UPDATE trial SET pack = 3 WHERE pack = 2", "rows of trainings"),
        ("DELETE FROM trial WHERE pack = 6", "chain of packs"),
        ("UPDATE pack SET elapsed = 1e9", "chain of packs"),
        ("UPDATE study SET complete = 0", "row of the study"),
        ("DELETE FROM study", "row of the study"),
        ("DELETE FROM planned", "planned trainings"),
    ],
)
def test_a_changed_row_is_found_out(tmp_path, change, told):
    """Whoever edits the tables by hand gets no numbers, and is told where."""
    path = tmp_path / "s.db"
    written(path)
    with opened(path) as store:
        store._db.execute("PRAGMA foreign_keys = OFF")
        store._db.execute(change)
    for attempt in (opened, read_study):
        with pytest.raises(StoreDamagedError, match=f"{told}.*Put a copy"):
            attempt(path)


def test_a_crash_at_any_statement_leaves_whole_packs(tmp_path):
    """Kill it before any statement: what opens afterwards is a row of whole packs.

    A killed process leaves its files as they are at that moment, so a copy of them
    (database and journal) is what the next process finds.
    """
    path, copies = tmp_path / "s.db", []

    def copy(_statement):
        folder = tmp_path / str(len(copies))
        folder.mkdir()
        for file in tmp_path.glob("s.db*"):
            shutil.copy(file, folder / file.name)
        copies.append(folder / "s.db")

    with opened(path) as store:
        store._db.set_trace_callback(copy)
        store.plan(trial for pack in packs() for trial, _ in pack)
        for pack in packs():
            store.commit(pack, seconds=0.1)
        store.finish()
    seen = [len(read_study(found).rows) for found in copies]
    assert len(seen) > PACKS * TRIALS_OF_A_PACK
    assert seen == sorted(seen)
    assert set(seen) == {TRIALS_OF_A_PACK * count for count in range(PACKS + 1)}
