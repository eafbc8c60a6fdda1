"""Results that already exist, any table of λ and seeds: which λ, and what is noise."""

from collections.abc import Sequence

from dwindle.stats.points import Difference, Point, TableOptimum


def optimum_of_table(
    points: Sequence[Point], *, paired: bool | None = None, within: float = 1.25
) -> TableOptimum:
    """Return the best λ of any results, with its 90 % interval."""
    raise NotImplementedError


def compare_decays(
    points: Sequence[Point], *, one: float, other: float, paired: bool | None = None
) -> Difference:
    """Compare two λ (as ln λ; -inf is λ = 0) that were chosen before looking."""
    raise NotImplementedError


def compare_best(
    points: Sequence[Point], *, other: float, paired: bool | None = None
) -> Difference:
    """Compare the best λ, chosen without the seed that it is judged on, with ln λ."""
    raise NotImplementedError
