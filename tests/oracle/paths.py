"""What a weight is after 0, 1, … steps: the package only sums them up."""

from itertools import accumulate


def survival_path(family, number, run):
    """Return what 0, 1, …, run.total_steps steps leave of a weight of 1."""
    shrinks = family.decay.shrinks(number, run)
    return list(
        accumulate(shrinks, lambda left, shrink: left * (1 - shrink), initial=1.0)
    )
