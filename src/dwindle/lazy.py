"""Names of a package that are imported when they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__all__``, ``__getattr__`` and ``__dir__`` of a package.

    ``homes`` has the module that each name is imported from. Type checkers read the
    same imports: ``from module import name as name``, which exports it.

    Example:
        >>> there, find, _ = lazy_names("dwindle", {"Run": "dwindle.decay.run"})
        >>> there, find("Run").__name__
        (['Run'], 'Run')

    """

    def find(name: str) -> object:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        found: object = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    # Imports of the package itself are not offered for completion.
    return [*homes], find, lambda: [*homes]
