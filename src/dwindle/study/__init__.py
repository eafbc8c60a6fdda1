"""Studies: many trainings at once, planned, resumed, and measured."""

from typing import TYPE_CHECKING

from dwindle.lazy import lazy_names

if TYPE_CHECKING:
    from dwindle.study.problems import Data, Problem, problem

__all__ = ["Data", "Problem", "problem"]

# Lazy: a worker process sets its threads before numpy is imported.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Data": "dwindle.study.problems",
        "Problem": "dwindle.study.problems",
        "problem": "dwindle.study.problems",
    },
)
