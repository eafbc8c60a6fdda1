"""Coordinates: which knob has which, and that a bare penalty has no step."""

import math
from dataclasses import replace

import pytest
from tolerance import digits

from dwindle.decay.coordinates import (
    FORMULAS,
    family_of,
    has_shrink,
    number_from_shrink,
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


@pytest.mark.parametrize("clock", ["steps", "examples", "epochs", "tokens", "run"])
@pytest.mark.parametrize("kind", ["half-life", "timescale"])
def test_a_formula_on_a_clock_has_the_units_of_its_number(clock, kind):
    """Read as arithmetic, the printed formulas give the numbers beside them."""
    run = Run(batch_size=50, dataset_size=5000, epochs=7, tokens_per_example=16)
    knob = KNOBS[f"half-life:{clock}"]
    if kind == "timescale":
        knob = replace(knob, timescale=True, symbol="h")
    forward, inverse = map(knob.said, shrink_formulas(knob, run))
    number = number_from_shrink(knob, 1e-3, run)
    names = {
        "steps per epoch": 100,
        "steps of the run": 700,
        "examples per step": 50,
        "tokens per step": 800,
        "ln 2": "log(2)",
        "ln": "log",
        "^": "**",
        "−": "-",
        "·": "*",
    }
    for text, s, h, expected in (
        (forward, None, number, 1e-3),
        (inverse, 1e-3, None, number),
    ):
        right = text.partition(" = ")[2]
        for written, meant in names.items():
            right = right.replace(written, str(meant))
        value = eval(right, {"log": math.log, "s": s, "h": h})  # noqa: S307
        assert value == digits(expected, rel=1e-9)  # 1 - s keeps 13 digits
