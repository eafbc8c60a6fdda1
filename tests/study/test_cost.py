"""The time left is right within 30 %; packs keep below what the machine has."""

import heapq
import json
import os
import random
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.tiny import SPEC
from torch.profiler import ProfilerActivity, profile

from dwindle.answer import studies
from dwindle.errors import RangeError
from dwindle.store.records import Optimizer, Scale
from dwindle.study import machine
from dwindle.study.cost import Estimate, cost_of, pack_bytes, pack_size
from dwindle.study.driver import first_packs
from dwindle.study.engine import train_pack
from dwindle.study.problems import load_once, problem

RECORDED = json.loads(Path(__file__).with_name("recorded_packs.json").read_text())
QUARTER, TOLERANCE = 0.25, 0.3
SPREAD = 0.1  # packs of one shape differed by 5 to 10 % when they were recorded
DIGITS = problem("digits-mlp")
SGD = Optimizer(name="sgd", momentum=0.9)
PLENTY = 1 << 40
SCALE = Scale(width=64, depth=2, batch_size=32, dataset_size=600, epochs=0.1, lr=0.05)


def recorded_packs(optimizer):
    """(cost by the model, seconds as measured) of each pack of a real study."""
    for models, *numbers, seconds in RECORDED[optimizer]:
        names = RECORDED["columns"][1:-1]
        scale = Scale(**dict(zip(names, numbers, strict=True)))
        trial = SPEC.trial(scale, 0.0, 0)
        layers = DIGITS.facts.layer_shapes(scale)
        yield cost_of([trial] * models, layers), seconds


def error_at_a_quarter(packs, workers):
    """By which fraction the time left is wrong when a quarter of the time is gone.

    Workers take the packs in the plan's order, the costliest first, as in a study.
    """
    idle, done = [0.0] * workers, []
    for cost, seconds in sorted(packs, reverse=True):
        end = heapq.heappop(idle) + seconds
        heapq.heappush(idle, end)
        done.append((end, cost, seconds))
    done.sort()
    total = done[-1][0]
    estimate, at_each = (
        Estimate(planned=sum(c for _, c, _ in done), workers=workers),
        [],
    )
    for now, cost, seconds in done:
        so_far = {"done": estimate.done + cost, "worked": estimate.worked + seconds}
        estimate = replace(estimate, **so_far)
        at_each.append((now, estimate.seconds_left(now)))
    now, left = min(at_each, key=lambda at: abs(at[0] / total - QUARTER))
    return left / (total - now) - 1


def test_the_time_left_of_a_real_study():
    """With the seconds that packs really took the estimate is right at a quarter."""
    for optimizer in ("sgd", "adamw"):
        packs = list(recorded_packs(optimizer))
        errors = [error_at_a_quarter(packs, workers) for workers in (1, 2, 4)]
        assert max(map(abs, errors)) < TOLERANCE, (optimizer, errors)


FULL = pytest.mark.full


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=FULL), 4])
@pytest.mark.parametrize(
    "study", ["SGD", *(pytest.param(n, marks=FULL) for n in ("ADAMW", "LAYER_MEAN"))]
)
def test_the_time_left_on_another_machine(study, workers):
    """On machines of any speed, the usual noise by pack does not hide the rest."""
    spec = getattr(studies, study)
    planned = first_packs(spec, workers=1, memory_bytes=10**9)
    for chance in range(40):
        noise = random.Random(chance)  # noqa: S311, no secret
        slowness = noise.uniform(0.2, 50)
        packs = [
            (pack.cost, pack.cost * slowness * noise.lognormvariate(0, SPREAD))
            for pack in planned
        ]
        assert abs(error_at_a_quarter(packs, workers)) < TOLERANCE


def test_the_time_left_by_hand():
    """What is left at the speed measured now, less what workers have spent since."""
    fresh = Estimate(planned=1.0, workers=2)
    assert (fresh.seconds_left(5.0), fresh.share_done) == (None, 0)
    assert Estimate(planned=0.0, workers=2).share_done == 1
    resumed = Estimate(
        planned=10.0, workers=2, done=2.0, skipped=6.0, worked=4.0, began=100.0
    )
    # Two units of cost left, each at two seconds, on two workers.
    assert (resumed.seconds_left(102.0), resumed.share_done) == (2.0, 0.8)
    in_flight = Estimate(planned=4.0, workers=2, done=1.0, worked=1.0)
    assert in_flight.seconds_left(1.0) == 1.0  # 3 to do, 1 of them spent, 2 workers
    assert in_flight.seconds_left(60.0) == 0.0  # never below nothing


@given(
    st.integers(1, 2000), st.integers(0, 8), st.sampled_from(["sgd", "adamw", "adam"])
)
def test_packs_shrink_as_networks_grow(width, depth, name):
    """Wider networks never get larger packs, and every pack has a model."""
    options, scale = replace(SGD, name=name), replace(SCALE, width=width, depth=depth)
    size = pack_size(scale, DIGITS, options, PLENTY)
    wider = replace(scale, width=width + 50)
    assert 1 <= pack_size(wider, DIGITS, options, PLENTY) <= size
    # Where a pack would leave the cache, models train one by one.
    wide = replace(SCALE, width=512, depth=max(depth, 2))
    assert pack_size(wide, DIGITS, options, PLENTY) == 1


@given(st.integers(1, 600), st.integers(1, 600), st.floats(0.01, 1))
def test_a_ceiling_is_kept(width, batch_size, share):
    """A pack sized for a ceiling has an estimate below it; a model has to fit."""
    scale = replace(SCALE, width=width, batch_size=batch_size)
    free = pack_size(scale, DIGITS, SGD, PLENTY)
    one, all_of_them = (
        pack_bytes(scale, DIGITS, SGD, models=models) for models in (1, free)
    )
    ceiling = int(one + share * (all_of_them - one))
    models = pack_size(scale, DIGITS, SGD, ceiling)
    assert pack_bytes(scale, DIGITS, SGD, models=models) <= ceiling
    with pytest.raises(RangeError) as refused:
        pack_size(scale, DIGITS, SGD, one - 1)
    assert f"{one:,} bytes" in refused.value.must


@pytest.mark.parametrize(("width", "name"), [(8, "sgd"), (64, "adamw"), (256, "sgd")])
def test_the_estimate_is_an_upper_bound(width, name):
    """What the engine really allocates is less than the estimate, and not far less."""
    scale = replace(SCALE, width=width)
    options = replace(SGD, name=name)
    spec = replace(SPEC, optimizer=options)
    trials = [spec.trial(scale, 0.01, seed) for seed in range(4)]
    load_once(DIGITS)
    # The most that tensors took at once beyond what was there before.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        train_pack(trials, problem=DIGITS)
    events = seen.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    peak = max(accumulate(changes))
    estimate = pack_bytes(scale, DIGITS, options, models=4)
    # A third: the estimate counts the worst moment of each buffer at once.
    assert estimate / 3 < peak <= estimate


def test_this_machine_has_cores_and_memory():
    """There is at least one core, and more memory than a small study needs."""
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    assert machine.free_memory_bytes() > 2**20
    assert f"{machine.cores()} cores" in machine.description()


def test_a_container_has_what_its_limit_leaves(tmp_path, monkeypatch):
    """A limit of the container's own counts, and no limit is none."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    whole = machine.free_memory_bytes()
    found = []
    for limit, used in (("1000", "300"), ("1000", "1200"), ("max", "5")):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        found.append(machine.free_memory_bytes())
    assert found[:2] == [700, 0]
    assert found[2] > whole / 2  # other programs come and go meanwhile


def test_a_system_without_linux_files_has_a_description(tmp_path, monkeypatch):
    """Where nothing is read of the processor there is still a line about it."""
    monkeypatch.setattr(machine, "_CPUINFO", Path(tmp_path / "nowhere"))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.processor("model name") == ()
    assert machine.cores() == os.cpu_count()
    assert f"{os.cpu_count()} cores" in machine.description()
