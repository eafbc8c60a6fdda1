"""Weights whose size is divided out: by a norm after their layer, or by themselves.

A norm follows a layer by the order of declaration, or as seen in a forward pass: the
output goes into the norm, and nowhere else.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks_of_all_modules
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from dwindle.errors import RangeError
from dwindle.pytorch.copying.copies import random_kept
from dwindle.pytorch.parameters.layers import class_of, is_norm
from dwindle.pytorch.parameters.slots import modules_of, wrapped_child
from dwindle.wording import with_article

_REMEDY = 'Write example=inputs, example=(inputs, mask) or example={"input_ids": ids}.'
# These subtract the mean of each channel, and with it the bias of the layer before.
_FORGET_THE_BIAS = (_BatchNorm, _InstanceNorm)
# All of torch's that divide by the size of their input.
_NORMS = (*_FORGET_THE_BIAS, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
# No output flows from one of their children to the next.
_UNORDERED = (nn.ModuleList, nn.ModuleDict, *_NORMS)
# Parametrizations of torch.nn.utils, private classes of public functions: the original
# whose size is divided out, and the name of the function.
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
        by: What divides its size out: ``bn1, a BatchNorm2d``.
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
    # transformers' Conv1D is a Linear with a transposed matrix.
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
                slot, function = _PARAMETRIZED.get(type(each).__name__, ("", ""))
                weight = getattr(kept, slot, None)
                if isinstance(weight, nn.Parameter):
                    yield _parametrized(weight, function)
        for hook in module._forward_pre_hooks.values():  # noqa: SLF001 the hook of the old weight_norm
            weight = getattr(module, f"{getattr(hook, 'name', '')}_v", None)
            if isinstance(hook, WeightNorm) and isinstance(weight, nn.Parameter):
                yield _parametrized(weight, "weight_norm")


def _parametrized(weight: nn.Parameter, function: str) -> Normalized:
    return Normalized(parameter=weight, by=function, known_from="parametrization")


@dataclass(kw_only=True)
class _Output:
    """One output of one layer: kept, so that its storage is not used again."""

    layer: nn.Module
    tensor: Tensor
    version: int
    norm: nn.Module | None = None
    used_elsewhere: bool = False


class _Watch(TorchFunctionMode):
    """Owns what one forward pass shows: outputs by their storage, and their use."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[int, _Output] = {}
        self._norms_open = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # of any type
        del types
        result = func(*args, **(kwargs or {}))
        if not self._norms_open:
            inputs = {_storage(each) for each in _tensors((*args, kwargs))}
            read = inputs & self.outputs.keys()
            # A view is the same output still; so is an attribute that is no tensor.
            if read and {_storage(each) for each in _tensors(result)} - read:
                for storage in read:
                    self.outputs[storage].used_elsewhere = True
        return result

    def layer_done(self, layer: nn.Module, _: object, output: object) -> None:
        """Record the output of a layer."""
        if weight_of_layer(layer) is not None and isinstance(output, Tensor):
            known = _Output(layer=layer, tensor=output, version=_version(output))
            self.outputs[_storage(output)] = known
        if is_normalization(layer):
            self._norms_open -= 1

    def norm_begins(self, norm: nn.Module, inputs: tuple[object, ...]) -> None:
        """See whether a norm reads a layer's output as it is."""
        if not is_normalization(norm):
            return
        self._norms_open += 1
        taken = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
        known = self.outputs.get(_storage(taken)) if taken is not None else None
        if taken is None or known is None:
            return
        whole = taken.numel() == known.tensor.numel()
        if whole and _version(taken) == known.version:
            known.norm = norm
        else:
            known.used_elsewhere = True


def _tensors(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _storage(tensor: Tensor) -> int:
    place: int = tensor.untyped_storage()._cdata  # noqa: SLF001 also known without an address
    return place


def _version(tensor: Tensor) -> int:
    return tensor._version  # noqa: SLF001 how often it was written into


def normalized_in_a_pass(model: nn.Module, example: object) -> Iterator[Normalized]:
    """Yield weights of layers whose whole output is a norm's input, and only that.

    The model runs once, without gradients, on copies of its buffers; random generators
    are put back.
    """
    watch = _Watch()
    result = _run(model, example, watch)
    for leaf in _tensors(result):
        if _storage(leaf) in watch.outputs:
            watch.outputs[_storage(leaf)].used_elsewhere = True
    by_layer: dict[int, list[_Output]] = {}
    for output in watch.outputs.values():
        by_layer.setdefault(id(output.layer), []).append(output)
    names = {id(module): name for name, module in modules_of(model)}
    for outputs in by_layer.values():
        found = _of_layer(outputs, names, training=model.training)
        if found is not None:
            yield found


def _of_layer(
    outputs: list[_Output], names: Mapping[int, str], *, training: bool
) -> Normalized | None:
    """Return the weight if each of the layer's outputs is divided by its size."""
    norm, layer = outputs[-1].norm, outputs[-1].layer
    weight = weight_of_layer(layer)
    if norm is None or weight is None:
        return None
    for each in outputs:
        if each.used_elsewhere or each.norm is None:
            return None
        if not can_divide_out(each.norm, layer, training=training):
            return None
    by = f"{names.get(id(norm), 'a norm')}, {with_article(class_of(norm))}"
    return Normalized(parameter=weight, by=by, known_from="forward pass")


def _run(model: nn.Module, example: object, watch: _Watch) -> object:
    args, kwargs = example if isinstance(example, tuple) else (example,), {}
    if isinstance(example, Mapping):
        args, kwargs = (), dict(example)
    inner = model  # without its wrappers: DDP would wait for other processes
    while (name := wrapped_child(inner)) is not None:
        inner = getattr(inner, name)
    try:
        with _buffers_kept(inner), _watched(watch):
            return inner(*args, **kwargs)
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        must = f"what {class_of(inner)} can be called with"
        raise RangeError("example", got, must, _REMEDY) from error


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Replace buffers by copies: a norm in training mode writes into its own."""
    kept = [(module, dict(module._buffers)) for module in model.modules()]  # noqa: SLF001 no public way to put one back
    try:
        for module, buffers in kept:
            for name, buffer in buffers.items():
                if buffer is not None:
                    module._buffers[name] = buffer.clone()  # noqa: SLF001 as above
        yield
    finally:
        for module, buffers in kept:
            module._buffers.update(buffers)  # noqa: SLF001 as above


@contextmanager
def _watched(watch: _Watch) -> Iterator[None]:
    """Hook all modules of the process for a while; the model itself gets no hook."""
    with ExitStack() as stack:
        stack.enter_context(random_kept())
        stack.enter_context(torch.no_grad())
        # Compiled layers call no hooks.
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        for handle in (
            hooks_of_all_modules.register_module_forward_pre_hook(watch.norm_begins),
            hooks_of_all_modules.register_module_forward_hook(watch.layer_done),
        ):
            stack.callback(handle.remove)
        stack.enter_context(watch)
        yield
