"""Compiled steps are the stacked ones, for shapes of all kinds, and can be absent."""

import math
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dwindle.errors import RangeError
from dwindle.store.records import Optimizer
from dwindle.study import compiler
from dwindle.study.batches import Samples
from dwindle.study.compiled import CompiledSteps
from dwindle.study.layout import Layout
from dwindle.study.optimizers import Pack
from dwindle.study.steps import StackedSteps

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
    code = compiler.compiled_steps(str(pack.layout.dtype).removeprefix("torch."))
    if code is None:
        return StackedSteps(pack, *arguments)
    return CompiledSteps(code, pack, *arguments)


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """Compile into an empty folder, and forget what was loaded before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiler.compiled_steps.cache_clear()
    yield tmp_path
    compiler.compiled_steps.cache_clear()


def random_pack(units, dtype):
    generator = torch.Generator().manual_seed(sum(units))
    layout = Layout(tuple(pairwise(units)), MODELS, dtype)
    weights = layout.zeros()
    for w in weights:
        w.copy_(torch.randn(w.shape, generator=generator) * 0.4)
    decays = torch.rand(len(units) - 1, MODELS, generator=generator).double() * 0.1
    ratios = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    return Pack(layout, weights, decays, ratios)


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
)
def test_same_steps_for_every_shape(dtype, units, count, batch_size, options):
    """Units, batches and depths that fill no vector: losses and weights agree."""
    batch_size = min(batch_size, count)
    ends = []
    for compiled in (True, False):
        pack = random_pack(units, dtype)
        samples = random_samples(pack.layout, count)
        groups = list(zip(GROUPS, samples, strict=True))
        arguments = (pack, OPTIMIZERS[options], groups, batch_size)
        steps = (fast_steps if compiled else StackedSteps)(*arguments)
        sums = two_epochs(steps, count, batch_size)
        ends.append([sums, *(w.double() for w in pack.weights)])
    # A few hundred operations on numbers of order 1 (losses: of order 100) in seven or
    # sixteen digits. A ReLU within rounding of its kink would break this in float32;
    # random inputs make that a matter of 1e-4 per example.
    tolerance = 1e-10 if dtype == torch.float64 else 2e-3
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_overflow_becomes_nan_and_stays(dtype):
    """A network with infinite weights has a loss that is no number, in every epoch."""
    pack = random_pack((5, 4, 3), dtype)
    pack.layout.matrices(pack.weights[0], 0)[1] = math.inf
    groups = list(zip(GROUPS, random_samples(pack.layout, 20), strict=True))
    sums = two_epochs(fast_steps(pack, OPTIMIZERS["sgd"], groups, 6), 20, 6)
    assert not bool(sums[:, 1].isfinite().any())
    assert bool(sums[:, [0, 2]].isfinite().all())


def test_huge_logits_have_a_finite_loss(dtype):
    """Logits of 1e6 neither overflow nor lose the loss."""
    pack = random_pack((5, 3), dtype)
    pack.weights[0].mul_(1e6)
    groups = list(zip(GROUPS, random_samples(pack.layout, 20), strict=True))
    sums = two_epochs(fast_steps(pack, OPTIMIZERS["sgd"], groups, 20), 20, 20)
    assert bool(sums.isfinite().all())


def test_nesterov_without_momentum_is_refused(dtype):
    """Compiled steps refuse what the stacked ones refuse."""
    options = replace(OPTIMIZERS["nesterov"], momentum=0.0)
    with pytest.raises(RangeError, match="above 0, without dampening"):
        fast_steps(random_pack((5, 3), dtype), options, [], 1)


def test_compiled_once_per_machine(fresh_cache, monkeypatch):
    """The second process finds what the first has compiled."""
    first = compiler.compiled_steps("float32")
    kept = [path.suffix for path in fresh_cache.glob("dwindle/*")]
    # Where there is no C compiler nothing is built, now or later.
    assert kept == ([] if first is None else [".so"])
    compiler.compiled_steps.cache_clear()
    monkeypatch.setattr(subprocess, "run", None)  # calling it would raise
    assert (compiler.compiled_steps("float32") is None) == (first is None)


@pytest.mark.parametrize("damage", [b"", b"cut", b"changed"])
def test_a_damaged_library_is_built_anew(fresh_cache, damage):
    """What is not whole, as after a loss of power, is compiled again, never loaded."""
    first = compiler.compiled_steps("float32")
    for path in fresh_cache.glob("dwindle/*.so"):
        whole = path.read_bytes()
        changed = whole[:-8] + bytes(8) if damage == b"changed" else whole[:4000]
        path.unlink()  # this process has the old one open
        path.write_bytes(changed if damage else b"")
    compiler.compiled_steps.cache_clear()
    assert (compiler.compiled_steps("float32") is None) == (first is None)
    for path in fresh_cache.glob("dwindle/*.so"):
        assert path.stem.endswith(compiler._digest(path.read_bytes()))


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_write_to_is_not_trusted(fresh_cache, mode):
    """Code is not loaded from where somebody else could have put it."""
    folder = fresh_cache / "dwindle"
    folder.mkdir()
    folder.chmod(mode)
    assert compiler._cache_folder() != folder
    assert compiler._cache_folder().stat().st_mode & 0o077 == 0
    folder.chmod(0o700)
    assert compiler._cache_folder() == folder


def test_a_folder_of_somebody_else_is_not_trusted(fresh_cache, monkeypatch):
    """A folder that another user made is left alone, whatever its permissions."""
    assert compiler._cache_folder() == fresh_cache / "dwindle"
    monkeypatch.setattr(compiler.os, "getuid", lambda: -2)
    assert compiler._cache_folder() != fresh_cache / "dwindle"


def test_a_compiler_may_have_options(fresh_cache, monkeypatch):
    """CC may hold options, as make allows, and is another build with them."""
    first = compiler.compiled_steps("float32")
    compiler.compiled_steps.cache_clear()
    monkeypatch.setenv("CC", "cc -DUNUSED=1")
    assert (compiler.compiled_steps("float32") is None) == (first is None)
    built = len(list(fresh_cache.glob("dwindle/*.so")))
    assert built == (0 if first is None else 2)


def test_a_compiler_that_does_not_work_is_told(fresh_cache, monkeypatch, caplog):
    """A compiler that was named and fails is a warning: training gets slower."""
    assert fresh_cache.is_dir()
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    assert compiler.compiled_steps("float32") is None
    assert "Got CC='no-such-compiler -O2': no-such-compiler is not" in caplog.text


def test_quotes_that_do_not_close_are_told(fresh_cache, monkeypatch, caplog):
    """A CC that no shell could read is a warning, too."""
    assert fresh_cache.is_dir()
    monkeypatch.setenv("CC", '"unclosed')
    assert compiler.compiled_steps("float32") is None
    assert "No closing quotation" in caplog.text


def test_a_place_where_nothing_can_be_kept_is_told(monkeypatch, caplog):
    """A cache that is no folder makes training slow: that is no secret."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    compiler.compiled_steps.cache_clear()
    assert compiler.compiled_steps("float32") is None
    compiler.compiled_steps.cache_clear()
    if shutil.which("cc") is not None:
        assert "Not a directory" in caplog.text


@pytest.mark.parametrize("option", ["-ffast-math", "-funsafe-math-optimizations"])
def test_options_of_the_user_change_no_sum(fresh_cache, monkeypatch, dtype, option):
    """A compiler that is asked to be careless is not: stores are pooled by engine."""
    assert fresh_cache.is_dir()
    losses = []
    for named in ("cc", f"cc {option}"):
        monkeypatch.setenv("CC", named)
        compiler.compiled_steps.cache_clear()
        pack = random_pack((20, 16, 3), dtype)
        groups = list(zip(GROUPS, random_samples(pack.layout, 37), strict=True))
        steps = fast_steps(pack, OPTIMIZERS["adamw"], groups, 8)
        losses.append(two_epochs(steps, 37, 8))
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CC", "no-such-compiler"),  # none installed
        ("CC", "false"),  # one that fails
        ("DWINDLE_COMPILED", "0"),  # switched off
        ("XDG_CACHE_HOME", "/dev/null"),  # nowhere to keep it
    ],
)
def test_without_a_compiler_there_are_no_compiled_steps(
    fresh_cache, monkeypatch, variable, value
):
    """Whatever keeps them from being built, training goes on without."""
    assert fresh_cache.is_dir()
    monkeypatch.setenv(variable, value)
    assert compiler.compiled_steps("float32") is None
