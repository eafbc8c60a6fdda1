"""Decay inside a torch program: groups, penalty, probe, controller, audit."""

from dwindle.pytorch.controller import DecayController

__all__ = ["DecayController"]
