"""Two processes that train together, over loopback."""

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
    loopback = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    paths = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    loopback["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # Not by torchrun: its own process would load torch once more.
    errors = [folder / f"{rank}.stderr" for rank in range(PROCESSES)]
    started = []
    for rank, error in enumerate(errors):
        with error.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(program), str(folder)],
                env=os.environ | loopback | {"RANK": str(rank)},
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        started.append(process)
    try:
        codes = [process.wait(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    said = "\n".join(error.read_text("utf-8") for error in errors)
    assert codes == [0] * PROCESSES, said[-20_000:]
    return [
        json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)
    ]


def join(folder: Path) -> None:
    """Join the other process; they meet in a file, so that no port can be taken."""
    meeting = f"file://{folder.resolve()}/meeting"
    rank = int(os.environ["RANK"])
    dist.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=PROCESSES
    )


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
