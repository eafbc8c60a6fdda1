"""A controller as a table: how the decay of each group is held, and at which lr."""

from collections.abc import Sequence

from dwindle.decay.half_life import HalfLife
from dwindle.pytorch.holding.hold import GroupPlan
from dwindle.pytorch.holding.target import Target
from dwindle.show import Column, Table
from dwindle.wording import count, number

_NOT_YET = "from the next step"
_COLUMNS = (
    Column("group", "number"),
    Column("weights", "number"),
    Column("mechanism"),
    Column("penalty", "number"),
    Column("half-life", "number"),
    Column("in epochs", "number"),
    Column("at lr", "number"),
    Column("largest seen", "number"),
)


def table_of(
    title: str,
    plans: Sequence[GroupPlan],
    target: Target,
    numbers: Sequence[int],
    *,
    lr_seen: Sequence[float],
) -> Table:
    """Return one row per param group.

    Args:
        title: Optimizer and target in one line.
        plans: What is done to each group; groups that were just added have none yet.
        target: What is held.
        numbers: How many weights each group has.
        lr_seen: The largest lr that each group had at a step; 0 before the first.

    """
    rows = []
    for at, weights in enumerate(numbers):
        group = (str(at), f"{weights:,}")
        if at < len(plans):
            plan = plans[at]
            rows.append((*group, plan.mechanism, *_held(plan, target, lr_seen[at])))
        else:
            rows.append((*group, _NOT_YET, "", "", "", "", ""))
    return Table(title=title, columns=_COLUMNS, rows=rows)


def _held(plan: GroupPlan, target: Target, seen: float) -> tuple[str, ...]:
    """Return penalty, half-life, the same in epochs, its lr, the largest lr so far."""
    if plan.rate is None:
        is_penalty = target.penalty is not None and plan.mechanism == "penalty"
        return number(plan.knob) if is_penalty else "", "", "", "", ""
    steps = plan.rate.half_life_steps
    run, peak = target.run, plan.lr_peak
    in_epochs = ""
    if None not in (run.batch_size, run.dataset_size):
        in_epochs = count(HalfLife.from_steps(steps, clock="epochs", run=run).value)
    # A peak that the run never reaches shows beside the largest lr so far.
    lr = "every lr" if peak is None else number(peak)
    largest = number(seen) if peak is not None and seen else ""
    return "", f"{count(steps)} steps", in_epochs, lr, largest
