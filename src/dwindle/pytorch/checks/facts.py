"""What the checks of an audit read: gathered once, from a program left as it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from dwindle.audit.codes import of_groups, short
from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import Group, groups_of
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.checks.practice import network_of
from dwindle.pytorch.follow_schedule import Every
from dwindle.pytorch.parameters.roles import ParameterRole, parameter_roles
from dwindle.pytorch.penalized.double_decay import Penalizing, penalties_of


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


def gathered(  # noqa: PLR0913 the parts of a program
    model: nn.Module,
    optimizer: object,
    *,
    scheduler: object | None,
    run: Run,
    every: Every | None,
    normalized: Iterable[Normalized],
    meant: float | None = None,
) -> Facts:
    """Return all facts that the checks need; nothing of the program is changed."""
    held = parameter_roles(model)
    schedulers: tuple[object, ...] = ()
    if scheduler is not None:
        several = isinstance(scheduler, list | tuple)
        schedulers = tuple(scheduler) if several else (scheduler,)  # type: ignore[arg-type]  # told apart just now
    return Facts(
        model=model,
        held=held,
        groups=tuple(groups_of(optimizer, held, run, schedulers, every=every)),
        run=run,
        schedulers=schedulers,
        every=every,
        normalized=tuple(normalized),
        penalties=penalties_of(each.parameter for each in held),
        meant=meant,
    )


def at_parameters(held: Sequence[ParameterRole]) -> dict[str, Any]:
    """Return where a finding is, and the values that name and count its parameters.

    Example:
        >>> found = at_parameters(parameter_roles(nn.Linear(2, 3)))
        >>> found["where"], found["values"]["tensors"]
        ('weight and bias', (2, 9))

    """
    names = tuple(each.name for each in held)
    numbers = sum(each.parameter.numel() for each in held)
    sizes = len(held), numbers
    return {"where": short(names), "values": {"names": names, "tensors": sizes}}


def in_groups(groups: Iterable[Group]) -> dict[str, Any]:
    """Return the values that name groups, and their distinct settings."""
    listing = list(groups)
    return {
        "groups": tuple(group.number for group in listing),
        "settings": tuple(dict.fromkeys(group.setting for group in listing)),
    }


def where_groups(groups: Iterable[Group]) -> str:
    """Return the place of a finding on groups: ``group 0`` or ``groups 0, 1``."""
    return of_groups([group.number for group in groups])
