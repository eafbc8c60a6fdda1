"""The face of the package: short and sorted, light to import, clear without torch."""

import subprocess
import sys

import pytest
from architecture.source import ROOT

import dwindle
from dwindle import audit

HEAVY = {
    *("torch", "numpy", "scipy", "pydantic", "sklearn", "vl_convert", "jinja2"),
    *("rich", "typer"),
}
RUN = "--lr 0.1 --momentum 0.9 --batch-size 128 --dataset-size 50000 --epochs 20"
CHANGE = "--lr 3e-4:8e-4 --batch-size 256:2048 --dataset-size 1281167 --epochs 90:30"
# Those with --json do without the library of tables, too.
LINES = {
    True: ("evidence", "rules", "knobs AdamW", "convert no.such.knob=1 --to torch.SGD"),
    False: (
        *("--help", "--version", "convert --help", "study --help", "report --help"),
        *("answer --help", "rules", "knobs", "evidence batch", "knobs --markdown"),
        "convert keras.regularizers.L2=5e-4 --to torch.optim.SGD",
        f"convert torch.optim.AdamW=0.1 --to all {RUN}",
        f"explain torch.optim.SGD=5e-4 {RUN} --schedule cosine",
        f"rescale torch.optim.AdamW=0.1 {CHANGE}",
        *("audit --explain DW001", "audit -h"),
        f"audit {ROOT}/tests/settings/hydra.yaml --dataset-size 9999",
    ),
}
FACE = """
import sys
from dwindle import *
taken = sorted(name for name in dir() if not name.startswith("_") and name != "sys")
convert(1, "torch.SGD", to="question.l2")
"""
# Every module of dwindle.decay, without anything that is not in Python.
DECAY = """
import importlib, pkgutil, sys
import dwindle.decay
before = set(sys.modules)
for module in pkgutil.iter_modules(dwindle.decay.__path__):
    importlib.import_module(f"dwindle.decay.{module.name}")
taken = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
taken = [name for name in taken if name not in {"dwindle", *sys.stdlib_module_names}]
"""
FIRST = """
import sys, dwindle
taken = sorted(name for name in sys.modules if name.startswith("dwindle"))
"""
TAKEN = {FACE: sorted(dwindle.__all__), DECAY: [], FIRST: ["dwindle", "dwindle.lazy"]}
BLOCKED = "import sys; sys.modules['torch'] = None\n"
NEEDED = """
import importlib
for door in sys.argv[1:]:
    try:
        importlib.import_module(door)
        print(door)
    except ImportError as error:
        print(type(error).__name__, error)
"""
DOORS = [
    *("dwindle.pytorch", "dwindle.pytorch.controller", "dwindle.pytorch.probe"),
    *("dwindle.testing", "dwindle.integrations.transformers"),
    *("dwindle.integrations.lightning", "dwindle.integrations.accelerate"),
]


def in_fresh_python(program, *words):
    line = [sys.executable, "-c", program, *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_table_of_contents_is_short_and_sorted():
    """At most seventeen names, capitals first, each in its place."""
    assert len(dwindle.__all__) <= 17
    assert list(dwindle.__all__) == sorted(dwindle.__all__)


@pytest.mark.parametrize("door", [dwindle, audit])
def test_every_name_is_there(door):
    """Each name can be had, and lives where the table says."""
    homes = {name: getattr(door, name).__module__ for name in door.__all__}
    assert homes == door._HOMES
    assert dir(door) == sorted(door.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    """A wrong name fails as on any module."""
    with pytest.raises(AttributeError) as raised:
        _ = dwindle.half_life
    assert "'half_life'" in str(raised.value)


@pytest.mark.parametrize("program", TAKEN, ids=["face", "decay", "first"])
def test_importing_is_light(program):
    """The face, all of decay, and the package itself load what they say, no more."""
    seen = f"{program}\nprint(taken, {HEAVY} & set(sys.modules))"
    done = in_fresh_python(seen)
    assert done.stdout.strip() == f"{TAKEN[program]} set()", done.stderr


@pytest.mark.parametrize("as_json", LINES)
def test_quick_commands_load_nothing_heavy(as_json):
    """Help, convert, explain and rescale answer without torch, numpy or pydantic."""
    lines = [[*line.split(), *["--json"] * as_json] for line in LINES[as_json]]
    heavy = HEAVY if as_json else HEAVY - {"rich"}
    program = "import sys\nfrom dwindle.cli.main import main\n"
    program += "".join(f"main({words!r})\n" for words in lines)
    done = in_fresh_python(f"{program}print({heavy} & set(sys.modules))")
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_a_door_says_the_install_line():
    """An import of ours that needs torch names it and its extra."""
    said = in_fresh_python(f"{BLOCKED}{NEEDED}", *DOORS).stdout.splitlines()
    wrong = [
        (door, line)
        for door, line in zip(DOORS, said, strict=True)
        if not line.startswith("MissingLibraryError")
        or "pip install '.[torch]'" not in line
    ]
    assert not wrong


def test_a_command_that_trains_says_it(tmp_path):
    """answer needs torch, and is no failure that nobody foresaw."""
    program = "from dwindle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ("answer", "--quick", "--out", str(tmp_path))
    done = in_fresh_python(f"{BLOCKED}{program}", *words)
    assert done.returncode == 3
    assert "needs torch." in done.stderr
    assert "pip install '.[study]'" in done.stderr
    assert "foresee" not in done.stderr
