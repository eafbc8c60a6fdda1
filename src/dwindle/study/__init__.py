"""Studies: many trainings at once, planned, resumed, and measured."""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.study.problems import Data as Data
    from dwindle.study.problems import Problem as Problem
    from dwindle.study.problems import problem as problem

# Lazy: a worker process sets its threads before numpy is imported.
__all__, __getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(("Data", "Problem", "problem"), "dwindle.study.problems")
)
