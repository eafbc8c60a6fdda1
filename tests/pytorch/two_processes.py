"""Two processes that train together, started by torchrun over loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROCESSES = 2


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
