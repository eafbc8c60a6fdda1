"""Changed bytes, edited tables, a crash at any statement: never another number.

The trial: 1,000 corruptions of a file and 12 edits of its tables. Each is refused, or
changes nothing that is read. SQLite's own check does not see a changed number.
"""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from study.tiny import SPEC, opened, trained

from dwindle.errors import StoreDamagedError, StoreError, StoreFormatError
from dwindle.store.connect import VERSION
from dwindle.store.store import read_study

PACKS, TRIALS_OF_A_PACK = 6, 8
DATA = Path(__file__).parents[1] / "data"


def write_all(store):
    """Plan, train and finish a study of some packs."""
    numbers = range(PACKS * TRIALS_OF_A_PACK)
    some = [SPEC.trial(SPEC.base, 1e-4 * number, number % 2) for number in numbers]
    store.plan(some)
    for start in numbers[::TRIALS_OF_A_PACK]:
        store.commit(trained(some[start : start + TRIALS_OF_A_PACK]), seconds=0.1)
    store.finish()


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """A store of the present schema."""
    path = tmp_path_factory.mktemp("whole") / "s.db"
    with opened(path) as store:
        write_all(store)
    return path


def corruptions(content):
    """The 1,000 corrupted files of the trial, each with what was done to it."""
    chance = random.Random(20121122)  # noqa: S311, places of damage, no secrets
    size = len(content)

    def changed(place, new):
        return content[:place] + bytes(new) + content[place + len(new) :]

    for _ in range(607):
        place = chance.randrange(size)
        yield (
            f"bit {place}",
            changed(place, [content[place] ^ 1 << chance.randrange(8)]),
        )
    for _ in range(150):
        place = chance.randrange(size)
        yield f"byte {place}", changed(place, [chance.randrange(256)])
    for _ in range(60):
        place, length = chance.randrange(size), chance.choice([16, 256, 4096])
        yield f"zeros {place}", changed(place, bytes(min(length, size - place)))
    for _ in range(60):
        yield "cut short", content[: chance.randrange(1, size)]
    for _ in range(20):
        yield "appended", content + chance.randbytes(chance.choice([1, 512, 4096]))
    for place in range(100):
        yield f"header {place}", changed(place, [content[place] ^ 0xFF])
    yield "garbage", chance.randbytes(size)
    yield "nothing", b""
    yield "text", b"no store\n" * 1000


def assert_nothing_else_is_read(source, tmp_path, some, read=read_study):
    """Every corrupted file is refused or read as the whole one; most are refused."""
    whole, path = read(source), tmp_path / source.name
    wrong, refused = [], 0
    tried = list(corruptions(source.read_bytes()))[some]
    for name, content in tried:
        path.write_bytes(content)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        try:
            found = read(path)
        except StoreError:
            refused += 1
            continue
        if replace(found, path=whole.path) != whole:
            wrong.append(name)
    assert wrong == []
    # Most bytes of a file are rows; the rest is free space and index.
    assert refused > len(tried) / 2


@pytest.mark.parametrize("every", [15, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_corruption_reads_as_nothing_else(new, tmp_path, schema, every):
    """Of a new store and one of each older schema, quickly one in 15 of the 1,000."""
    source = new if schema == VERSION else DATA / f"store_schema_{schema}.db"
    assert len(list(corruptions(b"x" * 200))) == 1000
    assert_nothing_else_is_read(source, tmp_path, slice(None, None, every))


# (an edit of the tables, what it is refused for), by schema.
EDITS = {
    "present": [
        ("UPDATE trial SET loss = loss / 2 WHERE pack = 2", "the rows of trainings"),
        ("UPDATE trial SET pack = 3 WHERE pack = 2", "the rows of trainings"),
        ("UPDATE trial SET scale = '{\"width\":9}'", "the rows of trainings"),
        ("DELETE FROM trial WHERE pack = 6", "the rows of trainings"),
        ("DELETE FROM pack WHERE number = 6", "the row of the study"),
        ("UPDATE pack SET elapsed = 1e9", "the rows of trainings"),
        ("UPDATE study SET complete = 0", "the row of the study"),
        ("DELETE FROM study", "the row of the study"),
        ("DELETE FROM planned", "the list of planned trainings"),
        ("CREATE VIEW seen AS SELECT * FROM trial", "the schema"),
        (
            "CREATE TRIGGER t AFTER INSERT ON pack BEGIN DELETE FROM trial; END",
            "the schema",
        ),
        ("PRAGMA user_version = 99", "schema version 99"),
    ],
    # Its rows are hashed anew for the present schema, unless they are not as it wrote.
    "2": [
        ("UPDATE trial SET loss = loss / 2 WHERE pack = 2", "the rows of trainings"),
        ("UPDATE study SET complete = 1 - complete", "the row of the study"),
        ("UPDATE study SET problem = '{}'", "the row of the study"),
    ],
    "1": [
        ("UPDATE trial SET loss = loss / 2 WHERE pack = 3", "the rows of trainings"),
        ("DELETE FROM trial WHERE pack = 3", "the chain of packs"),
        ("UPDATE pack SET elapsed = 1e9", "the chain of packs"),
        ("UPDATE study SET complete = 1", "the row of the study"),
        ("DELETE FROM planned", "the list of planned trainings"),
    ],
}


@pytest.mark.parametrize("schema", EDITS)
def test_an_edited_table_is_found_out(new, tmp_path, schema):
    """Whoever edits the tables by hand gets no numbers, and reads where.

    An old store is believed no more than a new one, and is not upgraded.
    """
    found, path = [], tmp_path / "s.db"
    for edit, _ in EDITS[schema]:
        old = DATA / f"store_schema_{schema}.db"
        shutil.copy(new if schema == "present" else old, path)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(edit)
        before, names = path.read_bytes(), set()
        for attempt in (opened, read_study):
            with pytest.raises((StoreDamagedError, StoreFormatError)) as refused:
                attempt(path)
            names.add(refused.value.found.partition(";")[0])
        assert path.read_bytes() == before
        found.append((edit, *names))
    assert found == EDITS[schema]


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
        write_all(store)
    seen = [len(read_study(found).rows) for found in copies]
    assert len(seen) > PACKS * TRIALS_OF_A_PACK
    assert seen == sorted(seen)
    assert set(seen) == {TRIALS_OF_A_PACK * count for count in range(PACKS + 1)}
