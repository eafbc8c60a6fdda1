"""What the checks of an audit read: facts of a program, and the practice of recipes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from dwindle.audit.codes import of_groups, short
from dwindle.audit.findings import Finding
from dwindle.audit.setting_findings import (
    is_a_training,
    is_as_good_as_none,
    is_within_practice,
    recipes_of_practice,
)
from dwindle.decay.families import SGD
from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import AuditedGroup
from dwindle.pytorch.checks.normalized import Normalized
from dwindle.pytorch.follow_schedule import Every
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.penalized.double_decay import Penalizing

# Keywords of a check that are fields of a finding; the others are values of it.
_OF_A_FINDING = ("case", "advice", "paste", "is_slight")


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """A torch program as the checks see it; ``meant`` is the decay that was typed."""

    model: nn.Module
    held: tuple[ParameterRole, ...]
    groups: tuple[AuditedGroup, ...]
    run: Run
    schedulers: tuple[object, ...]
    every: Every | None
    normalized: tuple[Normalized, ...]
    penalties: tuple[Penalizing, ...]
    meant: float | None = None

    @cached_property
    def places(self) -> Mapping[int, tuple[AuditedGroup, ...]]:
        """Groups of each parameter, by its id; one that is listed twice comes twice."""
        found: dict[int, tuple[AuditedGroup, ...]] = {}
        for group in self.groups:
            for held in group.held:
                found[id(held.parameter)] = (*found.get(id(held.parameter), ()), group)
        return found

    def groups_of(self, held: ParameterRole) -> tuple[AuditedGroup, ...]:
        """Return the groups that list a parameter."""
        return self.places.get(id(held.parameter), ())

    def groups_with(self, held: Iterable[ParameterRole]) -> list[AuditedGroup]:
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
    def judged(self) -> tuple[AuditedGroup, ...]:
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


# More keywords are fields of the finding, or values of any type.
def on_parameters(
    code: str,
    held: Sequence[ParameterRole],
    groups: Sequence[AuditedGroup] = (),
    **more: Any,
) -> Finding:
    """Return a finding on parameters, whose values name, count and place them."""
    names = tuple(each.name for each in held)
    sizes = len(held), sum(each.parameter.numel() for each in held)
    values = {"names": names, "tensors": sizes} | (in_groups(groups) if groups else {})
    return _found(code, short(names), values | more)


def on_groups(
    code: str, groups: Sequence[AuditedGroup], option: str = "", /, **more: Any
) -> Finding:
    """Return a finding on groups, or on an option of theirs; see `on_parameters`."""
    where = of_groups([group.number for group in groups])
    where = f"{where}, {option}" if option else where
    return _found(code, where, in_groups(groups) | more)


def _found(code: str, where: str, given: Mapping[str, Any]) -> Finding:
    own = {name: given[name] for name in _OF_A_FINDING if name in given}
    values = {name: value for name, value in given.items() if name not in own}
    return Finding(code=code, where=where, values=values, **own)


def in_groups(groups: Iterable[AuditedGroup]) -> dict[str, Any]:
    """Return the values that name groups, and their distinct settings."""
    listing = list(groups)
    return {
        "groups": tuple(group.number for group in listing),
        "settings": tuple(dict.fromkeys(group.setting for group in listing)),
    }


# In the class names of all libraries, also of their kernels.
_ATTENTION = "Attention"
# The smallest patch of the convolution that vision transformers begin with.
_SMALLEST_PATCH = 4
CONVOLUTIONAL, RECURRENT = "convolutional network", "recurrent language model"


def network_of(model: nn.Module) -> str | None:
    """Return what kind of network a model is; None where its layers do not show it."""
    modules = list(model.modules())
    convolutions = [each for each in modules if isinstance(each, _ConvNd)]
    attends = any(_ATTENTION in type(each).__name__ for each in modules)
    embeds = any(isinstance(each, nn.Embedding) for each in modules)
    if convolutions and not embeds:
        if not attends:
            return CONVOLUTIONAL
        sizes = [{*each.kernel_size, *each.stride} for each in convolutions]
        patches = any(len(each) == 1 and min(each) >= _SMALLEST_PATCH for each in sizes)
        return "vision transformer" if patches else None
    if convolutions:
        return None
    if any(isinstance(each, nn.RNNBase) for each in modules):
        return RECURRENT
    return "language model" if embeds and attends else None


def is_comparable(model: nn.Module, groups: Iterable[AuditedGroup]) -> bool:
    """Return whether a model is trained from scratch for what those of recipes do.

    Frozen parameters, and layers with an lr each under one weight decay, show that it
    starts from trained weights; no Linear, that it classifies and predicts nothing.
    """
    lrs: dict[tuple[int, float], set[float]] = {}
    for group in groups:
        if group.knob and group.held:
            lrs.setdefault((id(group.optimizer), group.knob), set()).add(group.lr)
    several = any(len(each) > 1 for each in lrs.values())
    trains_all = all(each.requires_grad for each in model.parameters())
    has_head = any(isinstance(each, nn.Linear) for each in model.modules())
    return trains_all and has_head and not several


def decays_like_recipes(
    groups: Iterable[AuditedGroup], network: str | None, run: Run
) -> bool:
    """Return whether decayed biases and norms are usual in all of some groups.

    Networks that SGD trains from scratch decay all that they have, as those of He et
    al. 2016; and where a run leaves nearly all of a weight, a bias hardly decays.
    """
    alike = recipes_of_practice(SGD.name, network)
    for group in groups:
        is_known = group.judged is not None and group.explanation.e_folds is not None
        if is_known and is_as_good_as_none(group.explanation):
            continue
        # Recurrent networks are seldom fine-tuned, and trained at any lr.
        is_new = network == RECURRENT or is_a_training(group.run(run), alike)
        if not (group.is_sgd and is_new):
            return False
    return True


def decays_as_little(
    group: AuditedGroup, judged: Iterable[AuditedGroup], network: str | None
) -> bool:
    """Return whether a long half-life is usual: in a recipe, or in a lower layer.

    Layer-wise lrs stretch the half-life of the first layers on purpose; where the layer
    with the highest lr decays within the run, a note on the lrs is enough.
    """
    if is_within_practice(group.explanation, network):
        return True
    fastest = max(
        (
            other
            for other in judged
            if other.optimizer is group.optimizer
            and other.explanation.value == group.explanation.value
        ),
        key=lambda other: other.lr,
    )
    return fastest.lr > group.lr and all(each.code != "DW010" for each in fastest.found)


def is_usual_coupling(group: AuditedGroup, network: str | None) -> bool:
    """Return whether L2 through an adaptive optimizer is what recipes of a kind do.

    MobileNets and EfficientNets were tuned with RMSprop and an L2 of 1e-5 or 4e-5.
    """
    classes = [cls.__name__ for cls in type(group.optimizer).__mro__]
    return network == CONVOLUTIONAL and any("RMSprop" in name for name in classes)
