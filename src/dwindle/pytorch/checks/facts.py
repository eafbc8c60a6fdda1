"""What the checks of an audit read: gathered once, from a program left as it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from dwindle.audit.codes import of_groups, short
from dwindle.audit.findings import Finding
from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.checks.practice import network_of
from dwindle.pytorch.follow_schedule import Every
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.penalized.double_decay import Penalizing

# Fields of a finding among the words of a check; the others are values of it.
_OF_A_FINDING = ("case", "advice", "paste", "is_slight")


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """A torch program as the checks see it; ``meant`` is the decay that was typed."""

    model: nn.Module
    held: tuple[ParameterRole, ...]
    groups: tuple[Group, ...]
    run: Run
    schedulers: tuple[object, ...]
    every: Every | None
    normalized: tuple[Normalized, ...]
    penalties: tuple[Penalizing, ...]
    meant: float | None = None

    @cached_property
    def places(self) -> Mapping[int, tuple[Group, ...]]:
        """Groups of each parameter, by its id; one that is listed twice comes twice."""
        found: dict[int, tuple[Group, ...]] = {}
        for group in self.groups:
            for held in group.held:
                found[id(held.parameter)] = (*found.get(id(held.parameter), ()), group)
        return found

    def groups_of(self, held: ParameterRole) -> tuple[Group, ...]:
        """Return the groups that list a parameter."""
        return self.places.get(id(held.parameter), ())

    def groups_with(self, held: Iterable[ParameterRole]) -> list[Group]:
        """Return the groups that list any of some parameters, in their order."""
        ids = {id(each.parameter) for each in held}
        return [
            group
            for group in self.groups
            if any(id(each.parameter) in ids for each in group.held)
        ]

    def decaying(self, *roles: str) -> tuple[ParameterRole, ...]:
        """Return trainable parameters of these roles that are in a decaying group."""
        return tuple(
            held
            for held in self.held
            if held.role in roles
            and held.trainable
            and any(group.decays for group in self.groups_of(held))
        )

    @property
    def judged(self) -> tuple[Group, ...]:
        """Groups that decay by a rule that dwindle can compute."""
        return tuple(group for group in self.groups if group.judged is not None)

    @cached_property
    def network(self) -> str | None:
        """What kind of network the model is; None where its layers do not show it."""
        return network_of(self.model)

    @property
    def steps(self) -> int | None:
        """Steps of the run, where they are known."""
        steps = self.run.quantities().get("steps")
        return None if steps is None else int(steps)


# A finding has a severity, a line and a case by keyword, and values of any type.
def on_parameters(
    code: str, held: Sequence[ParameterRole], groups: Sequence[Group] = (), **more: Any
) -> Finding:
    """Return a finding on parameters, whose values name, count and place them.

    Args:
        code: Its code.
        held: The parameters.
        groups: Groups that it names, with their settings.
        more: Fields of a finding; the others are values of it.

    Example:
        >>> from dwindle.pytorch.parameters.roles import parameter_roles
        >>> found = on_parameters("DW001", parameter_roles(nn.Linear(2, 3)))
        >>> found.where, found.values["tensors"]
        ('weight and bias', (2, 9))

    """
    names = tuple(each.name for each in held)
    sizes = len(held), sum(each.parameter.numel() for each in held)
    values = {"names": names, "tensors": sizes} | (in_groups(groups) if groups else {})
    return _found(code, short(names), values | more)


def on_groups(
    code: str, groups: Sequence[Group], option: str = "", /, **more: Any
) -> Finding:
    """Return a finding on groups, or on an option of theirs; see `on_parameters`."""
    where = of_groups([group.number for group in groups])
    where = f"{where}, {option}" if option else where
    return _found(code, where, in_groups(groups) | more)


def _found(code: str, where: str, given: Mapping[str, Any]) -> Finding:
    own = {name: given[name] for name in _OF_A_FINDING if name in given}
    values = {name: value for name, value in given.items() if name not in own}
    return Finding(code=code, where=where, values=values, **own)


def in_groups(groups: Iterable[Group]) -> dict[str, Any]:
    """Return the values that name groups, and their distinct settings."""
    listing = list(groups)
    return {
        "groups": tuple(group.number for group in listing),
        "settings": tuple(dict.fromkeys(group.setting for group in listing)),
    }
