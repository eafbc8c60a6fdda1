"""Convert over all pairs and triples of kinds of knobs: there and back, by any way."""

import math
from functools import cache

import pytest
from oracle.knob_kinds import kinds

from dwindle.decay.convert import convert
from dwindle.decay.knobs import knobs
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
)

NAMES = kinds(knobs())
RUNS = {
    "constant": Run(
        lr=0.1,
        batch_size=20,
        dataset_size=600,
        epochs=1,
        tokens_per_example=7,
        units=(6, 6, 6),
    ),
    "momentum": Run(
        lr=0.01,
        momentum=0.9,
        dampening=0.3,
        schedule=Schedule(shape="cosine", warmup=0.1),
        batch_size=7,
        dataset_size=96,
        epochs=2,
        tokens_per_example=512,
        units=(4, 9, 3),
    ),
    "nesterov": Run(
        lr=0.05,
        momentum=0.8,
        nesterov=True,
        schedule=Schedule(shape="linear", final=0.1),
        batch_size=8,
        dataset_size=64,
        epochs=4,
        tokens_per_example=1,
        units=(5, 5),
    ),
}
# How much a knob is turned up: all of these are shrinks of a thousandth or so.
USUAL = {
    "half-life:steps": 900.0,
    "half-life:examples": 2e4,
    "half-life:epochs": 40.0,
    "half-life:tokens": 1e6,
    "half-life:run": 25.0,
    "shrink": 1e-3,
    "wang-aitchison2024.tau-epoch": 60.0,
    "bergsma2025.tau": 40.0,
}
# Every leg rounds some ten times at 1e-16; ASGD's 1e-4 costs two digits of 1e-2.
CLOSE = 1e-12


@cache
def attempt(number, source, target, run_name):
    """A conversion to one number, or None where there is none."""
    try:
        there = convert(number, source, to=target, run=RUNS[run_name])
    except (RefusedError, MissingFactError, OscillationError, RangeError):
        return None
    return None if there.value is None else there


def start(name):
    return USUAL.get(name, 2e-2)


@pytest.mark.full  # sampled pairs are in test_convert
@pytest.mark.parametrize("run_name", RUNS)
def test_every_pair_that_converts_converts_back(run_name):
    """There and back gives the number again to 1e-12, for every pair of kinds."""
    pairs = 0
    for source in NAMES:
        for target in NAMES:
            there = attempt(start(source), source, target, run_name)
            if there is None:
                continue
            back = convert(there.value, target, to=source, run=RUNS[run_name])
            assert math.isclose(back.value, start(source), rel_tol=CLOSE), (
                source,
                target,
            )
            pairs += 1
    assert pairs > len(NAMES) ** 2 / 3  # two coordinates, so a good part of all


@pytest.mark.full  # sampled triples are in test_convert
@pytest.mark.parametrize("run_name", RUNS)
def test_the_way_makes_no_difference_for_any_triple(run_name):
    """A to B to C is A to C to 1e-12, for every triple within one coordinate."""
    triples = 0
    for first in NAMES:
        for second in NAMES:
            half_way = attempt(start(first), first, second, run_name)
            if half_way is not None:
                triples += _thirds(first, half_way, run_name)
    # Some optimizers have no dampening: with it they convert to none of their kind.
    assert triples > len(NAMES) ** 3 / 10


def _thirds(first, half_way, run_name):
    """Count the knobs that a conversion goes on to, all of them consistently."""
    found = 0
    for third in NAMES:
        straight = attempt(start(first), first, third, run_name)
        if straight is None or straight.coordinate != half_way.coordinate:
            continue
        onward = attempt(half_way.value, half_way.to, third, run_name)
        if onward is None or onward.coordinate != straight.coordinate:
            continue
        way = (first, half_way.to, third)
        assert math.isclose(onward.value, straight.value, rel_tol=CLOSE), way
        found += 1
    return found
