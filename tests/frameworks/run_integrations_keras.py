"""The tests of Keras, once per backend: a process chooses its backend at the start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ON_KERAS = ("on_keras.py", "on_keras_refusals.py")


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("file", ON_KERAS)
def test_the_callback_holds_on_this_backend(file, backend):
    """Every test of the file passes on a real Keras with this backend."""
    surroundings = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": "1",  # for the test in double; models say float32
        "JAX_PLATFORMS": "cpu",
    }
    options = "-o addopts= --strict-markers --import-mode=importlib -p no:cacheprovider"
    command = [sys.executable, "-m", "pytest", *options.split(), "-q", HERE / file]
    done = subprocess.run(
        command, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
