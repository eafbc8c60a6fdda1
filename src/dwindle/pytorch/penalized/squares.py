"""The weights of a penalty: the sum of their squares, and whether they are still there.

It is that of many tensors at once, each with a factor. The value takes one pass over
the numbers, the gradient another. The value is summed in float32 (float64 where a
tensor is), the gradient ``2 · factor · tensor`` is rounded once, to the tensor's
format.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.parameters.slots import Slot, slots_of

Factors = tuple[float, ...]


def weighted_squares(tensors: Sequence[Tensor], factors: Sequence[float]) -> Tensor:
    """Return ``Σ_j factor_j · Σ |tensor_j|²`` as a tensor of no dimensions.

    They may have any shapes, formats and devices. Sharded ones (DTensor) are summed
    over all shards, by one small all-reduce per layout. The sum is on the device of the
    first tensor, and differentiable as often as wished.
    """
    found: Tensor = _WeightedSquares.apply(tuple(factors), *tensors)  # type: ignore[no-untyped-call] # torch types no apply
    return found


class _WeightedSquares(torch.autograd.Function):
    """The value by norms, the gradient by one product; neither by autograd."""

    @staticmethod
    def forward(factors: Factors, *tensors: Tensor) -> Tensor:
        double = any(tensor.dtype in _DOUBLE for tensor in tensors)
        exact = torch.float64 if double else torch.float32
        sums = [
            factors[positions[0]] * _squares([tensors[p] for p in positions])
            for positions in _by_kind(tensors, factors, [True] * len(tensors))
        ]
        return torch.stack([each.to(sums[0].device, exact) for each in sums]).sum()

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Any, ...], output: Tensor
    ) -> None:  # Any: torch's
        del output
        ctx.factors = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        found: list[Tensor | None] = [None] * len(wanted)
        for positions in _by_kind(ctx.saved_tensors, ctx.factors, wanted):
            tensors = [ctx.saved_tensors[position] for position in positions]
            by = gradient * (2 * ctx.factors[positions[0]])
            for position, product in zip(positions, _scaled(tensors, by), strict=True):
                found[position] = product
        return None, *found


# One of them makes the whole sum a double; a half is widened before it is squared.
_DOUBLE = (torch.float64, torch.complex128)
_HALF = (torch.float16, torch.bfloat16)


def _by_kind(
    tensors: Sequence[Any], factors: Factors, wanted: Sequence[bool]
) -> Iterable[list[int]]:
    """Return the positions of tensors that can be summed in one go."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, tensor in enumerate(tensors):
        if wanted[position]:
            mesh = (tensor.device_mesh, tensor.placements) if is_sharded(tensor) else ()
            kind = (factors[position], tensor.device, tensor.dtype, *mesh)
            alike.setdefault(kind, []).append(position)
    return alike.values()


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor, spread over processes."""
    # By what it can do: importing DTensor costs seconds, and few programs have any.
    return hasattr(tensor, "to_local") and hasattr(tensor, "placements")


def _local(tensor: Any) -> Tensor:  # Any: some have shards
    local: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return local


def _squares(tensors: Sequence[Any]) -> Tensor:  # Any: some DTensors
    """Return the sum of squares of tensors of one kind."""
    local, first = [_local(tensor) for tensor in tensors], tensors[0]
    if local[0].device.type == "cpu":
        # Summed in pairs. A norm adds one number after the other there: in float32,
        # over ten million of them, it was seen to lose 7e-4.
        real = (torch.view_as_real(t) if t.is_complex() else t for t in local)
        wide = (t.float() if t.dtype in _HALF else t for t in real)
        summed = torch.stack([each.square().sum() for each in wide]).sum()
    else:  # one kernel for all tensors, as clip_grad_norm_ has it
        dtype = torch.float32 if local[0].dtype in _HALF else None
        norms = torch._foreach_norm(local, 2, dtype=dtype)  # noqa: SLF001 - has no public name
        summed = torch.stack(norms).square().sum()
    if not is_sharded(first):
        return summed
    from torch.distributed.tensor import DTensor, Partial, Replicate

    split = [Partial() if each.is_shard() else Replicate() for each in first.placements]
    whole = DTensor.from_local(summed, first.device_mesh, split, run_check=False)
    return whole.full_tensor()


def _scaled(
    tensors: Sequence[Any], by: Tensor
) -> Iterator[Tensor]:  # Any: some DTensors
    """Yield tensors of one kind times one number, each in its format and layout."""
    local = [_local(tensor) for tensor in tensors]
    products = torch._foreach_mul(local, by.to(local[0].device))  # noqa: SLF001 - public foreach has no name
    if not is_sharded(tensors[0]):
        yield from products
        return
    from torch.distributed.tensor import DTensor

    for like, product in zip(tensors, products, strict=True):
        yield DTensor.from_local(
            product,
            like.device_mesh,
            like.placements,
            run_check=False,
            shape=like.shape,
            stride=like.stride(),
        )


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
