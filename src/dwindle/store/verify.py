"""Reads every row of a store and believes none that its hashes do not confirm."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dwindle.errors import StoreDamagedError
from dwindle.store.rows import Row, digest, is_intact, link


def verified_rows(db: sqlite3.Connection, path: Path) -> tuple[Row, list[Row]]:
    """Return the study's row and all trainings' rows.

    Raises:
        StoreDamagedError: If anything that is read is not as it was written.

    """
    fault = db.execute("PRAGMA integrity_check").fetchone()[0]
    studies = [dict(row) for row in db.execute("SELECT * FROM study")]
    packs = [dict(row) for row in db.execute("SELECT * FROM pack ORDER BY number")]
    rows = [dict(row) for row in db.execute("SELECT * FROM trial")]
    keys = [key for (key,) in db.execute("SELECT key FROM planned ORDER BY key")]
    # In this order: each check reads only what those before it have confirmed.
    checks: dict[str, Callable[[], bool]] = {
        fault: lambda: fault == "ok",
        "the row of the study": lambda: len(studies) == 1 and is_intact(studies[0]),
        "the rows of trainings": lambda: all(is_intact(row) for row in rows),
        "the list of planned trainings": lambda: digest(keys) == studies[0]["planned"],
        "the chain of packs": lambda: _chain_holds(studies[0], packs, rows),
    }
    for name, holds in checks.items():
        if not holds():
            raise StoreDamagedError(str(path), name)
    return studies[0], rows


def _chain_holds(study: Row, packs: Sequence[Row], rows: Sequence[Row]) -> bool:
    links = links_of(packs, rows)
    last = links[-1] if links else ""
    # Nothing may be left: a row of a pack that is not there is no result.
    return (
        links == [pack["link"] for pack in packs]
        and last == study["chain"]
        and len(packs) == study["packs"]
        and {row["pack"] for row in rows} <= set(range(1, len(packs) + 1))
    )


def links_of(packs: Sequence[Row], rows: Iterable[Row]) -> list[str]:
    """Return the link of every pack, in their order, from the rows that they hold."""
    of_pack: dict[int, list[Row]] = {}
    for row in rows:
        of_pack.setdefault(row["pack"], []).append(row)
    links, chain = [], ""
    for number, pack in enumerate(packs, start=1):
        times = {"seconds": pack["seconds"], "elapsed": pack["elapsed"]}
        chain = link(chain, **times, rows=of_pack.get(number, []))
        links.append(chain)
    return links
