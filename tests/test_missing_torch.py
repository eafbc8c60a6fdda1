"""Without torch every door says how to install it, and the calculator works."""

import subprocess
import sys

import pytest

BLOCKED = "import sys; sys.modules['torch'] = None; "
COMMAND = BLOCKED + "from dwindle.cli.main import main; sys.exit(main(sys.argv[1:]))"
DOORS = [
    "dwindle.pytorch",
    "dwindle.pytorch.controller",
    "dwindle.pytorch.probe",
    "dwindle.testing",
    "dwindle.integrations.transformers",
    "dwindle.integrations.lightning",
    "dwindle.integrations.accelerate",
]


def run(program, *words):
    """A fresh interpreter in which torch cannot be imported."""
    line = [sys.executable, "-c", program, *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_says_the_install_line(door):
    """An import of ours that needs torch names it and its extra."""
    done = run(f"{BLOCKED}import {door}")
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingLibraryError" in last
    assert "pip install '.[torch]'" in last


def test_a_name_behind_the_door_says_it_too():
    """from dwindle.pytorch import DecayController is an ImportError with a remedy."""
    program = (
        f"{BLOCKED}\ntry:\n    from dwindle.pytorch import DecayController\n"
        "except ImportError as error:\n    print(error)\n"
    )
    assert "pip install '.[torch]'" in run(program).stdout


def test_a_command_that_trains_says_it(tmp_path):
    """answer needs torch, and is no failure that nobody foresaw."""
    done = run(COMMAND, "answer", "--quick", "--out", str(tmp_path))
    assert done.returncode == 3
    assert "needs torch." in done.stderr
    assert "pip install '.[study]'" in done.stderr
    assert "foresee" not in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "explain torch.AdamW=0.1 --lr 1e-3",
        "convert keras.L2=1e-4 --to torch.SGD",
        "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 1:2",
        "knobs adamw",
        "rules",
    ],
)
def test_the_calculator_works_without(line):
    """What only computes needs no torch."""
    done = run(COMMAND, *line.split())
    assert done.returncode == 0, done.stderr


def test_the_package_runs_as_a_module():
    """python -m dwindle is the command line."""
    line = [sys.executable, "-m", "dwindle", "convert", "keras.L2=1e-4"]
    line += ["--to", "torch.SGD"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "torch.optim.SGD = 0.0002" in done.stdout
