"""Weights whose size is divided out again: by a norm right behind, or by themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.weight_norm import WeightNorm

from dwindle.pytorch.parameters.layers import class_of, is_norm
from dwindle.wording import with_article

# These take the mean of each channel off, and with it whatever bias came before.
_FORGET_THE_BIAS = (_BatchNorm, _InstanceNorm)
# All of torch's that divide by the size of their input.
_NORMS = (*_FORGET_THE_BIAS, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
# Their children lie beside each other; nothing flows from one to the next.
_UNORDERED = (nn.ModuleList, nn.ModuleDict, *_NORMS)
# Parametrizations of torch.nn.utils, private classes of public functions: which
# original has no size of its own, and what the function is called.
_PARAMETRIZED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "_WeightNorm": ("original1", "weight_norm"),
        "_SpectralNorm": ("original", "spectral_norm"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Normalized:
    """A weight whose size does not change what the model computes.

    Args:
        parameter: The weight.
        by: What divides its size out, for people: ``bn1, a BatchNorm2d``.
        known_from: ``declaration`` (two neighbours of a container), ``forward pass``
            or ``parametrization``.

    """

    parameter: nn.Parameter
    by: str
    known_from: str


def is_normalization(module: nn.Module) -> bool:
    """Return whether a module divides its input by the input's own size."""
    shapes = tuple(tuple(each.shape) for each in module.parameters())
    return is_norm(module, shapes)


def weight_of_layer(module: nn.Module) -> nn.Parameter | None:
    """Return the weight that a layer's output is proportional to, beside its bias."""
    # transformers' Conv1D is a Linear that keeps its matrix the other way around.
    conv1d = type(module).__name__ == "Conv1D" and hasattr(module, "nf")
    if not (conv1d or isinstance(module, (nn.Linear, _ConvNd))):
        return None
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, nn.Parameter) else None


def can_divide_out(norm: nn.Module, layer: nn.Module, *, training: bool) -> bool:
    """Return whether the norm would take the size of the layer's weight out.

    A bias that stays in keeps its size while the weight changes its own: only norms
    that subtract each channel's mean make the two independent.
    """
    frozen = training and not norm.training
    if frozen and getattr(norm, "track_running_stats", False):
        return False
    has_bias = getattr(layer, "bias", None) is not None
    return not has_bias or isinstance(norm, _FORGET_THE_BIAS)


def normalized_by_declaration(model: nn.Module) -> Iterator[Normalized]:
    """Yield weights of layers that are declared right before a norm of their size."""
    for module in model.modules():
        if isinstance(module, _UNORDERED):
            continue
        children = [
            (name, child)
            for name, child in module.named_children()
            if not isinstance(child, nn.Identity)
        ]
        for (_, layer), (name, norm) in pairwise(children):
            weight = weight_of_layer(layer)
            if weight is None or not _fits(norm, layer):
                continue
            if can_divide_out(norm, layer, training=model.training):
                by = f"{name}, {with_article(class_of(norm))}"
                yield Normalized(parameter=weight, by=by, known_from="declaration")


def _fits(norm: nn.Module, layer: nn.Module) -> bool:
    """Whether a norm has as many channels as the layer has outputs."""
    outputs = getattr(layer, "out_channels", getattr(layer, "out_features", None))
    channels: Any = None  # an int, or the shape of a LayerNorm
    for attribute in ("num_features", "num_channels", "normalized_shape"):
        channels = getattr(norm, attribute, channels)
    return isinstance(norm, _NORMS) and channels in (outputs, (outputs,))


def normalized_by_themselves(model: nn.Module) -> Iterator[Normalized]:
    """Yield weights that a parametrization divides by their own size."""
    for module in model.modules():
        for kept in getattr(module, "parametrizations", nn.ModuleDict()).values():
            for each in kept.children():
                slot, said = _PARAMETRIZED.get(type(each).__name__, ("", ""))
                weight = getattr(kept, slot, None)
                if isinstance(weight, nn.Parameter):
                    yield _parametrized(weight, said)
        for hook in module._forward_pre_hooks.values():  # noqa: SLF001 where the old weight_norm lives
            weight = getattr(module, f"{getattr(hook, 'name', '')}_v", None)
            if isinstance(hook, WeightNorm) and isinstance(weight, nn.Parameter):
                yield _parametrized(weight, "weight_norm")


def _parametrized(weight: nn.Parameter, said: str) -> Normalized:
    return Normalized(parameter=weight, by=said, known_from="parametrization")
