"""Coordinates: which knob has which, and that a bare penalty has no step."""

import pytest

from dwindle.decay.coordinates import (
    FORMULAS,
    family_of,
    has_shrink,
    shrink_formulas,
    shrink_from_number,
)
from dwindle.decay.families import FAMILIES
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.no_rate import NO_RATE
from dwindle.decay.run import Run
from dwindle.errors import RefusedError


@pytest.mark.parametrize("name", sorted(set(KNOBS) - {"half-life"}))
def test_a_knob_has_a_shrink_a_penalty_or_both(name):
    """Every knob has a coordinate; only coupled ones have both."""
    knob = KNOBS[name]
    if knob.family in NO_RATE:
        assert not has_shrink(knob)
        return
    assert has_shrink(knob) or knob.penalty is not None
    if has_shrink(knob) and knob.penalty is not None:
        assert knob.family in {"coupled-sgd", "asgd", "asgd-lambd"}


def test_a_bare_penalty_has_no_shrink():
    """A term of an objective decays nothing before an optimizer is named."""
    with pytest.raises(RefusedError, match=r"A shrink of question.l2.*Name an opt"):
        shrink_from_number(resolve_knob("question.l2"), 1e-3, Run(lr=0.1))


def test_every_family_with_a_rate_has_its_formulas():
    """No knob is without words for how its shrink comes about."""
    rated = {name for name, family in FAMILIES.items() if family.has_half_life}
    assert rated | {"asgd-lambd"} == set(FORMULAS)


def test_formulas_follow_the_momentum():
    """SGD is told as it runs: plain, with momentum, Nesterov."""
    sgd = resolve_knob("torch.SGD")
    assert shrink_formulas(sgd, Run(lr=1))[0] == "s = η·x"
    assert (
        "slow root of z² − (1 + μ − (1−d)"
        in shrink_formulas(sgd, Run(lr=1, momentum=0.9))[0]
    )
    nesterov = Run(lr=1, momentum=0.9, nesterov=True)
    assert "(1 + μ)(1 − η·x)" in shrink_formulas(sgd, nesterov)[0]
    paper = resolve_knob("lambda-norm")
    assert shrink_formulas(paper, Run())[1] == "x = s·√steps"


def test_lambd_is_a_family_beside_the_others():
    """The second decay of ASGD is read by a rule of its own."""
    lambd = family_of(resolve_knob("ASGD:lambd"))
    assert lambd is not None
    assert lambd.name not in FAMILIES
