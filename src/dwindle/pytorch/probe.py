"""probe: what an optimizer, as configured, does to weights with zero gradient.

Copies of the optimizer are stepped with zero gradients. Neither its name is believed
nor its documentation, and it is left as it was.
"""

from dataclasses import dataclass
from typing import Any

from dwindle.pytorch.copying.toy import checked
from dwindle.pytorch.follow_schedule import Every, Follower, pace_of
from dwindle.pytorch.probing.group_probe import GroupProbe
from dwindle.pytorch.probing.measuring import measure
from dwindle.pytorch.probing.scheduled import with_run
from dwindle.pytorch.trials import rule_mould
from dwindle.show import Column, Line, Sheet, Table
from dwindle.wording import count, number

__all__ = ["GroupProbe", "Probe", "probe"]

# A probe knows of no data, so an epoch has a length only where it is given.
_EVERY = "Give the steps of the optimizer between two of the scheduler: every=391."
_COLUMNS = (
    Column("group", "number"),
    Column("lr", "number"),
    Column("knob", "number"),
    Column("decay"),
    Column("per step", "number"),
    Column("half-life, steps", "number"),
    Column("as stored"),
    Column("run leaves", "number"),
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What an optimizer does to weights with zero gradient, group by group.

    Args:
        optimizer: Name of its class.
        groups: In the order of its ``param_groups``.

    """

    optimizer: str
    groups: tuple[GroupProbe, ...]

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the probe as JSON has it."""
        return {
            "optimizer": self.optimizer,
            "groups": [group.as_dict() for group in self.groups],
        }

    def __rich__(self) -> Sheet:
        heading = f"{self.optimizer}, stepped on a copy with zero gradients"
        sentences = [
            Line(text=f"{each.group}  {each.sentence}") for each in self.groups
        ]
        table = Table(columns=_COLUMNS, rows=[_row(each) for each in self.groups])
        return Sheet(parts=[Line(text=heading, style="bold"), table, *sentences])

    def _repr_html_(self) -> str:
        return self.__rich__().html()

    def __str__(self) -> str:
        lines = [f"Group {group.group}: {group.sentence}" for group in self.groups]
        return "\n".join([f"{self.optimizer}, stepped on a copy.", *lines])


def probe(
    optimizer: object,
    *,
    scheduler: object | None = None,
    steps: int | None = None,
    every: Every | None = None,
) -> Probe:
    """Find out what an optimizer does to weights with zero gradient.

    Args:
        optimizer: A torch optimizer, or a wrapper around one; it is left as it is.
        scheduler: Its lr scheduler, to go along with ``steps``; left as it is, too.
        steps: Length of the run from now on, to say what it leaves of a weight.
        every: Steps of the optimizer between two of the scheduler: 1 (or ``step``)
            where the loop calls both together, the steps of an epoch where the
            scheduler steps once per epoch. Without it each step is taken, if the
            scheduler's plan is not too short for that.

    Raises:
        RefusedError: If it cannot be copied and stepped, or the scheduler cannot; or
            if the scheduler's plan is so short that its pace must be given.
        RangeError: If there is a scheduler and no number of steps, or if an lr or a
            weight_decay of a group is no number of at least 0.

    Example:
        >>> import torch
        >>> adamw = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))], lr=1e-3)
        >>> found = probe(adamw).groups[0]
        >>> found.walk, found.decouples, round(found.half_life_steps)
        ('geometric', True, 69314)
        >>> print(probe(adamw))
        AdamW, stepped on a copy.
        Group 0: Each step takes 1e-05 of a weight with zero gradient: half is left \
after 69,314 steps. weight_decay decouples: a step takes lr·weight_decay.

    """
    bare = checked(optimizer)
    mould = rule_mould(bare)
    seen = measure(mould)
    if scheduler is not None or steps is not None:
        pace = 1  # a constant lr has none, and steps of 0 are refused below
        if scheduler is not None and steps:
            copy = Follower.of(mould, scheduler)
            pace = pace_of(copy, steps=steps, every=every, remedy=_EVERY).every
        seen = with_run(seen, mould, scheduler=scheduler, steps=steps, every=pace)
    return Probe(optimizer=type(bare).__qualname__, groups=tuple(seen))


def _row(seen: GroupProbe) -> tuple[str, ...]:
    happens = seen.measured_shrink
    stored = seen.dtype if happens is None else f"{number(happens)} in {seen.dtype}"
    shown = (seen.lr, seen.number, seen.shrink_per_step, seen.kept)
    lr, knob, shrink, kept = ("" if each is None else number(each) for each in shown)
    half_life = "" if seen.half_life_steps is None else count(seen.half_life_steps)
    return str(seen.group), lr, knob, seen.walk, shrink, half_life, stored, kept
