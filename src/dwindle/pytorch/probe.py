"""probe: what an optimizer, as configured, does to weights that nothing pulls at.

Copies of the optimizer are stepped with zero gradients. Neither its name is believed
nor its documentation, and it is left as it was.
"""

from dataclasses import asdict, dataclass
from typing import Any

from dwindle.pytorch.measuring import Measured, measure
from dwindle.pytorch.probe_words import sentence_of
from dwindle.pytorch.toy import unwrapped


@dataclass(frozen=True, kw_only=True)
class GroupProbe(Measured):
    """What one parameter group does to a weight with zero gradient.

    Args:
        sentence: All of it in words.

    """

    sentence: str

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the group as JSON has it."""
        return asdict(self)


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

    def __str__(self) -> str:
        told = [f"Group {group.group}: {group.sentence}" for group in self.groups]
        return "\n".join([f"{self.optimizer}, stepped on a copy.", *told])


def probe(optimizer: object) -> Probe:
    """Find out what an optimizer does to weights that nothing pulls at.

    Args:
        optimizer: A torch optimizer, or a wrapper around one; it is left as it is.

    Raises:
        RefusedError: If it cannot be copied and stepped.

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
    bare = unwrapped(optimizer)
    groups = (
        GroupProbe(**vars(each), sentence=sentence_of(each)) for each in measure(bare)
    )
    return Probe(optimizer=type(bare).__qualname__, groups=tuple(groups))
