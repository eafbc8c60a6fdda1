"""From a store to the same findings as from the rows in memory."""

from dataclasses import replace

import pytest
from findings.simulated_study import AXES, DIGITS, simulated_rows, study_spec

from dwindle.findings.build import build_findings
from dwindle.findings.read import read_findings
from dwindle.store.records import Conditions
from dwindle.store.store import Store

SPEC = study_spec(axes=(AXES[0], AXES[3]), seeds=3)
CONDITIONS = Conditions(
    engine_version="1",
    torch_version="2",
    dtype="float32",
    device_type="cpu",
    problem="digits-mlp",
    optimizer=SPEC.optimizer,
    normalization="none",
)


def stored(path, rows, *, complete):
    with Store(path, spec=SPEC, conditions=CONDITIONS, problem=DIGITS) as store:
        store.plan([trial for trial, _ in simulated_rows(SPEC, {})])
        store.commit(rows, seconds=1.0)
        if complete:
            store.finish()
    return read_findings(path)


def test_a_store_says_what_its_rows_say(tmp_path):
    """Findings from disk equal findings from memory, number by number."""
    rows = simulated_rows(SPEC, {"width": -0.5})
    found = stored(tmp_path / "study.db", rows, complete=True)
    in_memory = build_findings(
        SPEC,
        rows,
        problem=DIGITS,
        conditions=CONDITIONS.as_dict(),
        seconds=found.seconds,
        complete=True,
    )
    assert found == replace(in_memory, conditions=found.conditions)
    assert found.conditions["engine_version"] == "1"


def test_the_order_of_rows_changes_nothing(tmp_path):
    """Packs end in any order; findings are those of the set."""
    rows = simulated_rows(SPEC, {"width": -0.5})
    forward = stored(tmp_path / "a.db", rows, complete=True)
    backward = stored(tmp_path / "b.db", rows[::-1], complete=True)
    assert replace(forward, seconds=0.0) == replace(backward, seconds=0.0)


def test_a_store_half_done_is_read_and_said_to_be(tmp_path):
    """What is committed is told, and that it is not all."""
    rows = [row for row in simulated_rows(SPEC, {}) if row[0].scale.width != 256]
    found = stored(tmp_path / "half.db", rows, complete=False)
    assert not found.complete
    assert found.trials["ok"] == len(rows)
    assert found.axes[0].cells[-1].curve == ()
    assert found.axes[0].exponent is not None


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (597, "every seed has its own validation split, of 597 samples"),
        (None, "one validation set of 597 samples for all seeds: the intervals leave"),
    ],
)
def test_a_store_says_what_it_was_validated_on(samples, told):
    """New studies split by seed; older stores know of no split, and had one for all."""
    facts = replace(DIGITS, validation_samples=samples)
    rows = simulated_rows(SPEC, {})
    found = build_findings(
        SPEC, rows, problem=facts, conditions={}, seconds=1.0, complete=True
    )
    assert found.validation.startswith(told)
