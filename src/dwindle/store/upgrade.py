"""Stores of schema 1: verified as they were written, then copied as the present one.

Schema 1 had a hash in every row, a chain of links over the packs, and the scale of a
training inside the JSON of its trial. The copy is in memory: a report of an old store
writes nothing, and a study writes the copy back once it has found it fit to carry on.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from dwindle.store.rows import (
    Columns,
    by_pack,
    digest,
    hash_of_pack,
    hash_of_study,
    insert,
    raise_damage,
    read,
    sum_of_hashes,
    text_from_plain,
)
from dwindle.store.schema import create


def upgraded_copy(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return a copy of a store of schema 1 in memory, as one of the present schema.

    Raises:
        StoreDamagedError: If any of the hashes of schema 1 does not hold.

    """
    old = sqlite3.connect(":memory:", isolation_level=None)
    db.backup(old)  # one moment of the file, also beside a writer
    old.row_factory = sqlite3.Row
    with closing(old):
        studies, packs, rows = _verified(old, path)
        planned = list(read(old, "planned", "key"))
    for row in rows:
        plain = json.loads(row["trial"])
        row["scale"] = text_from_plain(plain.pop("scale"))
        row["trial"] = text_from_plain(plain)
        del row["hash"]
    of_pack = by_pack(rows)
    for pack in packs:
        del pack["link"]
        pack["hash"] = hash_of_pack(pack, of_pack.get(pack["number"], []))
    for study in studies:
        del study["packs"], study["chain"]
        of_packs = sum_of_hashes(pack["hash"] for pack in packs)
        study["hash"] = hash_of_study(study, of_packs)
    new = sqlite3.connect(":memory:", isolation_level=None)
    new.row_factory = sqlite3.Row
    create(new)
    tables = {"study": studies, "planned": planned, "pack": packs, "trial": rows}
    for table, found in tables.items():
        insert(new, table, found)
    return new


def _verified(
    db: sqlite3.Connection, path: Path
) -> tuple[list[Columns], list[Columns], list[Columns]]:
    """Return the study's row, packs and rows, checked against all hashes."""
    # A file whose first writer was killed before it wrote the study is empty.
    fault = db.execute("PRAGMA integrity_check").fetchone()[0]
    studies, packs = list(read(db, "study", "id")), list(read(db, "pack", "number"))
    rows, planned = list(read(db, "trial", "key")), list(read(db, "planned", "key"))
    if not (studies or packs or rows or planned):
        return [], [], []
    raise_damage(
        path,
        {
            fault: lambda: fault == "ok",
            "the row of the study": lambda: len(studies) == 1 and _intact(studies[0]),
            "the rows of trainings": lambda: all(map(_intact, rows)),
            "the list of planned trainings": lambda: (
                digest(row["key"] for row in planned) == studies[0]["planned"]
            ),
            "the chain of packs": lambda: _chain_holds(studies[0], packs, rows),
        },
    )
    return studies, packs, rows


def _intact(row: Columns) -> bool:
    bare = sorted(item for item in row.items() if item[0] != "hash")
    return bool(digest(value for item in bare for value in item) == row["hash"])


def _chain_holds(study: Columns, packs: list[Columns], rows: list[Columns]) -> bool:
    of_pack, chain, links = by_pack(rows), "", []
    for number, pack in enumerate(packs, start=1):
        hashes = sorted(row["hash"] for row in of_pack.pop(number, []))
        chain = digest([chain, pack["seconds"], pack["elapsed"], *hashes])
        links.append(chain)
    return (
        not of_pack  # a row of a pack that is not there is no result
        and links == [pack["link"] for pack in packs]
        and (chain, len(packs)) == (study["chain"], study["packs"])
    )
