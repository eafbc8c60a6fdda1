"""A stretch of code that leaves no trace: random generators, hooks, warnings."""

import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer

# Hooks that people register for all optimizers; a copy is none of their business.
_GLOBAL_HOOKS = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")


@contextmanager
def random_kept() -> Iterator[None]:
    """Put the random generators back: torch on all devices, numpy and random."""
    ours = random.getstate()
    numpy = sys.modules.get("numpy")
    theirs = numpy.random.get_state() if numpy else None
    # Only devices in use have a generator: asking another one would start it.
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch's own
    devices = list(range(torch.cuda.device_count())) if cuda else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(ours)
        if numpy:
            numpy.random.set_state(theirs)


def _uncompiled() -> AbstractContextManager[object]:
    """Compile nothing: a copy makes a few steps, and the compiler takes a minute."""
    if "torch._dynamo" not in sys.modules:  # to load it takes seconds
        return nullcontext()
    # Any: torch does not type it.
    stance: Any = torch.compiler.set_stance
    context: AbstractContextManager[object] = stance("force_eager")
    return context


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the random generators, call no hook for all optimizers, warn nobody."""
    hooks = [getattr(torch_optimizer, name, {}) for name in _GLOBAL_HOOKS]
    kept = [dict(each) for each in hooks]
    with (
        random_kept(),
        warnings.catch_warnings(),
        torch.inference_mode(mode=False),
        _uncompiled(),
    ):
        warnings.simplefilter("ignore")
        try:
            for each in hooks:
                each.clear()
            yield
        finally:
            for each, before in zip(hooks, kept, strict=True):
                each.clear()
                each.update(before)
