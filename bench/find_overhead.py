"""What a training costs beside itself: a command, a function, and its output.

Each is compared with the same thing done without us, by turns in one run.

    python bench/find_overhead.py
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from dwindle.finding.command import CommandRecipe
from dwindle.finding.function import FunctionRecipe
from dwindle.finding.metric import Metric
from dwindle.finding.training import Request

ROUNDS = 20
MEGABYTES = 50
LINE = "print('loss', sys.argv[1])"
PRINT = (
    "import sys\n"
    "block = (b'epoch 1 step 10 train_loss 0.25 lr 0.01 it/s 3.1\\n' * 20000)[:10**6]\n"
    f"for _ in range({MEGABYTES}): sys.stdout.buffer.write(block)\n"
    "print(); print('loss', sys.argv[1])"
)


def milliseconds_of(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall time, and the time of processors in this process and its children."""
    start, used = time.perf_counter(), sum(os.times()[:4])
    call()
    return 1e3 * (time.perf_counter() - start), 1e3 * (sum(os.times()[:4]) - used)


def by_turns(
    ours: Callable[[], object], bare: Callable[[], object], rounds: int
) -> str:
    """Return what ours takes, and what it takes more: wall, and time of processors.

    On a machine that others use, too, the latter is the one to believe.
    """
    pairs = [(milliseconds_of(ours), milliseconds_of(bare)) for _ in range(rounds)]
    with_us = statistics.median(a for (a, _), _ in pairs)
    more = statistics.median(a - b for (a, _), (b, _) in pairs)
    worked = statistics.fmean(a - b for (_, a), (_, b) in pairs)
    return f"{with_us:7.1f} ms, more {more:7.1f} ms, of processors {worked:7.1f} ms"


def command(code: str, folder: Path, metric: str = "loss") -> tuple[Callable, Callable]:
    """A command with us, and the same started and read to its end without us."""
    words = (sys.executable, "-c", code, "{weight_decay}")
    training = CommandRecipe(words=words, metric=Metric(text=metric)).open()
    request = Request(weight_decay=0.25, folder=folder)

    def ours() -> None:
        result = training.train(request)
        if result.loss != request.weight_decay:
            raise SystemExit(f"{result}")

    def bare() -> None:
        with (
            subprocess.Popen(  # noqa: S603 our own words
                [*words[:-1], "0.25"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            ) as process
        ):
            while process.stdout.read(1 << 18):
                pass

    return ours, bare


def loss(weight_decay: float) -> float:
    """Train at no cost."""
    return weight_decay


def main() -> None:
    """Print a line for each kind of training."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        print(f"command, {ROUNDS} of each:")
        print("  ", by_turns(*command(f"import sys; {LINE}", folder), ROUNDS))
        training = FunctionRecipe.of(loss).open()
        request = Request(weight_decay=0.25, folder=folder)
        first, _ = milliseconds_of(lambda: training.train(request))
        print(f"function, {10 * ROUNDS} calls, after a first of {first:.0f} ms:")
        print(
            "  ",
            by_turns(lambda: training.train(request), lambda: loss(0.25), 10 * ROUNDS),
        )
        training.close()
        for metric in ("loss", r"loss (\S+)"):
            print(
                f"command that prints {MEGABYTES} MB, --metric '{metric}', 3 of each:"
            )
            print("  ", by_turns(*command(PRINT, folder, metric), 3))


if __name__ == "__main__":
    main()
