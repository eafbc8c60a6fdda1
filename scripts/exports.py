"""A study of a built-in problem as one compressed file of text: what findings are of.

A store is for a study that is being trained: pages, hashes, a lock. An export keeps the
trainings alone, small enough for a repository, and the findings of the one are those of
the other but for the digits that no training has.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dwindle.errors import StoreDamagedError, StoreFormatError
from dwindle.findings.cells import gather
from dwindle.plain import from_plain
from dwindle.store.records import Conditions, Outcome, ProblemFacts, Scale, Trial
from dwindle.store.spec import StudySpec
from dwindle.store.store import StoredStudy

VERSION = 1  # since the first export
_REMEDY = "Write it again: scripts/evidence.py export."
# Trainings are in single precision, which has no seventh digit.
_DIGITS = 7
# What findings read of a training; sums of squares stay in the store.
_FACTS = ("status", "steps", "loss", "accuracy", "train_loss", "penalty")


def write_export(stored: StoredStudy, path: Path) -> None:
    """Write a study with all its trainings, but for what a training took and failed of.

    The same study gives the same bytes.

    Args:
        stored: The study.
        path: The file, by convention ``NAME.json.gz``.

    """
    conditions = stored.conditions.as_dict()
    # Whose machine it was is nobody's business, and decides nothing.
    del conditions["machine"]
    plain = {
        "version": VERSION,
        "spec": stored.spec.as_dict(),
        "conditions": conditions,
        "problem": stored.problem.as_dict(),
        "seconds": round(stored.seconds, 1),
        "complete": stored.complete,
        "cells": [
            {"scale": asdict(scale), "curve": list(_curve(by_decay))}
            for scale, by_decay in gather(stored.rows).items()
        ],
    }
    text = json.dumps(plain, allow_nan=False, separators=(",", ":"))
    # mtime 0: a time would make other bytes of the same study.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _curve(by_decay: dict[float, dict[int, Outcome]]) -> Iterator[dict[str, Any]]:
    """Yield a column for every fact of the trainings of each λ, in order of seeds."""
    for decay, outcomes in sorted(by_decay.items()):
        seeds = sorted(outcomes)
        column = [outcomes[seed] for seed in seeds]
        facts = {
            name: [_short(getattr(each, name)) for each in column] for name in _FACTS
        }
        yield {"weight_decay": decay, "seeds": seeds, **facts}


def _short(fact: object) -> object:
    return float(f"{fact:.{_DIGITS}g}") if isinstance(fact, float) else fact


def read_export(path: Path) -> StoredStudy:
    """Return the study of an export.

    Raises:
        StoreFormatError: If the file is no export, or a newer one.
        StoreDamagedError: If it is one, and what it says is no study.

    """
    try:
        plain = json.loads(gzip.decompress(path.read_bytes()))
        version = plain["version"]
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise StoreFormatError(str(path), f"no export ({error})", _REMEDY) from error
    if version != VERSION:
        found = f"export version {version}; this dwindle reads version {VERSION}"
        raise StoreFormatError(str(path), found, _REMEDY)
    try:
        spec = from_plain(StudySpec, plain["spec"])
        conditions = from_plain(Conditions, plain["conditions"])
        rows = tuple(_rows(spec, plain["cells"]))
        problem = ProblemFacts(**plain["problem"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamagedError(str(path), str(error)) from error
    return StoredStudy(
        path=path,
        spec=spec,
        conditions=conditions,
        problem=problem,
        rows=rows,
        planned=len(rows),
        seconds=plain["seconds"],
        complete=plain["complete"],
    )


def _rows(
    spec: StudySpec, cells: list[dict[str, Any]]
) -> Iterator[tuple[Trial, Outcome]]:
    for cell in cells:
        scale = Scale(**cell["scale"])
        for column in cell["curve"]:
            facts = zip(*(column[name] for name in _FACTS), strict=True)
            for seed, values in zip(column["seeds"], facts, strict=True):
                named = dict(zip(_FACTS, values, strict=True))
                trial = spec.trial(scale, column["weight_decay"], seed)
                yield trial, Outcome(seconds=0.0, **named)
