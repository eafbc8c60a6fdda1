"""The list of what was verified by running: it is that of the checks, and no more."""

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
    checked = [check.record() for check in CHECKS]
    keys = ("knob", "kind", "settings", "library", "tolerance", "why")
    assert sorted(listed) == sorted(
        tuple(each[key] for key in keys) for each in checked
    )


def test_every_check_is_another_one():
    """No two checks have one name, so none hides behind another."""
    labels = [check.label for check in CHECKS]
    assert len(set(labels)) == len(labels)
    assert {check.knob for check in CHECKS} <= set(KNOBS)


def test_every_knob_was_run_in_the_version_that_was_read_or_is_from_source():
    """The text follows from the checks, and the version that ran is the one read."""
    wrong = []
    for knob in knobs():
        ran = {f"{each.library} {each.version}" for each in checks_of(knob)}
        is_run = verification_of(knob).startswith("verified by running (")
        is_current = not knob.version or knob.version in ran
        if is_run == (knob.name in UNVERIFIED) or (is_run and not is_current):
            wrong.append((knob.name, verification_of(knob), ran))
    assert wrong == []


def test_only_what_computes_in_float32_has_a_looser_tolerance_than_nine_digits():
    """A looser tolerance of a zero-gradient weight has float32 as its reason."""
    loose = [
        each
        for each in passed_checks()
        if each.kind == "undriven weight" and each.tolerance > 1e-9
    ]
    assert loose
    assert [each for each in loose if "float32" not in each.why] == []


def test_what_sets_a_rate_was_seen_to_decay():
    """Every knob whose family has a rate has a check with zero gradients."""
    rated = {knob.name for knob in knobs() if has_shrink(knob)} - set(UNVERIFIED)
    seen = {each.knob for each in passed_checks() if each.kind == "undriven weight"}
    # Their other checks are of whole trajectories: alpha is divided by the minibatch.
    assert rated - seen == {
        "sklearn.neural_network.MLPClassifier:sgd",
        "sklearn.neural_network.MLPRegressor:sgd",
    }
