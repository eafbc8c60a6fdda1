"""The face of the package: a short, sorted table of contents that costs nothing."""

import subprocess
import sys
import textwrap

import pytest

import dwindle
from dwindle import audit

HEAVY = ("numpy", "torch", "scipy", "pydantic", "rich", "typer", "sklearn")


def run_python(text):
    """Run a program in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(text)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_star_import_gives_them_all():
    """A star import takes exactly the table."""
    printed = run_python(
        """
        from dwindle import *
        print(sorted(name for name in dir() if not name.startswith("_")))
        """
    )
    assert printed.strip() == str(sorted(dwindle.__all__))


def test_importing_is_light():
    """import dwindle loads no floor, and using its face loads nothing heavy."""
    printed = run_python(
        f"""
        import sys
        import dwindle
        print(sorted(m for m in sys.modules if m.startswith("dwindle")))
        for name in dwindle.__all__:
            getattr(dwindle, name)
        dwindle.convert(1, "torch.SGD", to="question.l2")
        print([name for name in {HEAVY} if name in sys.modules])
        """
    )
    assert printed.splitlines() == ["['dwindle', 'dwindle.lazy']", "[]"]


def test_decay_needs_the_standard_library_only():
    """Every module of dwindle.decay loads without anything that is not in Python."""
    printed = run_python(
        """
        import importlib, pkgutil, sys
        import dwindle.decay
        before = set(sys.modules)
        for module in pkgutil.iter_modules(dwindle.decay.__path__):
            importlib.import_module(f"dwindle.decay.{module.name}")
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(sorted(new - set(sys.stdlib_module_names) - {"dwindle"}))
        """
    )
    assert printed.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error():
    """A wrong name fails as on any module."""
    with pytest.raises(AttributeError, match="no attribute 'half_life'"):
        _ = dwindle.half_life
