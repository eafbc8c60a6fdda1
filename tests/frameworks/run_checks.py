"""The one runner of all checks: each framework beside our record of its knob."""

import json
import os
from pathlib import Path

import pytest
from frameworks.checks.table import CHECKS, UNVERIFIED
from tolerance import digits

from dwindle.decay.knobs import KNOBS
from dwindle.decay.verified import PATH

PASSED = []


@pytest.mark.filterwarnings("default")  # other people's libraries may be deprecated
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.label)
def test_the_framework_does_what_the_record_predicts(check):
    """What the real library gives is what we predict, to the stated tolerance."""
    assert check.theirs() == digits(check.ours(), rel=check.rel)
    PASSED.append(check.passed())


def test_every_knob_is_verified_or_has_a_reason():
    """Only what cannot be installed has no check, and it is listed with the reason."""
    checked = {check.knob for check in CHECKS}
    assert set(KNOBS) - checked == set(UNVERIFIED)
    assert all(UNVERIFIED.values())


def test_the_list_of_what_is_verified_is_this_run():
    """The checked-in file holds the checks that passed just now, and no other."""
    lines = [json.dumps(each, ensure_ascii=False, sort_keys=True) for each in PASSED]
    text = '{"checks": [\n' + ",\n".join(sorted(lines)) + "\n]}\n"
    if os.environ.get("WRITE_VERIFIED"):
        Path(PATH).write_text(text, "utf-8")
    assert Path(PATH).read_text("utf-8") == text, (
        "WRITE_VERIFIED=1 make test-frameworks writes what passed"
    )
