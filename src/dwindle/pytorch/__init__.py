"""Decay inside a torch program: groups, penalty, probe, controller, audit."""

from dwindle.pytorch.controller import DecayController
from dwindle.pytorch.groups import decay_groups

__all__ = ["DecayController", "decay_groups"]
