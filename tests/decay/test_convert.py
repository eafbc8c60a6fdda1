"""Convert: laws over all pairs of knobs, an oracle per knob, honest fidelity."""

import math
from dataclasses import replace
from itertools import product

import pytest
from decay import traps
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle.decay_knobs import RATES
from oracle.knob_kinds import fitted, kinds
from strategies import log_uniform, schedules
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.families import has_no_rate
from dwindle.decay.half_life import HalfLife
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
)

NAMES = kinds(knobs())
# What a conversion may say instead of a number.
HONEST = (RefusedError, MissingFactError, RangeError, OscillationError)
WHOLE = replace(traps.WHOLE, tokens_per_example=128, units=(8, 8, 8))
FLAT = replace(traps.FLAT, tokens_per_example=128)


@st.composite
def whole_runs(draw):
    """Runs with every fact, of 30 steps or more."""
    batch_size = draw(st.integers(1, 32))
    momentum = draw(st.sampled_from([0.0, 0.9]))
    return Run(
        lr=draw(log_uniform(1e-3, 1)),
        schedule=draw(schedules()),
        momentum=momentum,
        nesterov=momentum > 0 and draw(st.booleans()),
        batch_size=batch_size,
        dataset_size=batch_size * draw(st.integers(3, 20)) + draw(st.integers(0, 9)),
        epochs=10,
        tokens_per_example=draw(st.integers(1, 4096)),
        units=draw(st.sampled_from([(6, 6, 6), (5, 7, 3), (4, 1)])),
    )


def attempt(number, source, target, run):
    """A conversion, or None where none is honest; any other error is a failure."""
    try:
        return convert(number, source, to=target, run=run)
    except HONEST as error:
        text = str(error)
    assert len(text) > 40  # it teaches
    return None


def like(source):
    """Numbers that the knob is used with."""
    if KNOBS[source].clock:
        return log_uniform(1e-2, 1e6)
    return log_uniform(1e-6, 10)


@st.composite
def numbers_of_pairs(draw, count):
    """So many knobs, and a number for the first."""
    names = [draw(st.sampled_from(NAMES)) for _ in range(count)]
    return (draw(like(names[0])), *names)


def close(first, second, source):
    """Equal to twelve digits of what the knob really adds up to."""
    # ASGD subtracts its own 1e-4 from what is asked, which costs digits below it.
    slack = 1e-4 if source == "torch.optim.ASGD" else 0.0
    return math.isclose(first + slack, second + slack, rel_tol=1e-12)


@given(numbers_of_pairs(2), whole_runs())
def test_there_and_back_is_where_one_was(pair, run):
    """Whatever converts, converts back to the number that it came from."""
    number, source, target = pair
    there = attempt(number, source, target, run)
    assume(there is not None and there.value is not None)
    back = convert(there.value, target, to=source, run=run)
    assert back.coordinate == there.coordinate
    assert close(back.value, number, source) or _was_near_a_limit(there, run)


def _was_near_a_limit(there, run):
    """Where a shrink nears 1 or the swinging limit, digits are lost on the way.

    The slope of the shrink over the knob is infinite at the limit of momentum, and a
    half-life of a hundredth of a step leaves 1e-30 of a weight: 1 - s has no digits.
    """
    shrink = attempt(there.value, there.to, "shrink", run)
    return shrink is not None and shrink.value > (0.01 if run.momentum else 0.5)


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # few triples convert
@given(numbers_of_pairs(3), whole_runs())
def test_the_way_makes_no_difference(triple, run):
    """Within one coordinate, A to B to C is A to C."""
    number, first, second, third = triple
    half_way = attempt(number, first, second, run)
    assume(half_way is not None and half_way.value is not None)
    round_about = attempt(half_way.value, second, third, run)
    straight = attempt(number, first, third, run)
    assume(round_about is not None and straight is not None)
    ways = {each.coordinate for each in (half_way, round_about, straight)}
    assume(len(ways) == 1 and straight.value is not None)
    assert close(round_about.value, straight.value, third) or _was_near_a_limit(
        straight, run
    )


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.full)])
def test_every_pair_gives_a_number_or_a_reason(count):
    """No pair of knobs ends in anything but a conversion or an error that teaches."""
    runs = (Run(), Run(lr=0.1), FLAT, WHOLE)
    for place, (source, target) in enumerate(product(NAMES, NAMES)):
        # Each pair under one of the runs, or under all of them.
        first = place + place // len(NAMES)
        for each in range(first, first + count):
            number = 50.0 if KNOBS[source].clock else 1e-3
            attempt(number, source, target, runs[each % len(runs)])


EXHAUSTIVE = {
    "constant": {"lr": 0.1},
    "momentum": {"lr": 0.01, "momentum": 0.9, "dampening": 0.3}
    | {"schedule": Schedule(shape="cosine", warmup=0.1), "units": (4, 9, 3)},
    "nesterov": {"lr": 0.05, "momentum": 0.8, "nesterov": True}
    | {"schedule": Schedule(shape="linear", final=0.1), "batch_size": 7},
}


@pytest.mark.full  # sampled pairs and triples are above
@pytest.mark.parametrize("facts", EXHAUSTIVE.values(), ids=EXHAUSTIVE)
def test_every_pair_comes_back_and_no_way_makes_a_difference(facts):
    """There and back, and A to B to C as A to C, for all kinds of knobs: to 1e-12."""
    sizes = {"batch_size": 20, "dataset_size": 600, "epochs": 2, "units": (6, 6, 6)}
    run = Run(**sizes | {"tokens_per_example": 7} | facts)
    # Numbers that make a shrink of a thousandth or so.
    number = {
        name: found.value if found and found.value else 2e-2
        for name in NAMES
        for found in [attempt(1e-3, "shrink", name, run)]
    }
    there = {
        pair: found
        for pair in product(NAMES, NAMES)
        for found in [attempt(number[pair[0]], *pair, run)]
        if found and found.value is not None
    }
    wrong, triples = [], 0
    for (source, target), found in there.items():
        back = convert(found.value, target, to=source, run=run)
        wrong += [] if close(back.value, number[source], source) else [back]
        for third in NAMES:
            straight = there.get((source, third))
            if straight is None or straight.coordinate != found.coordinate:
                continue
            onward = attempt(found.value, target, third, run)
            if onward and onward.value and onward.coordinate == found.coordinate:
                is_same = close(onward.value, straight.value, third)
                wrong += [] if is_same else [(found, onward, straight)]
                triples += 1
    assert not wrong
    # Some optimizers have no dampening: with it they convert to none of their kind.
    assert len(there) > len(NAMES) ** 2 / 3
    assert triples > len(NAMES) ** 3 / 10


def test_a_knob_is_itself():
    """A knob converts to itself, to the last digits, where it can be read at all."""
    wrong = []
    for name in NAMES:
        number, knob = 50.0 if KNOBS[name].clock else 2e-3, KNOBS[name]
        if knob.penalty is None and has_no_rate(knob):
            continue  # it cannot be read at all
        same = convert(number, name, to=name, run=fitted(WHOLE, knob))
        # 1e-12: ASGD's own 1e-4 is added and taken away.
        is_same = same.value == digits(number, rel=1e-12)
        if not is_same or same.fidelity != "same-trajectory":
            wrong.append((name, same))
    assert not wrong


@pytest.mark.parametrize("source", RATES)
def test_a_shrink_against_a_loop(source):
    """What both knobs take off a weight in one late step, measured, is the same."""
    number = {"shrink": 1e-3, "half-life:run": 0.4, "half-life:epochs": 3}.get(source)
    if number is None:
        number = 9e5 if source.startswith("half-life") else 2e-2
    taken = RATES[source](number, FLAT)
    for target, rate in RATES.items():
        there = convert(number, source, to=target, run=FLAT)
        # 1e-9: a rate is measured as the small difference of two weights.
        assert rate(there.value, FLAT) == digits(taken, rel=1e-9), target


IN_ONES_HEAD = [
    (5e-4, "keras.regularizers.L2", "torch.optim.SGD", 1e-3),
    (1e-3, "question.l2", "answer.decay", 2e-3),
    (1e-3, "question.l2", "answer.batch-sum", 20e-3),
    (1e-3, "question.l2", "bengio2012.l2", 600e-3),
    (0.6, "bengio2012.l2", "torch.optim.SGD", 2e-3),
    (1.0, "LogisticRegression", "torch.optim.SGD", 1 / 600),
    (2.0, "gaussian-prior.sigma", "torch.optim.SGD", 1 / 2400),
    (1e-2, "torch.optim.SGD", "torch.optim.Adam", 1e-2),
    (1e-2, "torch.optim.SGD", "torch.optim.ASGD", 1e-2 - 1e-4),
    (1e-2, "torch.optim.SGD", "torch.optim.ASGD:lambd", 1e-2),
]


def test_the_objectives_of_design():
    """Conversions of penalties that can be done in one's head."""
    for number, source, target, expected in IN_ONES_HEAD:
        there = convert(number, source, to=target, run=FLAT)
        assert there.value == digits(expected, rel=1e-14)  # two or three roundings
        assert there.fidelity == "same-objective"


def test_half_lives_and_paper_decays_in_numbers():
    """A decoupled decay is its shrink over the lr; λ_norm is a shrink times √steps."""
    per_step = 1 - 2 ** (-1 / 90)  # 3 epochs of 30 steps
    there = convert("3 epochs", "half-life", to="torch.AdamW", run=WHOLE)
    assert there.value == digits(per_step / 0.01, rel=1e-12)
    there = convert("0.1%", "shrink", to="loshchilov2019.lambda-norm", run=WHOLE)
    assert there.value == digits(1e-3 * math.sqrt(300), rel=1e-14)
    there = convert(HalfLife(0.1, "run"), "half-life", to="half-life:steps", run=WHOLE)
    assert there.value == digits(30, rel=1e-13)


def test_a_layer_has_its_own_penalty():
    """A normalized penalty is a number per layer, and one number where all agree."""
    run = Run(units=(2, 5, 1), dataset_size=100)
    there = convert(1.0, "question.l2:layer-mean", to="torch.optim.SGD", run=run)
    assert there.value is None
    assert [(each.layer, each.shape) for each in there.layers] == [
        (0, (2, 5)),
        (1, (5, 1)),
    ]
    assert [each.value for each in there.layers] == digits([0.1, 0.2], rel=1e-15)
    there = convert(1.0, "question.l2:global-mean", to="torch.optim.SGD", run=run)
    assert there.value == digits(2 / 15, rel=1e-15)
    there = convert(2.0, "neal1996.omega", to="torch.optim.SGD", run=run)
    # 1e-15: a division or two.
    assert [each.value for each in there.layers] == digits([0.005, 0.0125], rel=1e-15)
    square = Run(units=(3, 3, 3), dataset_size=100)
    there = convert(2.0, "neal1996.omega", to="torch.optim.SGD", run=square)
    assert there.value == digits(0.0075, rel=1e-15)


def test_fidelity_is_honest():
    """Each promise of the design stands where it holds, and only there."""

    def fidelity(number, source, target, run):
        return convert(number, source, to=target, run=run).fidelity

    plain = Run(lr=0.1, steps=100)
    cosine = Run(lr=0.1, steps=100, schedule=Schedule(shape="cosine"))
    momentum = Run(lr=0.1, steps=100, momentum=0.9)
    assert (
        fidelity(0.01, "torch.AdamW", "loshchilov2019.lambda", cosine) == "same-decay"
    )
    assert fidelity(0.01, "torch.AdamW", "optax.adamw", cosine) == "same-trajectory"
    assert fidelity(0.01, "torch.SGD", "torch.AdamW", plain) == "same-decay"
    assert fidelity(0.01, "torch.SGD", "torch.AdamW", momentum) == "approximate"
    assert fidelity(0.01, "torch.SGD", "torch.Adam", momentum) == "same-objective"
    assert fidelity(0.01, "torch.AdamW", "ASGD", cosine) == "same-total-decay"
    assert fidelity(0.01, "ASGD", "half-life", cosine) == "approximate"


def test_equal_total_decay_is_equal():
    """Where paths differ, what the run leaves is the same."""
    there = convert(0.5, "torch.AdamW", to="ASGD", run=WHOLE)
    both = [
        sum(-math.log1p(-shrink) for shrink in shrinks)
        for shrinks in (_adamw_shrinks(0.5), _asgd_shrinks(there.value))
    ]
    # 1e-11: three hundred logarithms, and a solver that stops at 4e-16.
    assert both[1] == digits(both[0], rel=1e-11)


def _lrs():
    return [0.01 * m for m in WHOLE.schedule.multipliers(300)]


def _adamw_shrinks(x):
    return [lr * x for lr in _lrs()]


def _asgd_shrinks(x):
    lrs = _lrs()
    late = [lr / (1 + 1e-4 * lr * t) ** 0.75 for t, lr in enumerate(lrs[:-1], 1)]
    return [(x + 1e-4) * step for step in (lrs[0], *late)]


def test_the_ends_of_what_floats_can_do_are_answered():
    """At an lr of 0 nothing decays; a step that takes all has no decay of an epoch."""
    still = Run(lr=0.0, momentum=0.9, steps=10, batch_size=10)
    there = convert(0.1, "MLPClassifier:sgd", to="half-life:steps", run=still)
    assert there.value == math.inf
    with pytest.raises(RangeError) as raised:
        convert(
            *(0.01, "half-life:steps"),
            to="shrink",
            run=FLAT,
            run_after=replace(FLAT, batch_size=40),
            keep="epoch",
        )
    assert raised.value.name == "shrink_per_step"
