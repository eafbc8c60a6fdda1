"""probe: what an optimizer, as configured, does to weights that nothing pulls at.

Copies of the optimizer are stepped with zero gradients. Neither its name is believed
nor its documentation, and it is left as it was.
"""

from dataclasses import dataclass
from typing import Any

from dwindle.pytorch.copying.toy import Mould, checked
from dwindle.pytorch.follow_schedule import Every, Follower, pace_of
from dwindle.pytorch.probing.group_probe import GroupProbe
from dwindle.pytorch.probing.measuring import measure
from dwindle.pytorch.probing.probe_table import sheet_of
from dwindle.pytorch.probing.scheduled import with_run
from dwindle.pytorch.trials import rule_mould
from dwindle.show import Sheet

__all__ = ["GroupProbe", "Probe", "probe"]

# A probe knows of no data, so an epoch has a length only where it is given.
_EVERY = "Give the steps of the optimizer between two of the scheduler: every=391."


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
        return sheet_of(self.optimizer, self.groups)

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
    """Find out what an optimizer does to weights that nothing pulls at.

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
        >>> found.family, found.decouples, round(found.half_life_steps)
        ('geometric', True, 69314)
        >>> print(probe(adamw))
        AdamW, stepped on a copy.
        Group 0: Each step takes 1e-05 of a weight that nothing pulls at: half is left \
after 69,314 steps. weight_decay decouples: a step takes lr·weight_decay.

    """
    bare = checked(optimizer)
    mould = rule_mould(bare)
    seen = measure(mould)
    if scheduler is not None or steps is not None:
        pace = _pace(mould, scheduler, steps, every)
        seen = with_run(seen, mould, scheduler=scheduler, steps=steps, every=pace)
    return Probe(optimizer=type(bare).__qualname__, groups=tuple(seen))


def _pace(
    mould: Mould, scheduler: object | None, steps: int | None, every: Every | None
) -> int:
    if scheduler is None or not steps:
        return 1
    follower = Follower.of(mould, scheduler)
    return pace_of(follower, steps=steps, every=every, remedy=_EVERY).every
