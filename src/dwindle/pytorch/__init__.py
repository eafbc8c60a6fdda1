"""Decay inside a torch program: groups, penalty, probe, controller, audit."""

from dwindle.errors import MissingLibraryError

try:
    import torch  # noqa: F401 one error here, if it is missing
except ImportError as error:
    raise MissingLibraryError("torch", "dwindle.pytorch", "torch") from error

from dwindle.pytorch.audit import audit
from dwindle.pytorch.controller import DecayController
from dwindle.pytorch.groups import decay_groups
from dwindle.pytorch.penalty import L2Penalty
from dwindle.pytorch.probe import probe

__all__ = ["DecayController", "L2Penalty", "audit", "decay_groups", "probe"]
