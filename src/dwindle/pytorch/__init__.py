"""Decay inside a torch program: groups, penalty, probe, controller, audit."""

__all__: list[str] = []
