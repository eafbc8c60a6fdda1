"""What a command loads before it answers: nothing that it does not need."""

import subprocess
import sys

HEAVY = ("torch", "numpy", "scipy", "pydantic", "sklearn", "vl_convert", "jinja2")
RUN = "--lr 0.1 --momentum 0.9 --batch-size 128 --dataset-size 50000 --epochs 20"
CHANGE = "--lr 3e-4:8e-4 --batch-size 256:2048 --dataset-size 1281167 --epochs 90:30"
LINES = [
    "--help",
    "--version",
    "convert --help",
    "study --help",
    "report --help",
    "answer --help",
    "rules",
    "knobs",
    "evidence batch",
    "evidence --json",
    "rules --json",
    "convert keras.regularizers.L2=5e-4 --to torch.optim.SGD",
    "knobs --markdown",
    "knobs AdamW --json",
    f"convert torch.optim.AdamW=0.1 --to all {RUN}",
    f"explain torch.optim.SGD=5e-4 {RUN} --schedule cosine",
    f"rescale torch.optim.AdamW=0.1 {CHANGE}",
    "convert no.such.knob=1 --to torch.optim.SGD --json",
]


def _heavy_modules_after(code):
    """Run code in a fresh Python and return the heavy modules that it loaded."""
    ask = f"import sys; print('HEAVY', *(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rpartition("HEAVY")[2].split()


def test_quick_commands_load_nothing_heavy():
    """Help, convert, explain and rescale answer without torch, numpy or pydantic.

    A program that asks for JSON does not wait for the library of tables either.
    """
    with_json = [words for line in LINES if (words := line.split())[-1] == "--json"]
    calls = [f"main({words!r})" for words in with_json]
    calls += ["import sys; assert 'rich' not in sys.modules"]
    calls += [f"main({line.split()!r})" for line in LINES]
    code = "\n".join(["from dwindle.cli.main import main", *calls])
    assert _heavy_modules_after(code) == []


def test_importing_the_package_loads_nothing_heavy():
    """``import dwindle`` and its mathematics need the standard library only."""
    assert _heavy_modules_after("import dwindle, dwindle.decay.rules") == []
