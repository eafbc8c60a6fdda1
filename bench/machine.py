"""How fast this machine multiplies large matrices, with whatever does it best."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from dwindle.study.machine import cores

Result = TypeVar("Result")
_SIZE = 3072


def measure_peak_gflops() -> float:
    """Return the best rate of float32 products on all cores, in 1e9 operations/s.

    The best of several runs of PyTorch's and of NumPy's product, each with the
    threads that its library takes.
    """
    torch.set_num_threads(cores())
    left, right = torch.rand(2, _SIZE, _SIZE)
    out = torch.empty_like(left)
    arrays = left.numpy(), right.numpy(), out.numpy()
    seconds = min(
        best_seconds(lambda: torch.mm(left, right, out=out)),
        best_seconds(lambda: np.matmul(arrays[0], arrays[1], out=arrays[2])),
    )
    return 2 * _SIZE**3 / seconds / 1e9


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest of several runs."""
    return min(seconds_of(work)[0] for _ in range(repeats))


def seconds_of(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the wall time of one run, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
