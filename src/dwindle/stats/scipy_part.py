"""SciPy where it is needed: slow to load, and only with the extra ``report``."""

from importlib import import_module
from typing import Any

from dwindle.errors import MissingLibraryError


def scipy_module(name: str) -> Any:  # a module; scipy ships no types
    """Import a part of SciPy, or say how to install it.

    Args:
        name: Its dotted name, such as ``"scipy.special"``.

    Returns:
        The module.

    Raises:
        MissingLibraryError: If SciPy is not installed.

    Example:
        >>> float(scipy_module("scipy.special").stdtrit(4, 0.5))
        0.0

    """
    try:
        return import_module(name)
    except ImportError as absent:
        raise MissingLibraryError(
            library="scipy", needed_for="Saying what a study found", extra="report"
        ) from absent
