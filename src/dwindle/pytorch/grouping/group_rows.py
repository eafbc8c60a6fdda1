"""Where each parameter went: one row of what ``decay_groups`` decided."""

import math
from dataclasses import dataclass

from dwindle.pytorch.parameters.roles import Role


@dataclass(frozen=True, kw_only=True)
class Row:
    """One parameter: its group, whether it decays, and why.

    ``group`` is the position in the list of groups, None of a parameter that is in
    none (frozen, or left out of the groups that were given). ``coefficient`` is the
    factor on the decay: 0 where nothing decays, 1 where everything does.
    """

    name: str
    names: tuple[str, ...]
    role: Role
    owner: str
    shape: tuple[int, ...]
    decays: bool
    coefficient: float
    why: str
    group: int | None

    @property
    def numbers(self) -> int:
        """How many numbers the parameter has."""
        return math.prod(self.shape)
