"""The examples with other libraries: each is run as it stands, in a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# example: what its library wants to find in the environment
EXAMPLES = {
    "accelerate_loop.py": {},
    "keras_fit.py": {"KERAS_BACKEND": "torch"},
    "lightning_trainer.py": {},
    "optax_loop.py": {"JAX_PLATFORMS": "cpu"},
    "transformers_trainer.py": {},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_with_a_library_runs(name, tmp_path):
    """It trains, and prints the half-life that is held."""
    usual = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | usual | EXAMPLES[name],
    )
    assert done.returncode == 0, done.stderr
    assert "half-life" in done.stdout
    assert "A weight without gradient has kept" in done.stdout
