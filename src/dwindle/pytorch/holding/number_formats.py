"""Number formats of a param group: which factors it can be multiplied by exactly."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from dwindle.decay.dtypes import DIGITS, STALLING
from dwindle.decay.owed import steps_between_factors

_REAL = {"complex64": "float32", "complex128": "float64", "complex32": "float16"}


def dtype_name(tensor: Tensor) -> str:
    """Return the number format as dwindle calls it: float32, bfloat16."""
    name = str(tensor.dtype).removeprefix("torch.")
    return _REAL.get(name, name)


def is_16_bits(tensor: Tensor) -> bool:
    """Tell whether a tensor is in a format in which slow decays stop."""
    return dtype_name(tensor) in STALLING


def factors_of(group: Mapping[str, Any]) -> float:
    """Return how many factors the coarsest tensor of a group can tell.

    An lr that is a tensor counts: ``1 - lr * weight_decay`` is computed in its format.
    """
    tensors: Iterable[Tensor] = group["params"]
    lr = group.get("lr")
    names = {dtype_name(each) for each in tensors}
    if isinstance(lr, Tensor):
        names.add(dtype_name(lr))
    known = [steps_between_factors(name) for name in names if name in DIGITS]
    return min(known, default=steps_between_factors("float32"))
