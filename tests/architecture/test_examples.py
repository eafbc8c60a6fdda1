"""The examples that need no other library than torch: each is run as it stands."""

import os
import subprocess
import sys

import pytest
from architecture.source import ROOT

LINES_OF_AN_EXAMPLE = 60
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# The others are run by tests/frameworks/run_examples.py.
RUN_HERE = {"plain_loop.py": "half-life of 3 epochs"}


@pytest.mark.parametrize("name", RUN_HERE)
def test_an_example_runs(name):
    """It trains, and prints what is held."""
    command = [sys.executable, ROOT / "examples" / name]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=surroundings
    )
    assert done.returncode == 0, done.stderr
    assert RUN_HERE[name] in " ".join(done.stdout.split())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_shorter_than_a_page(path):
    """An example is read in one look, and its first line says what it shows."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES_OF_AN_EXAMPLE
    assert text.startswith('"""')


def test_every_example_is_run_somewhere():
    """An example that nobody runs would be wrong one day."""
    runner = (ROOT / "tests/frameworks/run_examples.py").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")  # whose lines test_docs.py runs
    audited = {path.name for path in EXAMPLES if f"examples.{path.stem}:" in readme}
    unseen = {path.name for path in EXAMPLES if f'"{path.name}"' not in runner}
    assert unseen - audited == set(RUN_HERE)
