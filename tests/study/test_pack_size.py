"""Packs are sized to the cache and never above their memory ceiling."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer, Scale, Trial
from dwindle.study.engine import train_pack
from dwindle.study.pack_size import pack_bytes, pack_size
from dwindle.study.problems import load_once, problem

DIGITS = problem("digits-mlp")
SGD = Optimizer(name="sgd", momentum=0.9)
PLENTY = 1 << 40
SCALE = Scale(width=64, depth=2, batch_size=32, dataset_size=600, epochs=0.1, lr=0.05)


def _peak_bytes(work):
    """Return the most that tensors took at once beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    held = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@given(
    st.integers(1, 2000), st.integers(0, 8), st.sampled_from(["sgd", "adamw", "adam"])
)
def test_packs_shrink_as_networks_grow(width, depth, name):
    """Wider networks never get larger packs, and every pack has a model."""
    options, scale = replace(SGD, name=name), replace(SCALE, width=width, depth=depth)
    size = pack_size(scale, DIGITS, options, PLENTY)
    wider = replace(scale, width=width + 50)
    assert 1 <= pack_size(wider, DIGITS, options, PLENTY) <= size


@pytest.mark.parametrize("width", [512, 1024])
def test_wide_networks_train_one_by_one(width):
    """Where a pack would leave the cache, models train one by one."""
    assert pack_size(replace(SCALE, width=width), DIGITS, SGD, PLENTY) == 1


@given(st.integers(1, 600), st.integers(1, 600), st.floats(0.01, 1))
def test_a_ceiling_is_kept(width, batch_size, share):
    """A pack sized for a ceiling has an estimate below it."""
    scale = replace(SCALE, width=width, batch_size=batch_size)
    free = pack_size(scale, DIGITS, SGD, PLENTY)
    one, all_of_them = (
        pack_bytes(scale, DIGITS, SGD, models=models) for models in (1, free)
    )
    ceiling = int(one + share * (all_of_them - one))
    models = pack_size(scale, DIGITS, SGD, ceiling)
    assert pack_bytes(scale, DIGITS, SGD, models=models) <= ceiling


def test_a_ceiling_below_one_model_is_refused():
    """If not even one model fits, the error says what one takes."""
    need = pack_bytes(SCALE, DIGITS, SGD, models=1)
    with pytest.raises(RangeError, match=rf"at least {need:,} bytes.*Got 1,000 bytes"):
        pack_size(SCALE, DIGITS, SGD, 1000)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("width", [8, 64, 256])
def test_the_estimate_is_an_upper_bound(width, name):
    """What the engine really allocates is less than the estimate, and not far less."""
    scale = replace(SCALE, width=width)
    options = replace(SGD, name=name)
    trials = [
        Trial(
            problem="digits-mlp",
            optimizer=options,
            scale=scale,
            normalization="none",
            weight_decay=0.01,
            seed=seed,
        )
        for seed in range(4)
    ]
    load_once(DIGITS)
    peak = _peak_bytes(lambda: train_pack(trials, problem=DIGITS))
    estimate = pack_bytes(scale, DIGITS, options, models=4)
    # A third: the estimate counts the worst moment of each buffer at once.
    assert estimate / 3 < peak <= estimate
