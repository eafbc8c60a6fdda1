"""Conformance kits: what anybody's optimizer must do for our tools to hold it."""

from dwindle.errors import MissingLibraryError

try:
    import torch  # noqa: F401 what is certified is one of its optimizers
except ImportError as error:
    raise MissingLibraryError("torch", "dwindle.testing", "torch") from error

from dwindle.testing.certificate import Certificate, Check, LeftOut, Reach
from dwindle.testing.kit import certify, check_controller

__all__ = [
    "Certificate",
    "Check",
    "LeftOut",
    "Reach",
    "certify",
    "check_controller",
]
