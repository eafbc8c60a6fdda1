"""Packages without their front door: only the files that are tested get imported.

timm, composer, fastai and unit-scaling import half a world when they are imported
whole: torchvision, which has no build for CPUs alone, and much else that no optimizer
needs. Here the package becomes an empty one that lies at the same place, so the files
of its optimizers are the library's own, and nothing else of it runs.
"""

import importlib
import importlib.util
import sys
from functools import cache
from types import ModuleType

# Names that a file imports from such a package and does not use for an optimizer.
_UNUSED = {"timm.models": ("group_parameters",)}


@cache
def without_front_door(*packages: str) -> None:
    """Let these packages be imported file by file."""
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(name)
        package = ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        for unused in _UNUSED.get(name, ()):
            setattr(package, unused, None)
        sys.modules[name] = package


def module(name: str, *packages: str) -> ModuleType:
    """One file of such a package."""
    without_front_door(*packages)
    return importlib.import_module(name)
