"""Without torch every door says how to install it, and the calculator works."""

import subprocess
import sys

BLOCKED = "import sys; sys.modules['torch'] = None; "
COMMAND = BLOCKED + "from dwindle.cli.main import main; sys.exit(main(sys.argv[1:]))"
NEEDED = """
import importlib
for door in sys.argv[1:]:
    try:
        importlib.import_module(door)
        print(door)
    except ImportError as error:
        print(type(error).__name__, error)
"""
LINES = [
    "explain torch.AdamW=0.1 --lr 1e-3",
    "convert keras.L2=1e-4 --to torch.SGD",
    "rescale torch.AdamW=0.1 --lr 1e-3 --batch-size 1:2",
    "knobs adamw",
    "rules",
]
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


def test_a_door_says_the_install_line():
    """An import of ours that needs torch names it and its extra."""
    said = run(f"{BLOCKED}{NEEDED}", *DOORS).stdout.splitlines()
    wrong = [
        (door, line)
        for door, line in zip(DOORS, said, strict=True)
        if not line.startswith("MissingLibraryError")
        or "pip install '.[torch]'" not in line
    ]
    assert not wrong


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


def test_the_calculator_works_without():
    """What only computes needs no torch."""
    program = f"{BLOCKED}from dwindle.cli.main import main\n"
    program += "sys.exit(max(main(line.split()) for line in sys.argv[1:]))"
    done = run(program, *LINES)
    assert done.returncode == 0, done.stderr


def test_the_package_runs_as_a_module():
    """python -m dwindle is the command line."""
    line = [sys.executable, "-m", "dwindle", "convert", "keras.L2=1e-4"]
    line += ["--to", "torch.SGD"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "torch.optim.SGD = 0.0002" in done.stdout
