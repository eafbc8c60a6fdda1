"""An export has the content of its store, in as many bytes each time, and no more."""

import gzip
import json
from dataclasses import replace

import pytest
from evidence import judged_by
from exports import read_export, write_export
from study.pretended import pretended_outcome
from study.tiny import CONDITIONS, FACTS, SPEC

from dwindle.errors import StoreDamagedError, StoreFormatError
from dwindle.findings.build import findings_of
from dwindle.store.records import Outcome
from dwindle.store.store import Store, read_study
from dwindle.study.plan import round_trials
from dwindle.study.problems import problem


def shortened(outcome):
    """An outcome with no more digits than a training in single precision has."""
    names = ("loss", "accuracy", "train_loss", "penalty")
    return replace(
        outcome, **{name: round(getattr(outcome, name), 6) for name in names}
    )


@pytest.fixture
def stored(tmp_path):
    """The tiny study, whole, with a training that diverged."""
    trials = round_trials(SPEC, problem(SPEC.problem), lambda _: None, number=0)
    outcomes = [shortened(pretended_outcome(trial)) for trial in trials]
    outcomes[-1] = Outcome(status="diverged", steps=4, seconds=1.0, diverged_at_step=2)
    facts = replace(FACTS, validation_samples=597)
    machine = replace(CONDITIONS, machine="somebody's")
    path = tmp_path / "tiny.db"
    with Store(path, spec=SPEC, conditions=machine, problem=facts) as store:
        store.plan(trials)
        store.commit(list(zip(trials, outcomes, strict=True)), seconds=1.0)
        store.finish()
    return read_study(path)


@pytest.mark.parametrize("metric", ["loss", "error"])
def test_an_export_has_the_findings_of_its_store(stored, tmp_path, metric):
    """By either metric; only the machine is left out."""
    path = tmp_path / "tiny.json.gz"
    write_export(stored, path)
    again = findings_of(judged_by(read_export(path), metric))
    found = findings_of(judged_by(stored, metric))
    assert again.axes == found.axes
    assert (again.trials, again.complete) == (found.trials, True)
    assert again.conditions == {**found.conditions, "machine": ""}
    first = path.read_bytes()
    write_export(stored, path)
    assert path.read_bytes() == first
    assert b"somebody" not in gzip.decompress(first)


def test_what_is_no_export_is_refused(stored, tmp_path):
    """Another file, a newer version, and one in which something is missing."""
    path = tmp_path / "tiny.json.gz"
    write_export(stored, path)
    plain = json.loads(gzip.decompress(path.read_bytes()))
    wrong = [
        (b"no export", StoreFormatError),
        (gzip.compress(json.dumps({**plain, "version": 2}).encode()), StoreFormatError),
        (gzip.compress(json.dumps({"version": 1}).encode()), StoreDamagedError),
        (
            gzip.compress(json.dumps({**plain, "cells": [{}]}).encode()),
            StoreDamagedError,
        ),
    ]
    for content, error in wrong:
        path.write_bytes(content)
        with pytest.raises(error) as refused:
            read_export(path)
        assert refused.value.path == str(path)
