"""Conformance kits: what anybody's optimizer must do for our tools to hold it."""

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
