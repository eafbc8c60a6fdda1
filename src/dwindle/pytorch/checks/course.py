"""What the lr scheduler of a program makes of a decay: e-folds along its own steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch.optim import Optimizer

from dwindle.decay.explain import Explanation
from dwindle.decay.half_life import average_half_life_steps
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RefusedError
from dwindle.pytorch.follow_schedule import (
    Every,
    Follower,
    Pace,
    belongs_to,
    pace_of,
)
from dwindle.pytorch.probe import probe
from dwindle.pytorch.trials import rule_mould

# Given instead of a pace: the schedule of the run counts, and not the scheduler.
NEVER = "never"
# Two at once would need the order in which the loop calls them.
_SEVERAL = "The optimizer has several schedulers, and one is followed at a time."


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the lr of one optimizer goes over a run, as its scheduler takes it.

    ``scheduler`` is its class, empty where there is none that counts. Where it is not
    followed there are no pace and no e-folds, and ``why_not`` says why in a sentence.
    """

    scheduler: str = ""
    pace: Pace | None = None
    e_folds: tuple[float | None, ...]
    why_not: str = ""

    @property
    def moves(self) -> int:
        """Steps of the optimizer between two of the scheduler; 1 where not known."""
        return (self.pace.every if self.pace else None) or 1

    @property
    def is_guessed(self) -> bool:
        """Whether it is followed at a pace that nobody gave."""
        return self.pace is not None and self.pace.is_guessed


def course_of(
    optimizer: Optimizer,
    schedulers: Sequence[object],
    run: Run,
    *,
    every: Every | None = None,
) -> Course:
    """Return how the scheduler of an optimizer takes its lr over the run.

    It is followed on a copy. A schedule in the run counts instead of it.
    """
    unknown = Course(e_folds=(None,) * len(optimizer.param_groups))
    mine = [each for each in schedulers if belongs_to(each, optimizer)]
    steps = run.quantities().get("steps")
    if not mine or steps is None or every == NEVER or run.schedule != Schedule():
        return unknown
    named = replace(unknown, scheduler=scheduler_name(mine[0]))
    if len(mine) > 1:
        return replace(named, why_not=_SEVERAL)
    steps_per_epoch = None
    if run.dataset_size is not None and run.batch_size is not None:
        steps_per_epoch = run.steps_per_epoch
    elif run.steps is not None and run.epochs is not None:
        steps_per_epoch = max(1, round(run.steps / run.epochs))
    try:
        pace = pace_of(
            Follower.of(rule_mould(optimizer), mine[0]),
            steps=int(steps),
            steps_per_epoch=steps_per_epoch,
            every=every,
        )
        seen = probe(optimizer, scheduler=mine[0], steps=int(steps), every=pace.every)
    except RefusedError as error:
        return replace(named, why_not=f"{error.why} {error.instead}")
    e_folds = tuple(group.e_folds for group in seen.groups)
    return replace(named, pace=pace, e_folds=e_folds)


def scheduler_name(scheduler: object) -> str:
    """Return the class of a scheduler, inside of what accelerate wraps around it."""
    return type(getattr(scheduler, "scheduler", scheduler)).__name__


def along(told: Explanation, e_folds: float | None, run: Run) -> Explanation:
    """Return an explanation with the e-folds that a scheduler was seen to make."""
    if e_folds is None:
        average = dict.fromkeys(told.half_life_average)
        return replace(told, e_folds=None, kept=None, half_life_average=average)
    steps = average_half_life_steps(max(e_folds, 0.0), run=run)
    times = {"steps": steps, "run": steps / run.total_steps}
    return replace(
        told,
        e_folds=e_folds,
        kept=math.exp(-e_folds),
        half_life_average={**told.half_life_average, **times},
    )
