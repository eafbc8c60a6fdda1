"""Compiled steps are the stacked ones, for shapes of all kinds, and can be absent.

That both are the steps of autograd and torch.optim is shown by ``test_engine``.
"""

import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dwindle.store.records import Optimizer
from dwindle.study import compiled
from dwindle.study.compiled import CompiledSteps
from dwindle.study.models import Layout, Models, Samples
from dwindle.study.stacked import StackedSteps

OPTIMIZERS = {
    "sgd": Optimizer(name="sgd"),
    "momentum": Optimizer(name="sgd", momentum=0.9, dampening=0.2),
    "nesterov": Optimizer(name="sgd", momentum=0.9, nesterov=True),
    "adamw": Optimizer(name="adamw", betas=(0.9, 0.99), eps=1e-3),
    "adam": Optimizer(name="adam", betas=(0.8, 0.95), eps=1e-3),
}
MODELS = 3
GROUPS = (slice(0, 1), slice(1, 3))


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request):
    return getattr(torch, request.param)


def fast_steps(pack, *arguments):
    """Return compiled steps; on a machine without a C compiler, what it trains with."""
    code = compiled.compiled_steps(str(pack.layout.dtype).removeprefix("torch."))
    if code is None:
        return StackedSteps(pack, *arguments)
    return CompiledSteps(code, pack, *arguments)


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """Compile into an empty folder, and forget what was loaded before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.compiled_steps.cache_clear()
    yield tmp_path
    compiled.compiled_steps.cache_clear()


def random_pack(units, dtype, *, layer_norm=False):
    generator = torch.Generator().manual_seed(sum(units))
    layout = Layout(tuple(pairwise(units)), MODELS, dtype, layer_norm=layer_norm)
    weights = layout.zeros()
    for w in weights:
        w.copy_(torch.randn(w.shape, generator=generator) * 0.4)
    decays = torch.rand(len(units) - 1, MODELS, generator=generator).double() * 0.1
    ratios = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    return Models(layout, weights, decays, ratios)


def random_samples(layout, count):
    generator = np.random.default_rng(count)
    inputs, classes = layout.shapes[0][0], layout.shapes[-1][1]
    return [
        Samples(
            layout,
            generator.standard_normal((count, inputs)).astype(np.float32),
            generator.integers(classes, size=count),
        )
        for _ in GROUPS
    ]


def two_epochs(steps, count, batch_size):
    """Train an epoch and a part of another; return the losses of both."""
    batches = -(-count // batch_size)
    lrs = [0.05 / (1 + i) for i in range(2 * batches)][: batches + batches // 2 + 1]
    sums = []
    for epoch, first in enumerate(range(0, len(lrs), batches)):
        orders = [
            np.random.default_rng([epoch, group]).permutation(count)
            for group in range(len(GROUPS))
        ]
        part = lrs[first : first + batches]
        sums.append(steps.epoch(orders, first, part).double().clone())
    steps.finish()
    return torch.cat(sums)


UNITS = st.lists(st.integers(1, 40), min_size=2, max_size=5)


@settings(max_examples=40)
@given(
    units=UNITS,
    count=st.integers(1, 40),
    batch_size=st.integers(1, 40),
    options=st.sampled_from(sorted(OPTIMIZERS)),
    layer_norm=st.booleans(),
)
def test_same_steps_for_every_shape(  # noqa: PLR0913, PLR0917 # Hypothesis names them
    dtype, units, count, batch_size, options, layer_norm
):
    """Units, batches and depths that fill no vector: losses and weights agree."""
    batch_size = min(batch_size, count)
    ends = []
    # Of one unit a LayerNorm leaves 0, of two a sign: rounding would decide their ReLU.
    layer_norm = layer_norm and min(units[1:-1], default=3) > 2
    for fast in (True, False):
        pack = random_pack(units, dtype, layer_norm=layer_norm)
        samples = random_samples(pack.layout, count)
        groups = list(zip(GROUPS, samples, strict=True))
        steps_of = fast_steps if fast else StackedSteps
        steps = steps_of(pack, OPTIMIZERS[options], groups, batch_size)
        sums = two_epochs(steps, count, batch_size)
        ends.append([sums, *(w.double() for w in pack.weights)])
    # A few hundred operations on numbers of order 1 (losses: of order 100) in seven or
    # sixteen digits. A ReLU within rounding of its kink would break this in float32;
    # random inputs make that a matter of 1e-4 per example.
    tolerance = 1e-10 if dtype == torch.float64 else 2e-3
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("steps_of", [fast_steps, StackedSteps])
def test_an_overflow_stays_and_huge_logits_are_none(dtype, steps_of):
    """Infinite weights have a loss that is no number, in every epoch; 1e6 has one."""
    for huge in (1e6, math.inf):
        pack = random_pack((5, 4, 3), dtype)
        pack.layout.matrices(pack.weights[0], 0)[1] = huge
        groups = list(zip(GROUPS, random_samples(pack.layout, 20), strict=True))
        sums = two_epochs(steps_of(pack, OPTIMIZERS["sgd"], groups, 20), 20, 20)
        assert bool(sums[:, 1].isfinite().any()) == math.isfinite(huge)
        assert bool(sums[:, [0, 2]].isfinite().all())


def test_an_import_compiles_nothing(tmp_path):
    """A C compiler starts when something trains, never when a module is imported."""
    started = tmp_path / "started"
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    compiler.chmod(0o700)
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "CC": str(compiler)}
    code = f"""
import dwindle.study.backends, dwindle.study.driver, dwindle.study.engine, pathlib
started = pathlib.Path({str(started)!r})
print(started.exists(), dwindle.study.engine.engine_version(), started.exists())
"""
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **places}
    printed = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert printed.split() == ["False", "3+torch", "True"]


def test_a_library_is_compiled_once_and_a_damaged_one_anew(fresh_cache, monkeypatch):
    """The second process finds what the first has compiled, unless it is not whole.

    A library that is not whole, as after a loss of power, is never loaded.
    """
    first = compiled.compiled_steps("float32")
    kept = list(fresh_cache.glob("dwindle/*"))
    # Where there is no C compiler nothing is built, now or later.
    assert [path.suffix for path in kept] == ([] if first is None else [".so"])
    compiled.compiled_steps.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", None)  # calling it would raise
        assert (compiled.compiled_steps("float32") is None) == (first is None)
    for path in kept:
        whole = path.read_bytes()
        path.unlink()  # this process has the old one open
        path.write_bytes(whole[:-8] + bytes(8))
        compiled.compiled_steps.cache_clear()
        assert compiled.compiled_steps("float32") is not None
        (rebuilt,) = fresh_cache.glob("dwindle/*.so")
        assert rebuilt.read_bytes() == whole


def test_a_folder_that_others_write_to_is_not_trusted(fresh_cache, monkeypatch):
    """Code is not loaded from where somebody else could have put it."""
    folder = fresh_cache / "dwindle"
    folder.mkdir()
    for mode in (0o777, 0o770, 0o702):
        folder.chmod(mode)
        assert compiled._cache_folder() != folder
        assert compiled._cache_folder().stat().st_mode & 0o077 == 0
    folder.chmod(0o700)
    assert compiled._cache_folder() == folder
    monkeypatch.setattr(compiled.os, "getuid", lambda: -2)  # somebody else made it
    assert compiled._cache_folder() != folder


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("CC", "no-such-compiler -O2", "no-such-compiler is not on the path"),
        ("CC", '"unclosed', "No closing quotation"),
        ("CC", "false", "non-zero exit status"),
        ("DWINDLE_COMPILED", "0", None),  # switched off: nothing to warn of
        ("XDG_CACHE_HOME", "/dev/null", "Not a directory"),  # nowhere to keep it
    ],
)
def test_training_goes_on_without_a_compiler(
    monkeypatch, caplog, variable, value, reason
):
    """Without compiled steps training gets slower: a warning has the reason."""
    monkeypatch.setenv(variable, value)
    assert compiled.compiled_steps("float32") is None
    if reason is None:
        assert caplog.text == ""
    elif variable == "CC" or shutil.which("cc") is not None:
        assert reason in caplog.text


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.full)]
)
def test_options_of_the_user_change_no_sum(tmp_path, monkeypatch, dtype):
    """Options for careless sums have no effect: stores are pooled by engine.

    CC may hold options, as make allows, and is another build with them.
    """

    def losses():
        pack = random_pack((20, 16, 3), dtype)
        groups = list(zip(GROUPS, random_samples(pack.layout, 37), strict=True))
        steps = fast_steps(pack, OPTIMIZERS["adamw"], groups, 8)
        return two_epochs(steps, 37, 8)

    before = losses()
    with monkeypatch.context() as careless:
        careless.setenv("CC", "cc -ffast-math -funsafe-math-optimizations")
        careless.setenv("XDG_CACHE_HOME", str(tmp_path))
        compiled.compiled_steps.cache_clear()
        assert torch.equal(losses(), before)
    compiled.compiled_steps.cache_clear()
    built = len(list(tmp_path.glob("dwindle/*.so")))
    assert built == (1 if shutil.which("cc") else 0)
