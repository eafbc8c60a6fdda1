"""How long dwindle fit takes on many rows: a start of Python, the file and the answer.

    python bench/fit_rows.py

Three files of 100,000 rows: one grid with many seeds, a random search, and many cells.
"""

import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROWS = 100_000
GENERATOR = random.Random(0)  # noqa: S311 - noise of losses
_LIMIT_SECONDS = 3.0
_FIT = "import sys; from dwindle.cli.main import main; sys.exit(main())"


def grid() -> Iterator[tuple[float, int, int, float]]:
    """Yield a grid of 10 decays with 10,000 seeds each."""
    for at in range(ROWS):
        yield (
            10 ** -(at % 10 / 2),
            at // 10,
            64,
            GENERATOR.gauss(2 + (at % 10 - 5) ** 2),
        )


def search() -> Iterator[tuple[float, int, int, float]]:
    """Yield a random search in which every row has a decay of its own."""
    for at in range(ROWS):
        decade = -4 * GENERATOR.random()
        yield 10**decade, at, 64, GENERATOR.gauss(20 + (decade + 2) ** 2)


def cells() -> Iterator[tuple[float, int, int, float]]:
    """Yield 40 widths with 10 decays each."""
    for at in range(ROWS):
        loss = GENERATOR.gauss(20 + (at % 10 - 5) ** 2)
        yield 10 ** -(at % 10 / 2), at // 400, 8 * (1 + at // 10 % 40), loss


def main() -> int:
    """Print the seconds of each kind; 1 where one takes too long of a processor."""
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in (grid, search, cells):
            file = Path(folder) / f"{kind.__name__}.csv"
            with file.open("w", newline="") as text:
                writer = csv.writer(text)
                writer.writerow(["weight_decay", "seed", "width", "val_loss"])
                writer.writerows(kind())
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            words = [sys.executable, "-c", _FIT, "fit", str(file), "--json"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
            seconds = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            # On a machine that others use, too, the wall clock is theirs.
            slow += cpu > _LIMIT_SECONDS
            print(f"{kind.__name__:8} {ROWS:,} rows  {seconds:.2f} s, CPU {cpu:.2f} s")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
