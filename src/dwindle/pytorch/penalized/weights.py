"""The weights of a penalty, and whether the model still has them as a moment ago."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.parameters.slots import Slot, slots_of
from dwindle.pytorch.penalized.squares import is_sharded

# Name, parameter, and whether it is trained.
_Children = dict[str, nn.Module | None]
_Parameters = tuple[tuple[str, nn.Parameter | None, bool], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PenalizedWeight:
    """One penalized weight: where its numbers lie, and its factor."""

    slot: Slot
    coefficient: float

    def parameter(self) -> nn.Parameter:
        """Return the parameter as the model has it now, sharded where it is so."""
        now, first = self.slot.current, self.slot.parameter
        # FSDP2 puts whole ones there for a while: another copy, in another precision.
        return first if is_sharded(first) and not is_sharded(now) else now

    def tensor(self) -> Tensor:
        """Return the weight as the layer uses it."""
        if self.slot.gain or self.slot.holder is self.slot.module:
            return self.parameter()
        computed: Tensor = getattr(self.slot.module, self.slot.slot)
        return computed


def weights_of(
    model: nn.Module, chosen: Sequence[ParameterRole], factors: Sequence[float]
) -> tuple[PenalizedWeight, ...]:
    """Return where the chosen parameters lie in a model, each with its factor."""
    # A tied parameter is computed as at its first place.
    slots = {id(slot.parameter): slot for slot in reversed([*slots_of(model)])}
    # Under weight_norm the squares of a weight are those of its lengths.
    gains = {(id(s.module), s.slot): s for s in slots.values() if s.gain}
    weights = []
    for held, factor in zip(chosen, factors, strict=True):
        slot = slots[id(held.parameter)]
        slot = gains.get((id(slot.module), slot.slot), slot)
        weights.append(PenalizedWeight(slot=slot, coefficient=factor))
    return tuple(weights)


class ModelState:
    """What lies in a model, and what is frozen, to be compared later.

    A comparison takes a microsecond per module: less than a hundredth of what reading
    its weights takes. Parameters that FSDP2 has put together for a while are the same.

    Args:
        model: The model; it is read only.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        >>> state = ModelState(model)
        >>> state.is_as_it_was()
        True
        >>> _ = model[0].weight.requires_grad_(False)
        >>> state.is_as_it_was()
        False

    """

    def __init__(self, model: nn.Module) -> None:
        self._modules: list[tuple[nn.Module, _Children, _Parameters]] = []
        for module in model.modules():
            own = module._parameters.items()  # noqa: SLF001 - no walk is as quick
            now = ((name, p, p is not None and p.requires_grad) for name, p in own)
            self._modules.append((module, dict(module._modules), tuple(now)))  # noqa: SLF001

    def is_as_it_was(self) -> bool:
        """Return whether modules, parameters and what is frozen are as they were."""
        return all(
            module._modules == children and _are_alike(module, parameters)  # noqa: SLF001
            for module, children, parameters in self._modules
        )


def _are_alike(module: nn.Module, before: _Parameters) -> bool:
    now = module._parameters  # noqa: SLF001
    if len(now) != len(before):
        return False
    for name, then, trained in before:
        here = now.get(name)
        if here is not then:
            is_gathered = here is not None and then is not None and is_sharded(then)
            if not is_gathered or is_sharded(here):  # type: ignore[arg-type]  # not None
                return False
        if here is not None and here.requires_grad != trained:
            return False
    return True
