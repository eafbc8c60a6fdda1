"""What it costs to store and to read trainings, and how large the file gets.

Packs of one, as a search commits them, and of a hundred, as a study does; the ratios
say whether it is linear.

    python bench/store_rows.py [trainings ...]
"""

import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from dwindle.finding.records import FindSpec, OwnConditions, OwnTrial, find_from_stored
from dwindle.store.records import Outcome
from dwindle.store.store import Store, read_store

SPEC = FindSpec(name="tiny", low=1e-3, high=1.0)
KNOB = "torch.optim.AdamW"
CONDITIONS = OwnConditions(
    training=("tiny:train",), knob=KNOB, typed=KNOB, metric="loss"
)


def training(number: int) -> tuple[OwnTrial, Outcome]:
    """Return a training with its outcome, of no cost."""
    trial = OwnTrial(number=number, typed=repr(1e-6 * number), seed=number % 7)
    return trial, Outcome(status="ok", steps=0, seconds=0.0123, loss=1 / number)


def measured(path: Path, count: int, size: int) -> str:
    """Return the milliseconds per training to store and to read it, and its bytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with Store(path, spec=SPEC, conditions=CONDITIONS) as store:
        for at in range(0, count, size):
            pack = [training(at + each + 1) for each in range(size)]
            store.commit(pack, seconds=0.1)
        store.finish()
    stored = time.process_time()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if len(find_from_stored(read_store(path)).rows) != count:
        raise SystemExit(1)
    read = time.process_time()
    times = 1e3 * (stored - start) / count, 1e3 * (read - stored) / count
    size_each = path.stat().st_size / count
    return (
        f"{count:7,} in packs of {size:3}: store {times[0]:6.3f} ms, read "
        f"{times[1]:6.3f} ms, {size_each:4.0f} bytes each; writing took "
        f"{grown / 1024:.1f} MB"
    )


def main() -> None:
    """Print a line for each size."""
    counts = [int(each) for each in sys.argv[1:]] or [100, 1000, 10_000, 100_000]
    with TemporaryDirectory() as folder:
        for size in (100, 1):
            for count in counts:
                print(measured(Path(folder) / f"{size}-{count}.db", count, size))


if __name__ == "__main__":
    main()
