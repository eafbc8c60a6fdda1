"""Plants one-line faults in a copy of the package, and reports which the tests catch.

    python scripts/plant_faults.py [TREE] [--room decay] [--narrow] [--out caught.tsv]

Each line of planted_faults.tsv is a room, the tests that should catch the fault, a
line of the package or of its scripts and the same line with the fault. One fault at a
time is planted, and these tests are run; where they pass, those of the room; where
these pass too, all of them, unless ``--narrow`` is given. The table has room, verdict,
seconds and fault.
The exit code is 1 where a fault survives, or its line is not there exactly once: then
the code has moved, and the table must move with it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAULTS = HERE / "planted_faults.tsv"
TESTS = {
    "cli": ("tests/cli", "tests/texts"),
    "answer": ("tests/answer",),
    "audit": ("tests/audit", "tests/pytorch"),
    "decay": ("tests/decay",),
    "finding": ("tests/finding",),
    "findings": ("tests/findings", "tests/texts/test_report_texts.py"),
    "fitting": ("tests/fitting",),
    "holding": ("tests/pytorch",),
    "probing": ("tests/pytorch",),
    "report": ("tests/report", "tests/texts/test_report_texts.py"),
    "stats": ("tests/stats", "tests/findings"),
    "store": ("tests/store", "tests/study"),
    "study": ("tests/study",),
    "tuning": ("tests/tuning",),
}
CARRIED = ("src", "tests", "docs", "examples", "bench", "scripts", ".ci")
LONGEST_S = 3600  # a fault that makes a loop endless is caught by the clock


def line_of(tree: Path, line: str) -> tuple[Path, int] | None:
    """Return the file and the index of the only line that reads so: the package's."""
    for folder in ("src", "scripts"):
        found = [
            (path, at)
            for path in sorted((tree / folder).rglob("*.py"))
            for at, text in enumerate(path.read_text("utf-8").splitlines())
            if text.strip() == line
        ]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def failure_of(tree: Path, tests: Sequence[str]) -> str:
    """Run tests in a tree until one fails: the end of what they print, or nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    surroundings = os.environ | {"PYTHONPATH": str(tree / "src")}
    try:
        done = subprocess.run(
            [*command, "-o", "markers=full", "-m", "not full", *tests],
            cwd=tree,
            env=surroundings,
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {LONGEST_S} s"
    return done.stdout[-2000:] if done.returncode else ""


def verdict_on(tree: Path, row: Sequence[str], *, narrow: bool) -> str:
    """Plant a fault, run the tests, take it out again."""
    room, named, line, fault = row
    found = line_of(tree, line)
    if found is None:
        return "no such line"
    path, at = found
    before = path.read_text("utf-8")
    lines = before.splitlines(keepends=True)
    lines[at] = lines[at].replace(line, fault)
    path.write_text("".join(lines), "utf-8")
    try:
        if failure_of(tree, named.split()):
            return "caught"
        if failure_of(tree, TESTS[room]):
            return "caught in its room"
        elsewhere = not narrow and failure_of(tree, ("tests",))
        return "caught elsewhere" if elsewhere else "SURVIVED"
    finally:
        path.write_text(before, "utf-8")


def main() -> int:
    """Plant every fault of the table, or of one room."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", nargs="?", type=Path, default=HERE.parent)
    parser.add_argument("--faults", type=Path, default=FAULTS)
    parser.add_argument("--room", choices=TESTS)
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = [row.split("\t") for row in args.faults.read_text("utf-8").splitlines()]
    rows = [row for row in rows if args.room in (None, row[0])]
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        for each in args.tree.iterdir():
            if each.is_file():
                shutil.copy(each, tree)
            elif each.name in CARRIED:
                shutil.copytree(each, tree / each.name)
        for tests in dict.fromkeys(row[1] for row in rows):
            if failure := failure_of(tree, tests.split()):
                sys.exit(f"Without any fault {tests} must pass.\n{failure}")
        for row in rows:
            start = time.monotonic()
            verdict = verdict_on(tree, row, narrow=args.narrow)
            survived += not verdict.startswith("caught")
            line = f"{row[0]}\t{verdict}\t{time.monotonic() - start:.0f} s\t{row[-1]}\n"
            sys.stdout.write(line)
            sys.stdout.flush()
            if args.out:
                with args.out.open("a", encoding="utf-8") as out:
                    out.write(line)
    return min(survived, 1)


if __name__ == "__main__":
    sys.exit(main())
