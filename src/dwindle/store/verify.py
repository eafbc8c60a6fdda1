"""Reads every row of a store and believes none that its hashes do not confirm."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    checks: dict[str, Any] = {
        fault: fault == "ok",
        "the row of the study": len(studies) == 1 and is_intact(studies[0]),
        "rows of trainings": all(is_intact(row) for row in rows),
        "the list of planned trainings": studies
        and digest(keys) == studies[0]["planned"],
        "the chain of packs": studies and _chain_holds(studies[0], packs, rows),
    }
    broken = [name for name, holds in checks.items() if not holds]
    if broken:
        raise StoreDamagedError(str(path), ", ".join(broken))
    return studies[0], rows


def _chain_holds(study: Row, packs: Sequence[Row], rows: Sequence[Row]) -> bool:
    of_pack: dict[int, list[Row]] = {}
    for row in rows:
        of_pack.setdefault(row["pack"], []).append(row)
    chain = ""
    for number, pack in enumerate(packs, start=1):
        chain = link(
            chain,
            seconds=pack["seconds"],
            elapsed=pack["elapsed"],
            rows=of_pack.pop(number, []),
        )
        if chain != pack["link"]:
            return False
    # Nothing may be left: a row of a pack that is not there is no result.
    return chain == study["chain"] and len(packs) == study["packs"] and not of_pack
