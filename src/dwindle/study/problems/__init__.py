"""The problems that dwindle brings, by name."""

from functools import cache

from dwindle.errors import UnknownNameError
from dwindle.study.problem import Data, Problem
from dwindle.study.problems.digits import DIGITS_LOGISTIC, DIGITS_MLP
from dwindle.study.problems.fashion import FASHION_MLP

PROBLEMS: dict[str, Problem] = {
    one.name: one for one in (DIGITS_LOGISTIC, DIGITS_MLP, FASHION_MLP)
}

__all__ = ["PROBLEMS", "load_once", "problem"]


def problem(name: str) -> Problem:
    """Return the problem of that name.

    Raises:
        UnknownNameError: If there is none; with the nearest names.

    Example:
        >>> problem("digits-mlp").pool_size
        1200

    """
    if name not in PROBLEMS:
        raise UnknownNameError.among("problem", name, PROBLEMS)
    return PROBLEMS[name]


@cache
def load_once(problem: Problem) -> Data:
    """Return the data of a problem, read from disk once per process."""
    return problem.load()
