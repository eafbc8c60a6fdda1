"""Coordinates: which knob has which, and that a bare penalty has no step."""

import math
from dataclasses import replace

import pytest

from dwindle.decay.coordinates import (
    has_shrink,
    number_from_shrink,
    shrink_from_number,
)
from dwindle.decay.families import has_no_rate
from dwindle.decay.formulas import shrink_formulas
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.own_facts import facts_of
from dwindle.decay.run import Run
from dwindle.errors import RefusedError


def test_a_knob_has_a_shrink_a_penalty_or_both():
    """Every knob has a coordinate or a reason; only coupled ones have both."""
    coupled = {"coupled-sgd", "asgd", "asgd-lambd"}
    wrong = []
    for name, knob in KNOBS.items():
        has_rate, has_penalty = has_shrink(knob), knob.penalty is not None
        if (has_rate and has_no_rate(knob)) or (
            not (has_rate or has_penalty) and not has_no_rate(knob)
        ):
            wrong.append(name)
        if (has_rate and has_penalty) != (knob.family in coupled):
            wrong.append(name)
    assert not wrong


def test_a_bare_penalty_has_no_shrink():
    """A term of an objective decays nothing before an optimizer is named."""
    with pytest.raises(RefusedError) as raised:
        shrink_from_number(resolve_knob("question.l2"), 1e-3, Run(lr=0.1))
    assert "question.l2" in raised.value.asked


def test_formulas_follow_the_momentum():
    """SGD is written as it runs: plain, with momentum, Nesterov."""
    sgd = resolve_knob("torch.SGD")
    nesterov = Run(lr=1, momentum=0.9, nesterov=True)
    found = [
        shrink_formulas(sgd, run)[0]
        for run in (Run(lr=1), Run(lr=1, momentum=0.9), nesterov)
    ]
    assert found[0] == "s = η·weight_decay"
    assert len(set(found)) == len(found)


# What is printed in a formula, in Python.
AS_PYTHON = {
    "steps per epoch": "100",
    "steps of the run": "700",
    "examples per step": "50",
    "tokens per step": "800",
    "/√steps": "/sqrt(700)",
    "·√steps": "*sqrt(700)",
    "ln 2": "log(2)",
    "ln": "log",
    "^": "**",
    "z²": "z*z",
    ")(": ")*(",
    "μ(": "μ*(",
    "−": "-",
    "·": "*",
}


def test_printed_formulas_are_the_conversion():
    """Read as arithmetic, each formula of a shrink gives the number beside it."""
    run = Run(
        lr=0.01,
        momentum=0.7,
        batch_size=50,
        dataset_size=5000,
        epochs=7,
        tokens_per_example=16,
    )
    shrink, wrong = 2e-3, []
    for each in KNOBS.values():
        if not has_shrink(each) or each.wants_clock or each.options.dampening_is_flag:
            continue
        knob, own = replace(each, symbol="x"), facts_of(each, run)
        number = number_from_shrink(knob, shrink, run)
        names = {"s": shrink, "x": number, "B": 50, "η": 0.01, "z": 1 - shrink}
        names |= {"μ": own.momentum, "d": own.dampening}
        for text, value in zip(
            shrink_formulas(knob, run), (shrink, number), strict=True
        ):
            right = text.partition(" = ")[2] or text
            _, is_root, polynomial = right.partition("slow root of ")
            right = polynomial or right
            for printed, meant in AS_PYTHON.items():
                right = right.replace(printed, meant)
            found = eval(right, {"log": math.log, "sqrt": math.sqrt}, names)  # noqa: S307
            # 1 - s keeps 13 digits, and a root is where all of them cancel.
            near = abs(found) < 1e-13 if is_root else math.isclose(found, value)
            wrong += [] if near else [(each.name, text, found, value)]
    assert not wrong
