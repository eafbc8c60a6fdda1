"""The problems that dwindle brings, by name."""

from dwindle.study.problem import Problem
from dwindle.study.problems.digits import DIGITS_LOGISTIC, DIGITS_MLP
from dwindle.study.problems.fashion import FASHION_MLP

PROBLEMS: dict[str, Problem] = {
    one.name: one for one in (DIGITS_LOGISTIC, DIGITS_MLP, FASHION_MLP)
}

__all__ = ["PROBLEMS"]
