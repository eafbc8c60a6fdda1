"""Every place of a model that holds a parameter, under the name its author knows.

Wrappers (DDP, ``torch.compile``, activation checkpointing …) are seen through, and a
parameter that a parametrization keeps is the slot that it stands for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from dwindle.errors import RefusedError
from dwindle.pytorch.refusals import refused
from dwindle.wording import with_article

# Of these classes one child is the model itself: its name is no part of a name.
_WRAPPERS: Mapping[str, str] = MappingProxyType(
    {
        "AveragedModel": "module",
        "CheckpointWrapper": "_checkpoint_wrapped_module",
        "DataParallel": "module",
        "DeepSpeedEngine": "module",
        "DistributedDataParallel": "module",
        "OffloadWrapper": "_checkpoint_wrapped_module",
        "OptimizedModule": "_orig_mod",
    }
)
# The older way to keep a tensor in another form: a hook, and what it calls its parts.
_HOOKS: Mapping[str, Mapping[str, bool]] = MappingProxyType(
    {
        "WeightNorm": {"_g": True, "_v": False},
        "SpectralNorm": {"_orig": False},
        "BasePruningMethod": {"_orig": False},
    }
)

# Modules whose parameters have no role any more: by class, why, and what to do.
_UNREADABLE: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "FullyShardedDataParallel": (
            "that FSDP1 has wrapped",
            "It flattens parameters to one dimension: a matrix looks like a bias.",
            "Make the groups before it is wrapped, or shard it with fully_shard.",
        ),
        "RecursiveScriptModule": (
            "that TorchScript made",
            "Its layers have lost their types, which show what a tensor is for.",
            "Give the model from before torch.jit.script: its parameters are these.",
        ),
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slot:
    """A parameter at one place: where, in which module, standing for which slot.

    ``slot`` is the name under which ``module`` uses the tensor: ``weight`` also where
    a parametrization stores it as ``original1``, in another module, the ``holder``.
    ``gain`` marks the length that ``weight_norm`` splits off a weight.
    """

    name: str
    module: nn.Module
    slot: str
    parameter: nn.Parameter
    holder: nn.Module
    gain: bool = False

    @property
    def current(self) -> nn.Parameter:
        """The parameter that lies there now: sharding and loading may put another."""
        stored = self.name.rpartition(".")[2]
        found = self.holder._parameters[stored]  # noqa: SLF001 - the place itself
        return self.parameter if found is None else found


def slots_of(model: nn.Module) -> Iterator[Slot]:
    """Yield every place of a parameter; a tied or shared one comes several times."""
    given: object = model  # what a caller gives may be anything
    if not isinstance(given, nn.Module):
        raise refused("no-module", given=with_article(type(given).__name__))
    yield from _below(model, "", frozenset())


def modules_of(
    model: nn.Module, path: str = "", above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, nn.Module]]:
    """Yield (name, module) of a model and everything in it, wrappers left out.

    A module that is used at several places comes with each of its names.
    """
    if wrapped_child(model) is None:
        yield path, model
    for name, child in _children(model, path):
        # A module that holds itself would be walked for ever.
        if id(child) not in above:
            yield from modules_of(child, name, above | {id(model)})


def class_names(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the classes of a module, its own first."""
    return tuple(cls.__name__ for cls in type(module).__mro__)


def _below(module: nn.Module, path: str, above: frozenset[int]) -> Iterator[Slot]:
    _refuse_unreadable(module, path)
    # No public name shows which module owns a parameter.
    for name, parameter in module._parameters.items():  # noqa: SLF001
        if parameter is not None:
            yield _slot(module, name, _joined(path, name), parameter)
    inside = above | {id(module)}
    for name, child in _children(module, path):
        if id(child) in above:
            continue
        are_lists = (isinstance(c, ParametrizationList) for c in child.children())
        originals = getattr(module, "parametrizations", None) is child
        if originals and isinstance(child, nn.ModuleDict) and all(are_lists):
            yield from _parametrized(module, child, name, inside)
        else:
            yield from _below(child, name, inside)


def _children(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    inner = wrapped_child(module)
    for name, child in module._modules.items():  # noqa: SLF001 - named_children skips repeats
        if child is not None:
            yield path if name == inner else _joined(path, name), child


def wrapped_child(module: nn.Module) -> str | None:
    """Return the name of the child that a wrapper wraps; None of any other module."""
    found = (_WRAPPERS[name] for name in class_names(module) if name in _WRAPPERS)
    return next(found, None)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parametrized(
    module: nn.Module, lists: nn.ModuleDict, path: str, above: frozenset[int]
) -> Iterator[Slot]:
    """Yield the originals as slots of their module, then what the maps own."""
    for slot, kept in lists.items():
        where = _joined(path, slot)
        own = {id(parameter) for parameter in kept.parameters(recurse=False)}
        # Its first original is the length, its second the direction.
        splits_length = "_WeightNorm" in class_names(next(kept.children()))
        for found in _below(kept, where, above):
            if id(found.parameter) not in own:
                yield found
                continue
            gain = splits_length and found.slot == "original0"
            yield replace(found, module=module, slot=slot, gain=gain)


def _refuse_unreadable(module: nn.Module, path: str) -> None:
    for name in class_names(module):
        if name in _UNREADABLE:
            what, why, instead = _UNREADABLE[name]
            request = f"The role of a parameter in {path or 'a model'} {what}"
            raise RefusedError(request, why, instead)


def _slot(module: nn.Module, name: str, path: str, parameter: nn.Parameter) -> Slot:
    if isinstance(parameter, UninitializedParameter):
        raise refused("lazy", path=path)
    slot, gain = name, False
    for hook in module._forward_pre_hooks.values():  # noqa: SLF001 - where the old weight_norm lives
        for cls in type(hook).__mro__:
            for ending, is_gain in _HOOKS.get(cls.__name__, {}).items():
                tensor = getattr(hook, "name", getattr(hook, "_tensor_name", None))
                if name == f"{tensor}{ending}":
                    slot, gain = str(tensor), is_gain
    return Slot(
        name=path,
        module=module,
        slot=slot,
        parameter=parameter,
        holder=module,
        gain=gain,
    )
