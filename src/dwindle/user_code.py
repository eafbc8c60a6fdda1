"""Modules of the user by name, and what is there in place of a misspelt name."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from dwindle.errors.nearest import nearest_names
from dwindle.wording import listed

_SHOWN = 5  # of the names that are there


def module_named(name: str) -> object | None:
    """Import a module; None where Python finds none of that name."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Absent is the module itself or a package above it; an import inside of it that
        # fails is the user's own failure.
        if error.name and f"{name}.".startswith(f"{error.name}."):
            return None
        raise


def modules_here(name: str) -> str:
    """Return a sentence with the modules of this folder, nearest first; or nothing."""
    here = sorted(path.stem for path in Path.cwd().glob("*.py"))
    return _sentence("Modules here", name, here)


def functions_there(module: object, name: str) -> str:
    """Return a sentence with the functions of a module, nearest first; or nothing."""
    there = [
        each
        for each, value in getattr(module, "__dict__", {}).items()
        if inspect.isfunction(value) and not each.startswith("_")
    ]
    return _sentence("Functions there", name, there)


def _sentence(what: str, name: str, names: Sequence[str]) -> str:
    near = nearest_names(name, names, _SHOWN) or names[:_SHOWN]
    return f"{what}: {listed(near)}." if near else ""
