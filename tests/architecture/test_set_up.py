"""The set-up says in one line what is missing, and pins all that it installs."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from architecture.source import ROOT

# The environment of make test; the other extras are tested by make test-frameworks.
OUR_EXTRAS = ("find", "report", "study", "torch", "yaml")
SHELL_TOOLS = ("sh", "cat", "cksum", "head", "grep", "pwd")


@pytest.fixture
def bare_machine(tmp_path):
    """A folder with our set-up files and a PATH of a few shell tools, no Python."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup.sh", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in SHELL_TOOLS:
        places = (Path(folder) / name for folder in os.environ["PATH"].split(":"))
        found = next((place for place in places if place.exists()), None)
        if found:
            (tools / name).symlink_to(found)
    return tmp_path


def _pretend_python(folder, *, version, has_venv):
    """Write a python3 that knows its version and whether it can make environments."""
    new_enough = int(version >= (3, 11))
    script = folder / "bin" / "python3"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f"*version_info*) exit {1 - new_enough} ;;\n"
        f"*ensurepip*) exit {int(not has_venv)} ;;\n"
        f"*--version*) echo Python {version[0]}.{version[1]} ;;\n"
        "esac\n"
    )
    script.chmod(0o755)


NAMED = {"PYTHON": "/no/such/python"}


@pytest.mark.parametrize(
    ("version", "has_venv", "environment", "said"),
    [
        ((3, 9), True, {}, ("3.11", "3.9", "python3-venv")),
        (None, True, {}, ("Got no python3.",)),
        ((3, 12), False, {}, ("apt install python3-venv",)),
        # It is never silently replaced by another Python.
        ((3, 12), True, NAMED, ("PYTHON", "3.11", "/no/such/python")),
    ],
    ids=["an old Python", "no Python", "no venv module", "a Python that is not there"],
)
def test_what_is_missing_is_said_in_one_line(
    version, has_venv, environment, said, bare_machine
):
    """Without Python 3.11 or its venv module the set-up says what to install."""
    if version:
        _pretend_python(bare_machine, version=version, has_venv=has_venv)
    paths = {"PATH": str(bare_machine / "bin"), **environment}
    words = [str(bare_machine / "bin" / "sh"), "scripts/setup.sh"]
    done = subprocess.run(
        words, cwd=bare_machine, env=paths, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert all(each in done.stderr for each in said)
    assert not (bare_machine / ".venv").exists()


def _pins(file="requirements.txt"):
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _names(requirements):
    words = (re.match(r"[\w.-]+", requirement)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", word).lower() for word in words}


def test_everything_that_pyproject_asks_for_is_pinned():
    """Dependencies, extras, the groups and the build all have a pin of one version."""
    assert [pin for pin in _pins() if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = _names(asked["project"]["dependencies"])
    wanted |= _names(asked["build-system"]["requires"])
    wanted |= _names(asked["dependency-groups"]["dev"])
    extras = asked["project"]["optional-dependencies"]
    wanted |= _names(word for name in OUR_EXTRAS for word in extras.pop(name))
    assert wanted - _names(_pins()) == {"dwindle"}
    assert _names(extras.pop("ray")) <= _names(_pins("requirements-ray.txt"))
    theirs = _names(asked["dependency-groups"]["frameworks"])
    theirs |= _names(word for extra in extras.values() for word in extra)
    assert theirs - _names(_pins("requirements-frameworks.txt")) == {"dwindle"}


def test_continuous_integration_runs_what_the_readme_says():
    """.ci/run runs make check, test-all and test-frameworks, in this order, no more."""
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make ([\w-]+)", script, re.MULTILINE) == [
        "check",
        "test-all",
        "test-frameworks",
    ]
