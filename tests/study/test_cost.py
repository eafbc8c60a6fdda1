"""The time that is left: right within 30 % when a quarter of the work is done."""

import heapq
import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from study.tiny import SPEC

from dwindle.answer.studies import ADAMW, LAYER_MEAN, SGD
from dwindle.store.records import Scale, Trial
from dwindle.study.cost import Estimate, cost_of
from dwindle.study.driver import first_packs

RECORDED = json.loads(Path(__file__).with_name("recorded_packs.json").read_text())
QUARTER, TOLERANCE = 0.25, 0.3
SPREAD = 0.1  # packs of one shape differed by 5 to 10 % when they were recorded


def recorded_packs(optimizer):
    """(cost by the model, seconds as measured) of each pack of a real study."""
    for models, *numbers, seconds in RECORDED[optimizer]:
        names = RECORDED["columns"][1:-1]
        scale = Scale(**dict(zip(names, numbers, strict=True)))
        trial = Trial(
            problem="digits-mlp",
            optimizer=SPEC.optimizer,
            scale=scale,
            normalization="none",
            weight_decay=0.0,
            seed=0,
        )
        units = [64, *[scale.width] * scale.depth, 10]
        layers = list(pairwise(units))
        yield cost_of([trial] * models, layers), seconds


def estimates(packs, workers):
    """(share of the time gone, seconds said to be left, seconds left) at each pack.

    Workers take the packs in the plan's order, the costliest first, as in a study.
    """
    idle, done = [0.0] * workers, []
    for cost, seconds in sorted(packs, reverse=True):
        end = heapq.heappop(idle) + seconds
        heapq.heappush(idle, end)
        done.append((end, cost, seconds))
    done.sort()
    total = done[-1][0]
    estimate = Estimate(planned=sum(cost for _, cost, _ in done), workers=workers)
    for now, cost, seconds in done:
        estimate = replace(
            estimate, done=estimate.done + cost, worked=estimate.worked + seconds
        )
        yield now / total, estimate.seconds_left(now), total - now


def error_at_a_quarter(packs, workers):
    """By which fraction the time left is wrong when a quarter of the time is gone."""
    at_each = list(estimates(packs, workers))
    _, said, true = min(at_each, key=lambda told: abs(told[0] - QUARTER))
    return said / true - 1


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_time_left_of_a_real_study(optimizer, workers):
    """With the seconds that packs really took the estimate is right at a quarter."""
    packs = list(recorded_packs(optimizer))
    assert abs(error_at_a_quarter(packs, workers)) < TOLERANCE


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(
    "study", [SGD, ADAMW, LAYER_MEAN], ids=["sgd", "adamw", "mean"]
)
def test_the_time_left_on_another_machine(study, workers):
    """On machines of any speed, the usual noise by pack does not hide the rest."""
    planned = first_packs(study, workers=1, memory_bytes=10**9)
    for chance in range(40):
        noise = random.Random(chance)  # noqa: S311, no secret
        slowness = noise.uniform(0.2, 50)
        packs = [
            (pack.cost, pack.cost * slowness * noise.lognormvariate(0, SPREAD))
            for pack in planned
        ]
        assert abs(error_at_a_quarter(packs, workers)) < TOLERANCE


def test_an_estimate_needs_a_measurement():
    """Before the first pack is done nothing is said about the time left."""
    assert Estimate(planned=1.0, workers=2).seconds_left(5.0) is None
    assert Estimate(planned=0.0, workers=2).share_done == 1


def test_work_of_an_earlier_session_is_not_to_do():
    """Resumed, a study expects only what is left, at the speed measured now."""
    estimate = Estimate(
        planned=10.0, workers=2, done=2.0, skipped=6.0, worked=4.0, began=100.0
    )
    # Two units of cost left, each at two seconds, on two workers.
    assert estimate.seconds_left(102.0) == 2.0
    assert estimate.share_done == 0.8


def test_packs_in_flight_are_partly_done():
    """What workers have spent since their last finished pack is no longer to do."""
    estimate = Estimate(planned=4.0, workers=2, done=1.0, worked=1.0, began=0.0)
    assert estimate.seconds_left(1.0) == 1.0  # 3 to do, 1 of them spent, 2 workers
    assert estimate.seconds_left(60.0) == 0.0  # never below nothing
