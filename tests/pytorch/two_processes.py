"""Two processes that train together, over loopback: one start for all that they do.

    RANK=0 python two_processes.py FOLDER

Writes FOLDER/RANK.json: what each program of ``PROGRAMS`` saw.
"""

import json
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PROCESSES = 2
TESTS = Path(__file__).parents[1]
PROGRAMS = ("audited_model", "held_model", "wrapped_model")


def seen_by_each(folder: Path) -> list[Any]:
    """Start the processes, and return what each of them saw."""
    loopback = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    paths = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    loopback["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # Not by torchrun: its own process would load torch once more.
    errors = [folder / f"{rank}.stderr" for rank in range(PROCESSES)]
    started = []
    for rank, error in enumerate(errors):
        with error.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, __file__, str(folder)],
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
    output = "\n".join(error.read_text("utf-8") for error in errors)
    assert codes == [0] * PROCESSES, output[-20_000:]
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


def main(folder: Path) -> None:
    """Run all programs in company, and write what they saw."""
    logging.getLogger("dwindle").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    join(folder)
    modules = {name: import_module(f"pytorch.programs.{name}") for name in PROGRAMS}
    write_and_leave({name: it.seen() for name, it in modules.items()}, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
