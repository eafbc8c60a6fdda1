"""The documented schema of findings and answers, without a NaN in it."""

import json
import math
from dataclasses import replace

from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.as_json import answer_as_dict, findings_as_dict
from dwindle.findings.model import Answer, Claim
from dwindle.findings.sentences import answer_sentences
from dwindle.findings.verdict import verdict_rows

# As documented; further keys may stand beside these.
TOP = {"study", "optimizer", "normalization", "conditions", "axes", "law", "trials"}
AXIS = {"axis", "policy", "exponent", "low", "high", "why_null", "cells", "rules"}
CELL = {"value", "optimum", "low", "high", "matters", "at_edge", "loss_at_optimum"}
POINT = {
    "weight_decay",
    "mean",
    "low",
    "high",
    "n",
    "diverged",
    "train_loss",
    "penalty",
}
RULE = {"rule", "exponent", "applies", "agrees", "regret", "regret_low", "regret_high"}
CLAIM = {"id", "claim", "whose", "how", "number", "verdict"}

FOUND = simulated_findings({"width": -0.2}, spec=study_spec(axes=AXES[:1]))


def walk(value):
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from walk(item)


def test_findings_have_the_documented_keys():
    """Every key of the schema is there, on every level."""
    plain = findings_as_dict(FOUND)
    assert plain.keys() >= TOP | {"seconds"}
    axis = plain["axes"][0]
    assert axis.keys() >= AXIS
    assert all(cell.keys() >= CELL | {"loss_without_decay"} for cell in axis["cells"])
    points = [point for cell in axis["cells"] for point in cell["curve"]]
    assert all(point.keys() >= POINT for point in points)
    assert all(rule.keys() >= RULE | {"share_lost"} for rule in axis["rules"])
    assert plain["trials"] == {
        "ok": 350,
        "untrained": 0,
        "diverged": 0,
        "error": 0,
    }
    assert plain["law"]["width"]["exponent"] == axis["exponent"]


def test_json_comes_back_as_it_went():
    """Only plain data: a round trip through strict JSON changes nothing."""
    plain = findings_as_dict(FOUND)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_no_number_that_is_none_becomes_nan():
    """Infinity and NaN become null, wherever they stand."""
    broken = replace(FOUND, seconds=math.nan, conditions={"deep": [math.inf, 1.0]})
    plain = findings_as_dict(broken)
    assert plain["seconds"] is None
    assert plain["conditions"] == {"deep": [None, 1.0]}
    numbers = [value for value in walk(plain) if isinstance(value, float)]
    assert all(math.isfinite(number) for number in numbers)


def test_an_answer_has_its_claims_and_the_json_of_its_studies():
    """Claims in the documented keys, studies as ``report --json`` gives them."""
    claim = Claim(
        id="1", claim="c", whose="question", how="h", number="2", verdict="holds"
    )
    answer = Answer(
        claims=(claim,),
        studies=(FOUND,),
        verdict=verdict_rows([FOUND]),
        sentences=answer_sentences([FOUND]),
        seconds=1.0,
    )
    plain = answer_as_dict(answer)
    assert plain["claims"][0].keys() >= CLAIM
    assert plain["studies"] == [findings_as_dict(FOUND)]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
