"""Studies: many trainings at once, planned, resumed, and measured."""

from dwindle.study.problem import Data, Problem
from dwindle.study.problems import problem

__all__ = ["Data", "Problem", "problem"]
