"""From a store to findings, and from those to strict JSON."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from findings.simulated_study import (
    AXES,
    BASE,
    DIGITS,
    simulated_findings,
    simulated_rows,
    study_spec,
    study_with,
)
from hypothesis import given
from hypothesis import strategies as st

from dwindle.findings.build import findings_of, mean_coefficient, quantities
from dwindle.findings.conclusion import answer_as_dict
from dwindle.findings.model import Answer, Claim
from dwindle.findings.rule_verdict import ratio_quantities
from dwindle.store.store import Store, read_study

SPEC = study_spec(axes=(AXES[0], AXES[3]), seeds=3)


def stored(path, rows, *, complete):
    conditions = study_with(SPEC, rows).conditions
    with Store(path, spec=SPEC, conditions=conditions, problem=DIGITS) as store:
        store.plan([trial for trial, _ in simulated_rows(SPEC, {})])
        store.commit(rows, seconds=1.0)
        if complete:
            store.finish()
    return findings_of(read_study(path))


def test_findings_of_a_store_equal_those_of_its_rows(tmp_path):
    """Findings from disk equal findings from memory, number by number."""
    rows = simulated_rows(SPEC, {"width": -0.5})
    # Packs end in any order; findings are those of the set.
    found = stored(tmp_path / "study.db", rows[::-1], complete=True)
    in_memory = findings_of(study_with(SPEC, rows))
    assert replace(found, seconds=1.0) == in_memory
    assert found.conditions["engine_version"] == "1"


def test_a_store_half_done_is_read_and_marked_incomplete(tmp_path):
    """Findings are those of the committed rows, and not ``complete``."""
    rows = [row for row in simulated_rows(SPEC, {}) if row[0].scale.width != 256]
    found = stored(tmp_path / "half.db", rows, complete=False)
    assert not found.complete
    assert found.trials["ok"] == len(rows)
    assert found.axes[0].cells[-1].curve == ()
    assert found.axes[0].exponent is not None


def test_a_store_names_what_it_was_validated_on():
    """New studies split by seed; older stores know of no split, and had one for all."""
    rows = simulated_rows(SPEC, {})
    own, one = (
        findings_of(study_with(SPEC, rows, replace(DIGITS, validation_samples=samples)))
        for samples in (597, None)
    )
    assert own.validation != one.validation
    assert replace(own, validation="") == replace(one, validation="")


UNITS = st.lists(st.integers(1, 300), min_size=2, max_size=6)


def shapes(units):
    return tuple(pairwise(units))


@given(UNITS)
def test_a_normalization_is_the_share_that_an_average_weight_feels(units):
    """λ/(L·n·m) per layer is λ/(number of weights); fan-in is Σ n·fan_in over Σ n."""
    weights = sum(a * b for a, b in shapes(units))
    by_hand = {
        "layer-mean": 1 / weights,
        "global-mean": 1 / weights,
        "fan-in": sum(a * b * a for a, b in shapes(units)) / weights,
    }
    found = {name: mean_coefficient(name, shapes(units)) for name in by_hand}
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_quantities_of_the_digits_network():
    """64-64-64-10 has 8832 weights; 30 epochs of 19 batches are 570 steps."""
    assert quantities(BASE, shapes([64, 64, 64, 10])) == {
        "width": 64,
        "depth": 2,
        "weights": 8832,
        "batch_size": 32,
        "dataset_size": 600,
        "epochs": 30,
        "steps": 570,
        "lr": 0.05,
    }
    # Without hidden layers a rule is given no width, also where the scale has one.
    found = ratio_quantities(quantities(BASE, shapes([64, 10])))
    assert not {"width", "depth"} & set(found)
    assert found["weights"] == 640


CLAIM = Claim(id="1", claim="c", whose="q", how="h", number="2", verdict="holds")
# As documented; further keys may stand beside these.
SCHEMA = {
    "study": "study optimizer normalization conditions axes law trials seconds",
    "axis": "axis policy exponent low high why_null cells rules",
    "cell": "value optimum low high matters at_edge loss_at_optimum loss_without_decay",
    "point": "weight_decay mean low high n diverged train_loss penalty",
    "rule": "rule exponent applies agrees regret regret_low regret_high share_lost",
    "answer": "claims studies verdict headline sentences remarks next_steps seconds",
    "claim": "id claim whose how number verdict",
    "row": "study axis exponent low high telling cells rules",
}


def test_json_has_the_documented_keys_and_comes_back_as_it_went():
    """Every key of the schema, on every level; plain data that strict JSON keeps."""
    over_width = simulated_findings({"width": -0.2}, spec=study_spec(axes=AXES[:1]))
    shown = Answer(claims=(CLAIM,), studies=(over_width,), seconds=1.0)
    plain = answer_as_dict(shown)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["studies"] == [over_width.as_dict()]
    (study,) = plain["studies"]
    (axis,) = study["axes"]
    records = {
        "answer": [plain],
        "claim": plain["claims"],
        "row": plain["verdict"],
        "study": [study],
        "axis": [axis],
        "cell": axis["cells"],
        "point": [point for cell in axis["cells"] for point in cell["curve"]],
        "rule": [*axis["rules"], axis["unchanged"]],
    }
    missing = {
        kind: lacking
        for kind, found in records.items()
        for each in found
        if (lacking := {*SCHEMA[kind].split()} - each.keys())
    }
    assert not missing
    assert study["trials"] == {"ok": 350, "untrained": 0, "diverged": 0, "error": 0}
    assert study["law"]["width"]["exponent"] == axis["exponent"]
