"""What a layer uses its tensors for, by its type: a table, never a name.

A class that is not in the table is judged by what it has: the name of the class
(``LlamaRMSNorm``), sizes that only a linear layer keeps, the shapes of its tensors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from dwindle.decay.roles import is_norm_by_name
from dwindle.pytorch.parameters.slots import class_names

Shape = tuple[int, ...]

# The last two have no parameters today; a subclass may.
_NORMS = (
    _NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
    nn.CrossMapLRN2d,
)
# Linear layers of other libraries keep their sizes under these names, too.
LINEAR_SIZES = ("in_features", "out_features")
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def _all_but_rows(_module: nn.Module, shape: Shape) -> int:
    return math.prod(shape[1:])


def _transposed(module: nn.Module, shape: Shape) -> int:
    # Its weight is that of the convolution that it transposes: inputs first.
    groups = int(getattr(module, "groups", 1))
    return shape[0] // groups * math.prod(shape[2:])


def _linear_by_sizes(module: nn.Module, shape: Shape) -> int:
    # Torch keeps (outputs, inputs); who keeps the reverse shows it by the shape.
    is_reverse = shape == tuple(getattr(module, name) for name in LINEAR_SIZES)
    return shape[0] if is_reverse else _all_but_rows(module, shape)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A kind of layer: its ``weight`` (``in_proj_weight`` …) is one of any shape.

    ``fan_in`` returns how many inputs one output sees.
    """

    fits: Callable[[nn.Module], bool]
    fan_in: Callable[[nn.Module, Shape], int] = _all_but_rows


def _of(*kinds: type[nn.Module]) -> Callable[[nn.Module], bool]:
    return lambda module: isinstance(module, kinds)


def _named(name: str, *sizes: str) -> Callable[[nn.Module], bool]:
    """A class that cannot be imported here, known by its name and what it keeps."""
    return lambda module: name in class_names(module) and _has(module, *sizes)


def _has(module: nn.Module, *sizes: str) -> bool:
    return all(isinstance(getattr(module, size, None), int) for size in sizes)


LAYERS = (
    Layer(fits=_of(nn.Linear, nn.Bilinear)),
    Layer(fits=_of(_ConvTransposeNd), fan_in=_transposed),
    Layer(fits=_of(_ConvNd)),
    Layer(fits=_of(nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)),
    # transformers: a linear layer whose weight is (inputs, outputs).
    Layer(fits=_named("Conv1D", "nf"), fan_in=lambda _, shape: shape[0]),
    # Anybody's linear layer: torch's names for its sizes, weights as torch keeps them.
    Layer(fits=lambda module: _has(module, *LINEAR_SIZES), fan_in=_linear_by_sizes),
)


def layer_of(module: nn.Module) -> Layer | None:
    """Return the kind of layer that a module is; None where its type shows nothing."""
    return next((layer for layer in LAYERS if layer.fits(module)), None)


def is_norm(module: nn.Module, shapes: tuple[Shape, ...]) -> bool:
    """Return whether a module is a normalization layer, by its type or its class name.

    One that keeps a matrix itself (``shapes``) is no such layer, under any name.
    """
    return isinstance(module, _NORMS) or is_norm_by_name(type(module).__mro__, shapes)


def is_embedding(module: nn.Module) -> bool:
    """Return whether a module looks rows up: torch's embeddings, or the same sizes."""
    sizes = ("num_embeddings", "embedding_dim")
    return isinstance(module, _EMBEDDINGS) or _has(module, *sizes)


def class_of(module: nn.Module) -> str:
    """Return the name of the class that its author wrote: Linear of an FSDPLinear."""
    # FSDP2 and parametrize make a class below that of the author.
    cls = type(module)
    while len(cls.__mro__) > 1:
        bases = {base.__name__: base for base in cls.__bases__}
        fsdp = bases.pop("FSDPModule", None)
        by_torch = cls.__module__ == "torch.nn.utils.parametrize"
        if fsdp is None and not (by_torch and cls.__name__.startswith("Parametrized")):
            break
        cls = next(iter(bases.values()))
    return cls.__name__
