"""Two processes that train together, started by torchrun over loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist

PROCESSES = 2
TESTS = Path(__file__).parents[1]


def seen_by_each(program: Path, folder: Path) -> list[Any]:
    """Run a program in every process; it writes what it saw to FOLDER/RANK.json."""
    launch = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", "1", "--nproc-per-node", str(PROCESSES)),
        *("--local-addr", "127.0.0.1"),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"),
        *(str(program), str(folder)),
    ]
    loopback = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    paths = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    loopback["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    done = subprocess.run(
        launch,
        env=os.environ | loopback,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-20_000:]
    return [
        json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)
    ]


def write_and_leave(seen: Any, folder: Path) -> None:
    """Write what this process saw, and end it when all processes have written.

    A thread of gloo that drops a tensor while the interpreter shuts down waits for the
    GIL, and CPython 3.11 ends such a thread in the midst of C++ code: the process
    aborts although all is written (github.com/pytorch/pytorch/pull/179291; here in 1
    of 10 runs under load). So no interpreter shuts down.
    """
    (folder / f"{dist.get_rank()}.json").write_text(json.dumps(seen), "utf-8")
    dist.barrier()  # who leaves first closes sockets that the other may still read
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
