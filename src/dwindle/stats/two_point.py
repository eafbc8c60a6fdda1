"""The two-point design: what to train next to find the best λ, and when to stop."""

from collections.abc import Sequence

from dwindle.stats.points import Design, Point, Proposal, ReadOut


def next_points(points: Sequence[Point], design: Design) -> Proposal:
    """Return the trainings to run next, a pure function of those that are done."""
    raise NotImplementedError


def read_out(points: Sequence[Point], design: Design) -> ReadOut:
    """Return what the trainings show so far."""
    raise NotImplementedError
