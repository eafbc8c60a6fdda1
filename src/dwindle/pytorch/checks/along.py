"""What the lr scheduler of a program makes of a decay: e-folds along its own steps."""

import math
from collections.abc import Iterator
from dataclasses import replace

from torch.optim import Optimizer

from dwindle.audit.findings import Finding
from dwindle.audit.setting_findings import Judged, finding_of
from dwindle.decay.cautions import of_decay
from dwindle.decay.half_life import average_half_life_steps
from dwindle.decay.run import Run
from dwindle.errors import DwindleError
from dwindle.pytorch.probe import probe

# A copy of the scheduler makes every step: some 10 µs each.
MOST_STEPS = 50_000
_TOO_LONG = "DW010"
_CAUTION = "longer-than-the-run"


def e_folds_along(
    optimizer: Optimizer, scheduler: object | None, run: Run
) -> list[float | None]:
    """Return the e-folds of each group over the run as the scheduler takes it.

    Args:
        optimizer: As it is, with the lr that the scheduler has set; never stepped.
        scheduler: Followed on a copy. Without one the schedule of the run counts.
        run: Tells the number of steps.

    Returns:
        One number per group; None where the scheduler cannot be followed: its steps are
        too many, it waits for a metric, it is of another kind than torch's.

    """
    unknown: list[float | None] = [None] * len(optimizer.param_groups)
    steps = run.quantities().get("steps")
    if scheduler is None or steps is None or steps > MOST_STEPS:
        return unknown
    try:
        seen = probe(optimizer, scheduler=scheduler, steps=int(steps))
    except DwindleError:
        return unknown
    return [group.e_folds for group in seen.groups]


def along(told: Judged, e_folds: float, run: Run) -> Judged:
    """Judge the length of a decay again, by the e-folds that the scheduler makes."""
    steps = average_half_life_steps(max(e_folds, 0.0), run=run)
    average = {"steps": steps, "run": steps / run.total_steps}
    explanation = replace(
        told.explanation,
        e_folds=e_folds,
        kept=math.exp(-e_folds),
        half_life_average={**told.explanation.half_life_average, **average},
    )
    judged = replace(told, explanation=explanation)
    kept = [found for found in told.findings if found.code != _TOO_LONG]
    return replace(judged, findings=(*kept, *_too_long(judged, run)))


def _too_long(told: Judged, run: Run) -> Iterator[Finding]:
    explanation = told.explanation
    times = explanation.half_life, explanation.half_life_average
    for caution in of_decay(None, *times, run):
        if caution.code == _CAUTION:
            yield finding_of(_TOO_LONG, caution.text, explanation, run)
