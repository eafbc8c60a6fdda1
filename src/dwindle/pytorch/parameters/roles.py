"""What each parameter of a model is for: weight, bias, gain, embedding, token.

Told by the type of the layer that owns it and by its original shape, so that a matrix
stays one when a model is wrapped, compiled or sharded. The name counts only where a
module keeps a matrix without a layer (:mod:`dwindle.pytorch.parameters.bare`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import nn

from dwindle.pytorch.parameters.bare import bare_role
from dwindle.pytorch.parameters.layers import (
    Shape,
    class_of,
    is_embedding,
    is_norm,
    layer_of,
    wide,
)
from dwindle.pytorch.parameters.slots import Slot, slots_of

Role = Literal["weight", "bias", "norm", "embedding", "vector", "token"]
ROLES: tuple[Role, ...] = get_args(Role)

# Where one tensor has several roles (an output layer tied to the embedding), the first.
_STRONGEST: tuple[Role, ...] = (
    "embedding",
    "norm",
    "token",
    "bias",
    "weight",
    "vector",
)
# A position embedding or a mask token: (1, length, width), the same for every sample.
_TOKEN_DIMENSIONS = 3
_OUT_AND_IN = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """One parameter of a model, once, however many names it has.

    ``name`` is the first of ``names``, without the names of wrappers. ``shape`` is the
    original one, also where the parameter is sharded. ``owner`` is the class of the
    layer, ``why`` says the role in a few words. ``fan_in`` is how many inputs one
    output sees (a convolution: channels per group times kernel), None where the layer
    does not tell; an embedding looks one row up, so its ``fan_in`` is 1.
    """

    name: str
    names: tuple[str, ...]
    parameter: nn.Parameter
    role: Role
    owner: str
    why: str
    shape: Shape
    trainable: bool
    fan_in: int | None = None
    fan_out: int | None = None

    @property
    def numbers(self) -> int:
        """How many numbers the whole parameter has."""
        return math.prod(self.shape)


def held_parameters(model: nn.Module) -> tuple[Held, ...]:
    """Return every parameter of a model with its role, in the order of the model.

    Args:
        model: A module, also one that is wrapped (DDP, DataParallel, ``torch.compile``)
            or sharded (FSDP2 ``fully_shard``). Nothing in it is changed.

    Returns:
        One record per parameter; a tied one comes once, with all its names.

    Raises:
        RefusedError: If ``model`` is no module, or FSDP1 has flattened its parameters,
            or a lazy layer has not met its first batch.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU())
        >>> for held in held_parameters(model):
        ...     print(held.name, held.role, held.why, sep=" | ")
        0.weight | weight | weight of a Conv2d
        0.bias | bias | bias of a Conv2d
        1.weight | norm | weight of a BatchNorm2d
        1.bias | norm | bias of a BatchNorm2d
        2.weight | vector | weight of a PReLU, one number

    """
    places: dict[int, list[Slot]] = {}
    for slot in slots_of(model):
        places.setdefault(id(slot.parameter), []).append(slot)
    return tuple(_held(slots) for slots in places.values())


def _held(slots: Sequence[Slot]) -> Held:
    told = [_told(slot) for slot in _distinct(slots)]
    names = tuple(dict.fromkeys(slot.name for slot in slots))
    chosen = min(told, key=lambda held: _STRONGEST.index(held.role))
    others = [held.why for held in told if held.why != chosen.why]
    why = "; also ".join([chosen.why, *dict.fromkeys(others)])
    return replace(chosen, name=names[0], names=names, why=why)


def _distinct(slots: Iterable[Slot]) -> Iterable[Slot]:
    """Return each use once: a layer that is called at two places is one layer."""
    return {(id(slot.module), slot.slot): slot for slot in slots}.values()


def _told(slot: Slot) -> Held:
    shape = _shape(slot.parameter)
    role, remark = _role(slot, shape)
    owner = class_of(slot.module)
    fan_in, fan_out = _fans(slot.module, shape, role)
    return Held(
        name=slot.name,
        names=(slot.name,),
        parameter=slot.parameter,
        role=role,
        owner=owner,
        why=f"{slot.slot} of {_article(owner)} {owner}{remark}",
        shape=shape,
        trainable=slot.parameter.requires_grad,
        fan_in=fan_in,
        fan_out=fan_out,
    )


def _role(slot: Slot, shape: Shape) -> tuple[Role, str]:
    """Return the role and what has to be said besides the layer."""
    if slot.gain:
        return "norm", ", the length that weight_norm learns apart"
    if is_norm(slot.module, _shapes(slot.module)):
        return "norm", ""
    if _is_bias(slot, shape):
        return "bias", ""
    if is_embedding(slot.module) and len(shape) > 1:
        return "embedding", ""
    if layer_of(slot.module) is not None and "weight" in slot.slot.split("_"):
        return "weight", ""  # also of one row: a linear layer with one output
    return _role_of_shape(slot, shape)


def _role_of_shape(slot: Slot, shape: Shape) -> tuple[Role, str]:
    if _is_convolution(slot, shape):
        return "weight", ", a convolution for each sample"
    if _is_token(shape):
        return "token", ", the same for every sample"
    if wide(shape) > 1:
        return bare_role(slot) or ("weight", ", a matrix")
    return "vector", ", a vector" if wide(shape) else ", one number"


def _is_bias(slot: Slot, shape: Shape) -> bool:
    words = slot.slot.split("_")
    if "bias" not in (words[0], words[-1]):
        return False
    # Experts keep a bias each, (experts, width), beside weights of one dimension more.
    dimensions = max(map(len, _shapes(slot.module)))
    return wide(shape) <= 1 or len(shape) < dimensions


def _is_convolution(slot: Slot, shape: Shape) -> bool:
    """Whether it is (1, out, in, …), as StyleGAN2 multiplies it by each sample."""
    if "weight" not in slot.slot.split("_") or len(shape) <= _TOKEN_DIMENSIONS:
        return False
    return shape[0] == 1 and wide(shape[:3]) == _OUT_AND_IN


def _is_token(shape: Shape) -> bool:
    if len(shape) < _TOKEN_DIMENSIONS or shape[0] != 1:
        return False
    return wide(shape) > 1 or (len(shape) == _TOKEN_DIMENSIONS and shape[-1] > 1)


def _shapes(module: nn.Module) -> tuple[Shape, ...]:
    return tuple(_shape(each) for each in module.parameters(recurse=False))


def _fans(module: nn.Module, shape: Shape, role: Role) -> tuple[int | None, int | None]:
    if role in ("embedding", "token"):
        return 1, shape[-1]
    layer = layer_of(module)
    if role != "weight" or layer is None:
        return None, None
    return layer.fans(module, shape)


def _shape(parameter: nn.Parameter) -> Shape:
    # DeepSpeed's third stage leaves an empty tensor, and the shape beside it.
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def _article(word: str) -> str:
    spelled = word[:2].isupper()  # an MLP, an RMSNorm; a Linear
    return "an" if word[:1] in ("AEFHILMNORSX" if spelled else "AEIOU") else "a"
