"""Convert: every ordered pair of knobs keeps what its fidelity promises."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from oracle import knob_paths, objectives
from oracle.knob_kinds import kinds, pairs_of
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.coordinates import has_shrink
from dwindle.decay.families import FAMILIES, has_no_rate
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RefusedError

NAMES = sorted(set(KNOBS) - {"half-life"})
KINDS = kinds(knobs())
FACTS = {"batch_size": 8, "dataset_size": 64, "epochs": 5, "units": (6, 6, 6)}
RUNS = {
    "constant": Run(lr=0.05, momentum=0.0, tokens_per_example=3, **FACTS),
    "cosine": Run(
        lr=0.05,
        momentum=0.0,
        tokens_per_example=3,
        schedule=Schedule(shape="cosine", warmup=0.1),
        **FACTS,
    ),
    "momentum": Run(
        lr=0.02,
        momentum=0.9,
        dampening=0.2,
        nesterov=False,
        tokens_per_example=3,
        schedule=Schedule(shape="linear", final=0.1),
        **FACTS,
    ),
}


def number_for(name):
    """Numbers that make a shrink of a thousandth or so."""
    knob = KNOBS[name]
    if knob.clock is None:
        return {"shrink": 1e-3}.get(name, 0.01)
    return {
        "steps": 700.0,
        "examples": 5e3,
        "tokens": 2e4,
        "epochs": 80.0,
        "run": 20.0,
    }[knob.clock]


def run_for(source, target, run_name):
    """The run, with momentum facts that one of the two optimizers can have."""
    run = RUNS[run_name]
    options = [KNOBS[name].options for name in (source, target)]
    if any(each.needs_momentum for each in options) and not run.momentum:
        run = replace(run, momentum=0.5)
    if any(each.dampening_is_flag for each in options) and run.dampening:
        run = replace(run, dampening=run.momentum)
    for fact in ("dampening", "momentum"):
        if all(getattr(each, fact) is None for each in options):
            run = replace(run, **{fact: 0.0})
    return run


@cache
def attempt(source, target, run_name):
    """A conversion, or the refusal; any other error is a failure of the test."""
    run = run_for(source, target, run_name)
    try:
        return convert(number_for(source), source, to=target, run=run)
    except RefusedError as refusal:
        return refusal


def each_under(names, *, every):
    """Every pair of kinds under every case, or every second one under one of them."""
    for at, name in enumerate(names):
        for pair in pairs_of(KINDS, one_in=1 if every else 2 * len(names), at=at):
            yield *pair, name


EVERY = pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=pytest.mark.full)]
)


@EVERY
def test_a_conversion_keeps_what_it_promises(every):
    """Same trajectory, same objective, same total: each by loops that know no inverse.

    An approximation keeps the shrink at the peak lr, once momentum has settled.
    """
    for source, target, run_name in each_under(RUNS, every=every):
        found = attempt(source, target, run_name)
        if not isinstance(found, RefusedError):
            run = run_for(source, target, run_name)
            HOLDS[found.fidelity](found, KNOBS[source], KNOBS[target], run)


def same_trajectory(found, source, target, run):
    if source == target:
        # Also of what has no path, such as a bare penalty.
        assert found.value == digits(found.value_from, rel=1e-12)
        return
    if source.penalty and target.penalty:
        same_objective(found, source, target, run)
    if found.coordinate == "number":
        assert found.value == found.value_from
    if not has_shrink(source):
        return
    ways = [
        knob_paths.path(knob, x, run)
        for knob, x in ((source, found.value_from), (target, found.value))
    ]
    assert ways[1] == digits(ways[0], rel=1e-12)  # 40 products, rounded at 1e-16


def same_decay(found, source, target, run):
    """Every step takes off as much; the optimizers' own updates may differ."""
    assert found.value_from != found.value or source != target
    same_trajectory(found, source, target, run)


def same_objective(found, source, target, run):
    """λ of every layer, as a loop over each written objective has it."""
    facts = (run.units, run.dataset_size, run.batch_size)
    wanted = objectives.canonical_penalties(source.penalty, found.value_from, *facts)
    number = found.value
    assert number is not None  # all layers of this net are alike
    layers = objectives.canonical_penalties(target.penalty, number, *facts)
    # 1e-12: sums over dozens of weights; ASGD's 1e-4 costs two digits.
    assert layers == digits(wanted, rel=1e-12)


def same_total(found, source, target, run):
    left = [
        knob_paths.path(knob, x, run)[-1]
        for knob, x in ((source, found.value_from), (target, found.value))
    ]
    # 1e-12: a solver that stops at 4e-16, and forty products on both sides.
    assert left[1] == digits(left[0], rel=1e-12)


def approximate(found, source, target, run):
    if found.coordinate == "penalty":  # of the squares; an L1 term is left out
        same_objective(found, source, target, run)
        return
    rates = [
        peak_rate(knob, x, run)
        for knob, x in ((source, found.value_from), (target, found.value))
    ]
    assert rates[1] == digits(rates[0], rel=1e-9)  # measured as differences near 1e-3


def peak_rate(knob, x, run):
    """The shrink of a step at the peak lr; of a late one where there is momentum."""
    if knob.family == "coupled-sgd" and knob.options.momentum is not None:
        dampening = run.dampening if knob.options.dampening is not None else 0.0
        own = replace(run, dampening=dampening)
        return knob_paths.sgd_rate(knob_paths.read_by_family(knob, x, run), own)
    flat = replace(run, schedule=Schedule())
    return 1 - knob_paths.path(knob, x, flat)[1]


HOLDS = {
    "same-decay": same_decay,
    "same-trajectory": same_trajectory,
    "same-objective": same_objective,
    "same-total-decay": same_total,
    "approximate": approximate,
}


CHANGES = {
    "lr": {"lr": 0.02},
    "batch": {"batch_size": 16, "epochs": 10},
    "length": {"epochs": 10},
    "schedule": {"schedule": Schedule(shape="linear")},
    "warm-up": {"schedule": Schedule(warmup=0.4)},
    "format": {"dtype": "bfloat16"},
    "lr and schedule": {"lr": 0.02, "schedule": Schedule(shape="cosine")},
}


@EVERY
def test_a_change_between_the_sides_keeps_what_is_promised(every):
    """Each side by loops under its own run: equal steps, an equal end, or neither."""
    for source, target, change in each_under(CHANGES, every=every):
        before = run_for(source, target, "constant")
        after = replace(before, **CHANGES[change])
        try:
            found = convert(
                number_for(source), source, to=target, run=before, run_after=after
            )
        except RefusedError:
            continue
        sides = ((source, found.value_from, before), (target, found.value, after))
        if found.fidelity in {"same-decay", "same-trajectory", "same-total-decay"}:
            paths = [knob_paths.path(KNOBS[name], x, run) for name, x, run in sides]
            last = found.fidelity == "same-total-decay"
            wanted, there = (path[-1:] if last else path for path in paths)
            assert there == digits(wanted, rel=1e-12)  # forty products, and a solver


def test_all_promises_are_met_somewhere():
    """No fidelity is empty, and refusals are not the rule."""
    outcomes = Counter(
        "refused" if isinstance(found, RefusedError) else found.fidelity
        for case in each_under(RUNS, every=False)
        for found in [attempt(*case)]
    )
    assert set(outcomes) == {*HOLDS, "refused"}
    assert outcomes["refused"] < outcomes.total() / 2


def test_what_has_no_rate_is_refused_by_its_own_reason():
    """Both ways between such a knob and a half-life, the text is about that knob."""
    wrong = []
    for name in filter(lambda name: has_no_rate(KNOBS[name]), NAMES):
        reason = FAMILIES[KNOBS[name].family].reason(name, KNOBS[name])
        for pair in ((name, "half-life:steps"), ("half-life:steps", name)):
            refusal = attempt(*pair, "constant")
            if not (isinstance(refusal, RefusedError) and refusal.why == reason):
                wrong.append((pair, refusal))
    assert not wrong
