"""Examples run: those in docstrings, and the programs that need torch alone."""

import doctest
import gzip
import importlib
import json
import pkgutil
import runpy
import shlex
import sys

import numpy as np
import pytest
from architecture.source import ROOT

import dwindle
from dwindle.cli.main import main

LINES_OF_AN_EXAMPLE = 60
EXAMPLES = sorted(
    path for kind in ("py", "awk") for path in (ROOT / "examples").glob(f"*.{kind}")
)
# The others are run by tests/frameworks/run_examples.py.
RUN_HERE = {
    "plain_loop.py": ((), "half-life of 3 epochs"),
    "find_tabular.py": (("12",), "The same penalty is alpha = "),
}
# example with a line for dwindle find: words that make its trainings small
FOUND_HERE = {
    "find_curve.awk": ("-v", "steps=20"),
    "find_characters.py": ("--steps", "20", "--characters", "2000"),
    "find_fashion_cnn.py": ("--epochs", "8", "--samples", "100", "--channels", "2"),
}
FULL = pytest.mark.full  # each training starts torch


@pytest.mark.parametrize("name", RUN_HERE)
def test_an_example_runs(name, monkeypatch, capsys):
    """It trains, and prints what is held."""
    words, wanted = RUN_HERE[name]
    path = str(ROOT / "examples" / name)
    monkeypatch.setattr(sys, "argv", [path, *words])
    runpy.run_path(path, run_name="__main__")
    assert wanted in " ".join(capsys.readouterr().out.split())


def images_in(folder):
    """Write files as those of Fashion-MNIST, with images that tell their label."""
    labels = np.arange(2100, dtype=np.uint8) % 10
    images = np.zeros((2100, 28, 28), np.uint8)
    images[np.arange(2100), labels] = 255
    for name, header, content in (
        ("train-images-idx3", 16, images),
        ("train-labels-idx1", 8, labels),
    ):
        packed = gzip.compress(bytes(header) + content.tobytes(), 1)
        (folder / f"{name}-ubyte.gz").write_bytes(packed)
    return "--data", str(folder)


@pytest.mark.parametrize(
    ("name", "trainings"),
    [
        ("find_curve.awk", 11),
        pytest.param("find_characters.py", 5, marks=FULL),
        pytest.param("find_fashion_cnn.py", 5, marks=FULL),
    ],
)
def test_the_find_line_of_an_example_runs(
    name, trainings, tmp_path, capsys, monkeypatch
):
    """The line at its top trains, in a small way here, and every loss is another."""
    text = (ROOT / "examples" / name).read_text("utf-8").replace("\\\n", " ")
    line = next(
        line.lstrip("# ") for line in text.splitlines() if "dwindle find --" in line
    ).replace(" # ", " ")
    options, _, command = line.partition(" -- ")
    _, *words = shlex.split(options)
    own = [
        sys.executable if word == "python" else word for word in shlex.split(command)
    ]
    own += FOUND_HERE[name]
    own += images_in(tmp_path) if "fashion" in name else ()
    monkeypatch.chdir(ROOT / "examples")
    kept = (
        "--store",
        str(tmp_path / "kept.db"),
        "--trainings",
        str(trainings),
        "--json",
    )
    assert main([*words, *kept, "--", *own]) == 0
    found = json.loads(capsys.readouterr().out)
    losses = {each["loss"] for each in found["curve"]}
    assert found["trainings"] == len(losses) == trainings


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_shorter_than_a_page(path):
    """An example is read in one look, and its first line says what it shows."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES_OF_AN_EXAMPLE
    assert text.startswith(('"""', "# "))


def test_every_example_is_run_somewhere():
    """An example that nobody runs would be wrong one day."""
    runner = (ROOT / "tests/frameworks/run_examples.py").read_text("utf-8")
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))  # run by tests/docs
    text = "".join(path.read_text("utf-8") for path in pages)
    named = {path.name for path in EXAMPLES if f"examples.{path.stem}:" in text}
    unseen = {path.name for path in EXAMPLES if f'"{path.name}"' not in runner}
    assert unseen - named == {*RUN_HERE, *FOUND_HERE}


# Their libraries are not in this environment: tests/frameworks runs them, and
# tests/integrations has what they say where the library is missing.
FOREIGN = {
    f"dwindle.integrations.{name}"
    for name in ("keras", "keras_layers", "lightning", "optax", "transformers")
}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(dwindle.__path__, "dwindle.")
    if module.name not in FOREIGN
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    """Every example in a docstring prints what the docstring says."""
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
