"""Records as rows and back; each row carries a hash, so damage cannot pass for data."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from dwindle.errors import RangeError
from dwindle.store.records import Outcome, Trial

REALS = (
    "seconds",
    "loss",
    "accuracy",
    "train_loss",
    "sum_of_squares",
    "penalty",
    "last_finite_loss",
)
Row = dict[str, Any]  # values as SQLite holds them: text, int, float or None


def text_from_plain(plain: Any) -> str:  # JSON-like
    """Return the one text of a JSON-like value: sorted keys, no NaN."""
    return json.dumps(plain, sort_keys=True, allow_nan=False, separators=(",", ":"))


def digest(parts: Iterable[object]) -> str:
    """Return a hash over values, unambiguous about where each begins and ends.

    Floats enter by their shortest exact text, so that what is read back from SQLite
    hashes as what was written.

    Example:
        >>> digest(["ab", "c"]) == digest(["a", "bc"])
        False

    """
    text = json.dumps([repr(part) for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(row: Row) -> Row:
    """Return the row with the hash over all its columns."""
    return {
        **row,
        "hash": digest(item for pair in sorted(row.items()) for item in pair),
    }


def is_intact(row: Row) -> bool:
    """Tell whether a row is what :func:`sealed` made."""
    bare = {name: value for name, value in row.items() if name != "hash"}
    return bool(sealed(bare)["hash"] == row["hash"])


def row_from_outcome(key: str, pack: int, trial: Trial, outcome: Outcome) -> Row:
    """Return the row of a training.

    Raises:
        RangeError: If a training that is ``ok`` has a loss that is not finite, or the
            other way round: such a number must never get into a store.

    """
    if (outcome.status == "ok") != _is_finite(outcome.loss):
        must = 'finite with status "ok", and None with any other status'
        raise RangeError("loss", f"{outcome.loss} with {outcome.status!r}", must)
    facts = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return sealed(
        {
            **facts,
            **{name: _real(facts[name]) for name in REALS},
            "key": key,
            "pack": pack,
            "trial": text_from_plain(trial.as_dict()),
            "layer_rms": text_from_plain([float(rms) for rms in outcome.layer_rms]),
        }
    )


def training_from_row(row: Row) -> tuple[Trial, Outcome]:
    """Return the training that a row holds."""
    names = {field.name for field in fields(Outcome)} - {"layer_rms"}
    layer_rms = tuple(json.loads(row["layer_rms"]))
    facts = {name: row[name] for name in names}
    trial = Trial.from_dict(json.loads(row["trial"]))
    return trial, Outcome(**facts, layer_rms=layer_rms)


def link(before: str, *, seconds: float, elapsed: float, rows: Sequence[Row]) -> str:
    """Return the link of a pack in the chain of all packs.

    A row or a pack that is lost breaks the chain as one that is changed does.
    """
    hashes = sorted(row["hash"] for row in rows)
    return digest([before, seconds, elapsed, *hashes])


def _is_finite(number: float | None) -> bool:
    return number is not None and math.isfinite(number)


def _real(number: float | None) -> float | None:
    """Return the number as SQLite gives it back; NaN has no place there: None."""
    return float(number) if number is not None and _is_finite(number) else None
