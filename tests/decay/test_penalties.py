"""Penalties: every convention against the objective as its author writes it."""

import math
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import objectives
from strategies import log_uniform
from tolerance import digits

from dwindle.decay.coordinates import (
    has_shrink,
    number_from_shrink,
    shrink_from_number,
)
from dwindle.decay.families import has_no_rate
from dwindle.decay.formulas import shrink_formulas
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.own_facts import facts_of
from dwindle.decay.penalties import NORMALIZATIONS, PENALTIES, layer_coefficients
from dwindle.decay.run import Run
from dwindle.errors import MissingFactError, RangeError, RefusedError, UnknownNameError

UNITS = [(3, 2), (4, 7, 2), (2, 2, 2, 5)]
records = st.sampled_from(sorted(PENALTIES)).map(PENALTIES.__getitem__)
shapes = st.lists(st.integers(1, 40), min_size=2, max_size=5).map(
    lambda units: list(pairwise(units))
)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_convention_has_the_penalty_of_its_objective(name):
    """Each layer's λ is what a loop over the written objective gives."""
    record = PENALTIES[name]
    for units, x in product(UNITS, (1e-4, 0.3, 7.0)):
        run = Run(dataset_size=24, batch_size=6, units=units)
        penalty = record.penalty_from_number(x, run)
        shares = layer_coefficients(record.normalization, run.layers)
        # 1e-12: the loop adds up some dozens of numbers, each rounded at 1e-16.
        expected = objectives.canonical_penalties(name, x, units, 24, 6)
        assert [penalty * share for share in shares] == digits(expected, rel=1e-12)


@given(records, log_uniform(1e-3, 1e3), st.integers(1, 10**6), st.data())
def test_a_number_comes_back(record, number, dataset_size, data):
    """From the number to λ and back gives the number."""
    batch_size = data.draw(st.integers(1, dataset_size))
    run = Run(dataset_size=dataset_size, batch_size=batch_size)
    penalty = record.penalty_from_number(number, run)
    # 1e-12: ASGD's own 1e-4 costs up to four of sixteen digits at 1e-3.
    assert record.number_from_penalty(penalty, run) == digits(number, rel=1e-12)


@given(shapes)
def test_both_readings_of_the_question_penalize_the_average_weight_alike(layers):
    """Averaged over the weights, both normalizations are 1/(number of weights)."""
    sizes = [fan_in * fan_out for fan_in, fan_out in layers]
    for normalization in ("layer-mean", "global-mean"):
        shares = layer_coefficients(normalization, layers)
        total = math.fsum(n * share for n, share in zip(sizes, shares, strict=True))
        # 1e-13: one rounding per layer, at most four layers.
        assert total / sum(sizes) == digits(1 / sum(sizes), rel=1e-13)


def test_the_question_in_numbers():
    """Two layers of 2·5 and 5·1 weights: 1/20 and 1/10 by layer, 1/15 over all."""
    layers = [(2, 5), (5, 1)]
    assert layer_coefficients("layer-mean", layers) == (0.05, 0.1)
    assert layer_coefficients("global-mean", layers) == (1 / 15, 1 / 15)
    assert NORMALIZATIONS == ("none", "layer-mean", "global-mean", "fan-in")


def test_the_factor_two_and_the_factors_of_bengio():
    """The question's λ is half the canonical one; of summed losses, n times that."""
    run = Run(dataset_size=1000, batch_size=50)

    def number(name):
        return PENALTIES[name].number_from_penalty(0.002, run)

    assert number("without-half") == 0.001
    # 1e-15: one division and one multiplication.
    assert number("batch-sum") == digits(50 * 0.001, rel=1e-15)
    assert number("data-sum") == digits(1000 * 0.001, rel=1e-15)
    assert number("prior") == digits(1 / math.sqrt(2), rel=1e-15)


def test_what_has_no_coefficient_is_refused():
    """An unknown normalization, layers of nothing, and less than is always on."""
    with pytest.raises(UnknownNameError) as unknown:
        layer_coefficients("layermean", [(2, 3)])
    assert unknown.value.nearest[0] == "layer-mean"
    for layers in ([], [(0, 3)], [(3, 0)]):
        with pytest.raises(RangeError) as raised:
            layer_coefficients("none", layers)
        assert raised.value.name == "layers"
    with pytest.raises(RangeError) as raised:  # ASGD's own 1e-4 cannot be undercut
        PENALTIES["canonical:asgd"].number_from_penalty(1e-5, Run())
    assert (raised.value.name, raised.value.value) == ("penalty", 1e-5)


def test_a_sum_needs_the_number_of_its_examples():
    """The error names the missing size of the data, or of the batch."""
    whole = dict.fromkeys(("prior", "data-sum", "inverse-data-sum"), "dataset_size")
    sums = {name: each.over for name, each in PENALTIES.items() if each.over}
    assert sums.items() >= (whole | {"batch-sum": "batch_size"}).items()
    for name, fact in sums.items():
        with pytest.raises(MissingFactError) as raised:
            PENALTIES[name].penalty_from_number(1.0, Run())
        assert raised.value.fact == fact


def test_no_penalty_is_zero_or_an_infinite_prior():
    """λ = 0 is the number 0, or an infinite standard deviation or C."""
    run = Run(dataset_size=10)
    assert PENALTIES["data-sum"].number_from_penalty(0.0, run) == 0
    assert PENALTIES["prior"].number_from_penalty(0.0, run) == math.inf


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
