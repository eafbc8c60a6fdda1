"""The list of what was verified by running: it is that of the checks, and no more."""

import re

import pytest
from frameworks.checks.table import CHECKS, UNVERIFIED

from dwindle.decay.coordinates import has_shrink
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.verified import checks_of, passed_checks, verification_of


def test_what_passed_is_what_is_checked():
    """Every check has passed with the settings it has now; nothing else is listed."""
    listed = [
        (each.knob, each.kind, each.settings, each.library, each.tolerance, each.why)
        for each in passed_checks()
    ]
    told = [check.told() for check in CHECKS]
    keys = ("knob", "kind", "settings", "library", "tolerance", "why")
    assert sorted(listed) == sorted(tuple(each[key] for key in keys) for each in told)


def test_every_check_is_another_one():
    """No two checks have one name, so none hides behind another."""
    labels = [check.label for check in CHECKS]
    assert len(set(labels)) == len(labels)
    assert {check.knob for check in CHECKS} <= set(KNOBS)


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.name)
def test_a_knob_is_verified_by_running_or_says_from_source(knob):
    """The words follow from the checks, and the version that ran is the one read."""
    if knob.name in UNVERIFIED:
        assert verification_of(knob) == "from source, not run"
        return
    ran = {f"{each.library} {each.version}" for each in checks_of(knob)}
    assert verification_of(knob).startswith("verified by running (")
    assert not knob.version or knob.version in ran


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.name)
def test_an_undriven_weight_is_predicted_to_nine_digits(knob):
    """A looser tolerance stands only where a library computes in float32."""
    for each in checks_of(knob):
        if each.kind == "undriven weight" and each.tolerance > 1e-9:
            assert re.search("float32", each.why)


def test_what_sets_a_rate_was_seen_to_decay():
    """Every knob whose family has a rate has an undriven weight that proves it."""
    rated = {knob.name for knob in knobs() if has_shrink(knob)} - set(UNVERIFIED)
    seen = {each.knob for each in passed_checks() if each.kind == "undriven weight"}
    assert (
        rated
        - seen
        - {"sklearn.neural_network.MLPClassifier:sgd"}
        - {"sklearn.neural_network.MLPRegressor:sgd"}
        == set()
    )
