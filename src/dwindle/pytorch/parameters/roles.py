"""What each parameter of a model is for: weight, bias, gain, embedding, token.

Inferred from the type of the layer that owns it and its original shape, so that a
matrix stays one when a model is wrapped, compiled or sharded. Names are the last
resort: a matrix that a module keeps without a layer may be a table that all samples
share (positions, latents, prompts) or the logarithm of a rate, and only its name shows
it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from torch import nn

from dwindle.decay.roles import STRONGEST, TOKEN_DIMENSIONS, Role, wide
from dwindle.pytorch.parameters.layers import (
    Shape,
    class_of,
    is_embedding,
    is_norm,
    layer_of,
)
from dwindle.pytorch.parameters.slots import Slot, slots_of
from dwindle.wording import with_article

_OUT_AND_IN = 2  # dimensions of more than one entry before those of the kernel
# Names that their authors use for one thing alone, and what it is.
_KNOWN_NAMES: Mapping[str, tuple[Role, str]] = MappingProxyType(
    {
        # state-spaces/mamba spares it, and D, by a mark that transformers leaves out.
        "A_log": ("vector", ", logarithms of rates"),
        # peft: (rank, tokens) beside an embedding, a column for each token.
        "lora_embedding_A": ("embedding", ", a column for each token"),
    }
)
_TABLE: tuple[Role, str] = ("token", ", a table that all samples share")
# Words of a name that show a table; some only at the end: before, they may describe.
_ANYWHERE = frozenset({"pos", "position", "positional", "positions"})
_AT_THE_END = frozenset(
    {
        *("embed", "embeds", "embedding", "embeddings", "emb", "token", "tokens"),
        *("latents", "prompt", "prompts", "queries", "codebook", "codebooks"),
    }
)
# A tensor of these is multiplied with, also where the words before are of positions.
_MULTIPLIED = frozenset({"weight", "proj", "projection", "kernel"})


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterRole:
    """One parameter of a model, once, however many names it has.

    ``name`` is the first of ``names``, without the names of wrappers. ``shape`` is the
    original one, also where the parameter is sharded. ``owner`` is the class of the
    layer, ``why`` explains the role. ``fan_in`` is how many inputs one
    output sees (a convolution: channels per group times kernel), None where the layer
    does not show it; an embedding looks one row up, so its ``fan_in`` is 1.
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

    @property
    def numbers(self) -> int:
        """How many numbers the whole parameter has."""
        return math.prod(self.shape)


def parameter_roles(model: nn.Module) -> tuple[ParameterRole, ...]:
    """Return every parameter of a model with its role, in the order of the model.

    Raises:
        RefusedError: If ``model`` is no module, or FSDP1 has flattened its parameters,
            or a lazy layer has not met its first batch.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU())
        >>> for held in parameter_roles(model):
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


def _held(slots: Sequence[Slot]) -> ParameterRole:
    """Return the one record of a parameter that lies at one or several places."""
    # A layer that is called at two places is one layer.
    uses = {(id(slot.module), slot.slot): slot for slot in slots}.values()
    held = [_held_at(slot) for slot in uses]
    names = tuple(dict.fromkeys(slot.name for slot in slots))
    chosen = min(held, key=lambda each: STRONGEST.index(each.role))
    others = [each.why for each in held if each.why != chosen.why]
    why = "; also ".join([chosen.why, *dict.fromkeys(others)])
    return replace(chosen, name=names[0], names=names, why=why)


def _held_at(slot: Slot) -> ParameterRole:
    shape, owner = _shape(slot.parameter), class_of(slot.module)
    role, remark = _role(slot, shape)
    layer = layer_of(slot.module)
    fan_in = 1 if role in ("embedding", "token") else None
    if role == "weight" and layer is not None:
        fan_in = layer.fan_in(slot.module, shape)
    return ParameterRole(
        name=slot.name,
        names=(slot.name,),
        parameter=slot.parameter,
        role=role,
        owner=owner,
        why=f"{slot.slot} of {with_article(owner)}{remark}",
        shape=shape,
        trainable=slot.parameter.requires_grad,
        fan_in=fan_in,
    )


def _role(slot: Slot, shape: Shape) -> tuple[Role, str]:
    """Return the role and a remark besides the layer."""
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
    return _role_without_layer(slot, shape)


def _role_without_layer(slot: Slot, shape: Shape) -> tuple[Role, str]:
    # The shape decides, and of a matrix the name.
    dimensions, is_for_one = len(shape), shape[:1] == (1,)
    # (1, out, in, …), as StyleGAN2 multiplies it by each sample.
    is_kernel = dimensions > TOKEN_DIMENSIONS and wide(shape[:3]) == _OUT_AND_IN
    if is_for_one and is_kernel and "weight" in slot.slot.split("_"):
        return "weight", ", a convolution for each sample"
    has_width = dimensions == TOKEN_DIMENSIONS and shape[-1] > 1
    if is_for_one and dimensions >= TOKEN_DIMENSIONS and (wide(shape) > 1 or has_width):
        return "token", ", the same for every sample"
    if wide(shape) > 1:
        return role_by_name(slot) or ("weight", ", a matrix")
    return "vector", ", a vector" if wide(shape) else ", one number"


def _is_bias(slot: Slot, shape: Shape) -> bool:
    words = slot.slot.split("_")
    if "bias" not in (words[0], words[-1]):
        return False
    # Experts keep a bias each, (experts, width), beside weights of one dimension more.
    dimensions = max(map(len, _shapes(slot.module)))
    return wide(shape) <= 1 or len(shape) < dimensions


def _shapes(module: nn.Module) -> tuple[Shape, ...]:
    return tuple(_shape(each) for each in module.parameters(recurse=False))


def _shape(parameter: nn.Parameter) -> Shape:
    # DeepSpeed's third stage leaves an empty tensor, and the shape beside it.
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def role_by_name(slot: Slot) -> tuple[Role, str] | None:
    """Return the role of a matrix that is no layer's weight, and a remark, by its name.

    None where the name shows nothing: then it is a matrix like others.
    """
    name, parts = slot.slot, slot.name.split(".")
    if isinstance(slot.module, nn.ParameterList | nn.ParameterDict) and parts[1:]:
        name = parts[-2]  # of the list or dict that it is kept in
    if name in _KNOWN_NAMES:
        return _KNOWN_NAMES[name]
    words = name.casefold().split("_")
    if not _MULTIPLIED.isdisjoint(words):
        return None
    is_table = not _ANYWHERE.isdisjoint(words) or words[-1] in _AT_THE_END
    return _TABLE if is_table else None
