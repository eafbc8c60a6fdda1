"""What the checks of an audit look at: gathered once, from a program left as it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import Group, groups_of
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.checks.practice import network_of
from dwindle.pytorch.checks.rates import Rate, rates_of
from dwindle.pytorch.parameters.roles import Held, held_parameters
from dwindle.pytorch.penalized.double_decay import Penalizing, penalties_of
from dwindle.pytorch.probing.pace import Every


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """A torch program as the checks see it; ``meant`` is the decay that was typed."""

    model: nn.Module
    held: tuple[Held, ...]
    groups: tuple[Group, ...]
    run: Run
    schedulers: tuple[object, ...]
    every: Every | None
    normalized: tuple[Normalized, ...]
    rates: tuple[Rate, ...]
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

    def groups_of(self, held: Held) -> tuple[Group, ...]:
        """Return the groups that list a parameter."""
        return self.places.get(id(held.parameter), ())

    def decaying(self, *roles: str) -> tuple[Held, ...]:
        """Return trainable parameters of these roles that are in a decaying group."""
        return tuple(
            held
            for held in self.held
            if held.role in roles
            and held.trainable
            and any(group.decays for group in self.groups_of(held))
        )

    @cached_property
    def network(self) -> str | None:
        """What kind of network the model is; None where its layers do not tell."""
        return network_of(self.model)

    @property
    def steps(self) -> int | None:
        """Steps of the run, where they are known."""
        steps = self.run.quantities().get("steps")
        return None if steps is None else int(steps)


def schedulers_of(scheduler: object | None) -> tuple[object, ...]:
    """Return the schedulers of a program: none, one, or one for each optimizer."""
    if scheduler is None:
        return ()
    several = isinstance(scheduler, list | tuple)
    return tuple(scheduler) if several else (scheduler,)  # type: ignore[arg-type]  # told apart just now


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
    held = held_parameters(model)
    schedulers = schedulers_of(scheduler)
    groups = tuple(groups_of(optimizer, held, run, schedulers, every=every))
    return Facts(
        model=model,
        held=held,
        groups=groups,
        run=run,
        schedulers=schedulers,
        every=every,
        normalized=tuple(normalized),
        rates=tuple(rates_of(groups, run)),
        penalties=penalties_of(each.parameter for each in held),
        meant=meant,
    )
