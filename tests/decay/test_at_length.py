"""Long runs: a sum by a few nodes equals the sum over all steps."""

import math
import sys
import time
import tracemalloc
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import decay_by_hand, long_runs
from quick import combined
from strategies import log_uniform
from tolerance import digits

from dwindle.decay import long_runs as sums
from dwindle.decay.coordinates import (
    e_folds_from_number,
    has_shrink,
    number_from_e_folds,
)
from dwindle.decay.explain import explain
from dwindle.decay.families import FAMILIES, SGD
from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.decay.long_runs import increasing_root
from dwindle.decay.momentum import fastest_shrink, oscillation_limit
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import OscillationError, RangeError

SCHEDULES = (
    Schedule(),
    Schedule(warmup=0.1),
    Schedule(shape="linear"),
    Schedule(shape="linear", warmup=0.03, final=0.1),
    Schedule(shape="cosine"),
    Schedule(shape="cosine", warmup=0.1, final=0.05),
    Schedule(shape="wsd", warmup=0.01),
    Schedule(shape="wsd", final=0.2, decay_share=0.6),
)
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
KINDS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampened": {"momentum": 0.9, "dampening": 0.9},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
    "slow": {"momentum": 0.99},
}
WITHOUT_MEMORY = sorted(
    name
    for name, family in FAMILIES.items()
    if family.has_half_life and name != "coupled-sgd"
)
LONG = sums.LONGEST_WALK + 11


@cache
def multipliers(schedule):
    """Multipliers of the long run, each straight from its definition."""
    return [decay_by_hand.multiplier(schedule, t, LONG) for t in range(LONG)]


@each_schedule
def test_a_long_run_against_its_walk(schedule):
    """Without momentum, every family's e-folds are those of all its steps."""
    run = Run(lr=0.1, steps=LONG, schedule=schedule)
    for name, shrink in product(WITHOUT_MEMORY, (1e-12, 0.999)):
        family = FAMILIES[name]
        knob = shrink / 0.1 if "asgd" in name else family.knob_for_shrink(shrink, run)
        by_hand = path_sum(name, knob, run)
        # 1e-13: an fsum of logarithms of single steps, each rounded a few times.
        assert family.e_folds(knob, run) == digits(by_hand, rel=1e-13), name


def path_sum(name, knob, run):
    """Sum -log of what each step leaves, by the definition of the family."""
    lost, lr = [], run.lr
    extra = 1e-4 if name == "asgd" else 0.0
    slows = knob if name == "asgd-lambd" else extra
    late = multipliers(run.schedule)
    for step, m in enumerate(late):
        if name.startswith("asgd"):
            before = lr * late[max(step - 1, 0)]
            eta = before / (1 + slows * before * step) ** 0.75 if step else before
            lost.append(-math.log1p(-(knob + extra) * eta))
        elif name.startswith("proximal"):
            lost.append(math.log1p(knob * m * (lr if name == "proximal" else 1)))
        else:
            powers = {"decoupled": lr * m, "schedule-only": m, "constant": 1}
            lost.append(-math.log1p(-knob * powers.get(name, lr * m**2)))
    return math.fsum(lost)


@combined("kind schedule share", [*KINDS], SCHEDULES, [1e-9, 0.95], one_in=8)
def test_momentum_at_length_against_its_walk(kind, schedule, share):
    """The same with momentum, up to near the oscillation limit."""
    run = Run(lr=0.1, steps=LONG, schedule=schedule, **KINDS[kind])
    knob = share * oscillation_limit(run)
    if kind == "plain":
        knob = share / 0.1
    by_hand = sgd_sum(knob, run)
    # 1e-12: near the limit the roots are differences that lose a few digits.
    assert SGD.e_folds(knob, run) == digits(by_hand, rel=1e-12)


def sgd_sum(knob, run):
    """Sum -log of what each step of SGD leaves, buffer per unit of weight."""
    lost, buffer, keep = [], 0.0, 1.0
    for multiplier in multipliers(run.schedule):
        lr = run.lr * multiplier
        buffer = run.momentum * buffer + keep * knob
        push = knob + run.momentum * buffer if run.nesterov else buffer
        lost.append(-math.log1p(-lr * push))
        buffer /= 1 - lr * push
        keep = 1 - run.dampening if run.momentum else 1.0
    return math.fsum(lost)


@pytest.mark.parametrize("steps", [10**6, 10**9, 2 * 10**10])
@pytest.mark.parametrize("shrink", [0.3, 0.9])
def test_a_billion_steps_against_closed_forms(steps, shrink):
    """Constant, linear and cosine have closed forms at any length."""
    closed = {
        "constant": -steps * math.log1p(-shrink),
        "cosine": long_runs.lost_under_a_cosine(shrink, steps),
        "linear": long_runs.lost_under_a_line(shrink, steps),
    }
    for shape, by_hand in closed.items():
        run = Run(lr=1.0, steps=steps, schedule=Schedule(shape=shape))
        # 1e-12: the gamma functions differ by a tenth of their size.
        assert FAMILIES["decoupled"].e_folds(shrink, run) == digits(by_hand, rel=1e-12)


@combined("kind schedule", [*KINDS], SCHEDULES, one_in=6)
def test_e_folds_lead_back_at_length(kind, schedule):
    """The solver's number has the requested e-folds, at 10⁸ steps."""
    if kind == "slow" and schedule.warmup:
        schedule = replace(schedule, warmup=0.0)  # one stretch is enough of its time
    run = Run(lr=0.1, steps=10**8, schedule=schedule, **KINDS[kind])
    for family in (FAMILIES["coupled-sgd"], FAMILIES["corrected"]):
        knob = family.knob_for_e_folds(2.5, run)
        assert family.e_folds(knob, run) == digits(2.5, rel=1e-12)


def test_every_knob_is_quick_at_a_billion_steps():
    """Convert, explain and rescale do not list the steps of a long run."""
    run = Run(
        lr=1e-3,
        momentum=0.9,
        batch_size=1,
        dataset_size=10**8,
        steps=10**9,
        schedule=Schedule(shape="cosine", warmup=0.01),
    )
    names = ["torch.SGD", "torch.AdamW", "timm.adamc", "timm.adan", "tfa.AdamW"]
    names += ["torch.optim.ASGD:lambd", "loshchilov2019.lambda"]
    began, numbers = time.process_time(), {}
    for name in names:
        knob = resolve_knob(name)
        numbers[name] = number_from_e_folds(knob, 1.5, run)
        assert e_folds_from_number(knob, numbers[name], run) == digits(1.5, rel=1e-12)
    # Measured 0.7 s; a walk of one of them would take minutes.
    assert time.process_time() - began < 10
    # Tracing makes all of it eight times slower; a rescale takes the same sums, often.
    tracemalloc.start()
    for name, number in numbers.items():
        assert explain(number, name, run=run).e_folds == digits(1.5, rel=1e-12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    twice = replace(run, steps=2 * 10**9)
    for name in names[1:]:
        found = rescale(numbers[name], name, before=run, after=twice)
        assert found.unchanged.e_folds > 1.5
    assert peak < 50e6


def test_no_knob_finds_a_long_run_impossible():
    """Every knob with a shrink has e-folds, in an epoch of 10⁸ batches too."""
    run = Run(lr=1e-3, batch_size=1, dataset_size=10**8, epochs=2)
    for name, knob in KNOBS.items():
        if not has_shrink(knob) or knob.wants_clock:
            continue
        found = explain(1e7 if knob.clock else 1e-6, name, run=run)
        codes = {warning.code for warning in found.warnings}
        assert (found.kept is None) <= bool({"missing-fact"} & codes), name


def test_what_swings_is_walked_up_to_a_million_steps():
    """A weight that swings through zero has e-folds, or an error with the reason."""
    run = Run(lr=0.1, momentum=0.9, steps=40_000)
    knob = 2 * oscillation_limit(run)
    # Beyond the limit both roots have the size √μ; the phase adds a few e-folds.
    expected = -20_000 * math.log(0.9)
    assert SGD.e_folds(knob, run) == pytest.approx(expected, rel=1e-3)
    with pytest.raises(OscillationError) as swings:
        SGD.e_folds(knob, replace(run, steps=10**7))
    assert swings.value.value == knob
    strong = Run(lr=1.0, steps=40_001)
    assert FAMILIES["decoupled"].survival(2.0, strong) == -1.0
    with pytest.raises(RangeError) as raised:
        FAMILIES["decoupled"].survival(2.0, replace(strong, steps=10**7))
    assert (raised.value.name, raised.value.value) == ("shrink_per_step", 2.0)


def test_the_rule_for_sums_is_exact_for_polynomials():
    """Twenty nodes give the exact sum over many points of any power up to 39."""
    steps = 1000
    stretch = sums.Stretch(start=-500, stop=500, at=float)
    for power in (0, 2, 19, 38, 39):
        exact = sum(step**power for step in range(-500, 500)) / 500**power
        found = stretch.total(lambda step, power=power: (step / 500) ** power)
        assert found == pytest.approx(exact, rel=1e-12, abs=1e-12 * steps)


def test_steps_that_no_float_counts_are_summed_too():
    """At 10¹⁷ steps the nodes are rounded; the sum is that of the mean rate."""
    schedule = Schedule(shape="wsd", warmup=0.5, decay_share=1e-9)
    run = Run(lr=1.0, steps=10**17, schedule=schedule)
    found = FAMILIES["decoupled"].e_folds(1e-18, run)
    assert found == digits(0.1 * 0.75, rel=1e-8)  # and the fall, half of 1e-9


def test_more_than_the_fastest_decay_is_refused_at_once():
    """No constant number decays faster than where momentum begins to swing."""
    run = Run(lr=0.1, momentum=0.99, steps=10**9)
    with pytest.raises(OscillationError) as raised:
        FAMILIES["coupled-sgd"].knob_for_e_folds(1e8, run)
    assert raised.value.limit == digits(1 - 0.99**0.5, rel=1e-12)


def test_a_long_run_ends_where_momentum_forgets_too_slowly():
    """Near the oscillation limit a sum is refused, and beyond it the inverse."""
    run = Run(lr=0.1, momentum=0.9, steps=10**7, schedule=Schedule(shape="linear"))
    with pytest.raises(RangeError) as raised:
        SGD.e_folds(0.99999 * oscillation_limit(run), run)
    assert (raised.value.name, raised.value.value) == ("steps", 10**7)
    # Under a line the average of so fast a decay is beyond the limit at the peak, in a
    # run of any length.
    fastest, shorter = -math.log1p(-fastest_shrink(run)), replace(run, steps=10**4)
    with pytest.raises(RangeError) as raised:
        SGD.knob_for_e_folds(0.9 * fastest * 10**4, shorter)
    assert raised.value.name == "e_folds"


def test_what_falls_at_once_is_not_missed():
    """A single decaying step of a billion is far from the first node of a sum."""
    first = Schedule(shape="exponential", gamma=1e-300, period="1 step")
    peak, last = first.rates(10**9), Schedule(shape="linear from 0%").rates(10**9)
    assert peak.total(float) == pytest.approx(1, rel=1e-12)
    # A share to the power of 10⁸ has fallen to 1/e after ten steps.
    late = last.map(lambda share: share ** (10**8))
    exact = -1 / math.expm1(-0.1) - 1
    assert late.total(float) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("shape", ["cosine", "wsd", "linear", "one-cycle"])
def test_numbers_too_small_to_be_smooth_are_summed_at_once(shape):
    """Rounding makes such numbers rough at every length: the halving must end."""
    shares = []

    def tiny(share):
        shares.append(share)
        return share * 1e-300 * 1e-15

    steps = 10**18
    total = Schedule(shape=shape).rates(steps).total(tiny)
    exact = Schedule(shape=shape).rates(steps).total(float)
    assert total == pytest.approx(1e-300 * 1e-15 * exact, rel=1e-6)
    assert len(shares) < 100_000


def test_rows_of_lrs_over_a_long_run_are_summed_as_they_are():
    """Rows with jumps between them are separate stretches, and their sum is exact."""
    rows = tuple(1 + number % 7 for number in range(23))
    listed = Schedule(shape="listed", lrs=rows).rates(23 * 10**7 + 5)
    by_hand = sum(rows) / 7 * 10**7
    assert listed.total(float) == pytest.approx(by_hand, abs=5)
    assert len(listed.stretches) == len(rows)


def test_a_long_memory_is_refused_with_a_remedy_and_at_once():
    """A buffer that forgets after 10¹⁷ steps is refused, not computed."""
    facts = {"lr": 1e-300, "steps": 10**18, "schedule": "cosine"}
    with pytest.raises(RangeError) as raised:
        e_folds_from_number(
            resolve_knob("torch.optim.SGD"), 1e-15, Run(momentum=1 - 1e-16, **facts)
        )
    assert raised.value.name == "momentum"


ROOTS = {
    "a pole, beyond which inf is no obstacle": (
        lambda x: -math.log1p(-x) if x < 1 else math.inf,
        lambda y: -math.expm1(-y),
    ),
    # Every secant falls short, by up to thirteen magnitudes.
    "it flattens": (math.log1p, math.expm1),
    "power 0.2": (lambda x: x**0.2, lambda y: y**5),
    "power 5": (lambda x: x**5, lambda y: y**0.2),
}


@given(st.sampled_from([*ROOTS]), log_uniform(1e-6, 20), log_uniform(1e-3, 1e3))
def test_a_root_is_found_from_any_guess(kind, target, off):
    """For flat and steep functions, from guesses up to a thousand times off."""
    function, inverse = ROOTS[kind]
    exact = inverse(target)
    guess = min(exact * off, 0.999) if "pole" in kind else exact * off
    found = increasing_root(function, target, guess=guess, ceiling=math.inf)
    # It stops where secants move the argument by two units of a double: near the pole
    # these alone change the value by more than 1e-13.
    units = function(found) - function(found * (1 - 2 * sys.float_info.epsilon))
    assert abs(function(found) - target) <= 1e-13 * target + units
    assert found == digits(exact, rel=1e-12)


def test_it_needs_few_evaluations():
    """A nearly proportional function needs at most four evaluations."""
    tried = []

    def e_folds(knob):
        tried.append(knob)
        return -1000 * math.log1p(-knob)

    increasing_root(e_folds, 5.0, guess=5e-3, ceiling=1.0)
    assert len(tried) <= 4


def test_a_jump_over_the_target_is_refused():
    """Where no float gives the target, there is an error."""
    with pytest.raises(RangeError) as raised:
        increasing_root(
            lambda x: x if x < 1 else math.inf, 5.0, guess=0.5, ceiling=math.inf
        )
    assert (raised.value.name, raised.value.value) == ("e_folds", 5.0)
