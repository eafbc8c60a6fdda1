"""How fast this machine multiplies large matrices, with whatever does it best."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from dwindle.study.machine import cores

Result = TypeVar("Result")
_SIZE = 3072
# NumPy's library takes its narrow vectors on processors that it does not know by name.
_WIDE_VECTORS = {"OPENBLAS_CORETYPE": "SkylakeX"}


def measure_peak_gflops() -> float:
    """Return the best rate of float32 products on all cores, in 1e9 operations/s.

    The best of several runs of PyTorch's product and of NumPy's, the latter also with
    the widest vectors, in a process of its own, as it is told so when it loads.
    """
    torch.set_num_threads(cores())
    left, right = torch.rand(2, _SIZE, _SIZE)
    out = torch.empty_like(left)
    ours = best_seconds(lambda: torch.mm(left, right, out=out))
    rates = [_rate(ours), _numpy_rate(), _numpy_rate_elsewhere()]
    return max(rate for rate in rates if rate is not None)


def _rate(seconds: float) -> float:
    return 2 * _SIZE**3 / seconds / 1e9


def _numpy_rate() -> float:
    left, right, out = np.random.default_rng(0).random((3, _SIZE, _SIZE), np.float32)
    return _rate(best_seconds(lambda: np.matmul(left, right, out=out)))


def _numpy_rate_elsewhere() -> float | None:
    """Measure NumPy with wide vectors; None where the processor has none."""
    command = [sys.executable, __file__]
    environment = {**os.environ, **_WIDE_VECTORS}
    done = subprocess.run(  # noqa: S603 # this very file
        command, env=environment, capture_output=True, check=False
    )
    return float(done.stdout) if done.returncode == 0 else None


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest of several runs."""
    return min(seconds_of(work)[0] for _ in range(repeats))


def seconds_of(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the wall time of one run, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    print(_numpy_rate())
