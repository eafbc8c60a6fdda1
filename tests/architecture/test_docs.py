"""Documentation that runs: every example in a docstring, every block in the README."""

import doctest
import importlib
import pkgutil
import re
import shlex

import pytest
from architecture.source import ROOT

import dwindle
from dwindle.cli.main import COMMANDS, main
from dwindle.cli.options import AS_JSON, read_words

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
PAGES = ("README.md", "CONTRIBUTING.md", "docs/fit.md", "docs/tune.md")
# These train, or need what only a training leaves: their line is read, not run.
LONG_COMMANDS = ("answer", "find", "tune", "predict", "study", "report")


def _blocks(language):
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for page in PAGES:
        yield from pattern.findall((ROOT / page).read_text("utf-8"))


def _shell_lines():
    lines = [line for block in _blocks("(?:console|sh|bash)") for line in
             block.replace("\\\n", " ").splitlines()]  # fmt: skip
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines]


def _lines_of(program):
    words = (line.removeprefix(".venv/bin/") for line in _shell_lines())
    return sorted({line for line in words if line.startswith(program + " ")})


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    """Every example in a docstring prints what the docstring says."""
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


@pytest.mark.parametrize("block", [*_blocks("python")])
def test_python_of_the_pages_runs(block):
    """The Python of README and CONTRIBUTING runs as it stands."""
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102


@pytest.mark.parametrize("line", _lines_of("dwindle"))
def test_commands_of_the_pages_run(line, capsys):
    """The dwindle lines of README and CONTRIBUTING are accepted, short ones run."""
    _, name, *words = shlex.split(line)
    if name in LONG_COMMANDS:
        options = (*importlib.import_module(f"dwindle.cli.{name}").OPTIONS, AS_JSON)
        assert read_words(f"dwindle {name}", options, words)
    else:
        assert main([name, *words]) == 0
        assert capsys.readouterr().out


@pytest.mark.parametrize("line", _lines_of("make"))
def test_make_targets_of_the_pages_exist(line):
    """Every make target that README and CONTRIBUTING name is in the Makefile."""
    target = shlex.split(line)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_command_is_in_the_readme():
    """The README names every command."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [c.name for c in COMMANDS if f"dwindle {c.name}" not in readme] == []
