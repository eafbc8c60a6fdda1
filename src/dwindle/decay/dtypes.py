"""What a number format does to a decay: steps that are rounded away, or halfway."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from dwindle.errors import UnknownNameError

Rounding = Literal["fine", "coarse", "stalls", "dead"]

# Significant binary digits of a weight, the leading one included.
DIGITS: Mapping[str, int] = MappingProxyType(
    {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
)
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("bf16", "brain"), "bfloat16"),
        **dict.fromkeys(("fp16", "f16", "half", "16"), "float16"),
        **dict.fromkeys(("fp32", "f32", "float", "single", "32"), "float32"),
        **dict.fromkeys(("fp64", "f64", "double", "64"), "float64"),
    }
)
_MIXED = "Under mixed precision weights stay in float32: give that."
# Half a unit in the last place just below 1: a step that takes less is rounded away.
DEAD_BELOW: Mapping[str, float] = MappingProxyType(
    {dtype: 2.0 ** -(digits + 1) for dtype, digits in DIGITS.items()}
)
# Below twice that, the smaller ones of the weights between two powers of 2 are stuck,
# and a decaying weight gets there before it has halved.
_STALLS_BELOW = 2
# From here on rounding changes the decay by less than two percent (measured).
_COARSE_BELOW = 32
# In these a weight that only decays was seen to stop (torch.optim.SGD and AdamW); wider
# ones multiply by 1 − s, which is rounded first.
STALLING = frozenset({"bfloat16", "float16"})


def dtype_named(dtype: object) -> str:
    """Return the name of a number format, given as text or as a library's object.

    Args:
        dtype: ``"bfloat16"``, ``"bf16"``, ``torch.bfloat16``, ``numpy.float32`` …

    Raises:
        UnknownNameError: If it is not one of :data:`DIGITS`; the nearest is offered.

    Example:
        >>> dtype_named("bf16"), dtype_named("torch.half"), dtype_named(float)
        ('bfloat16', 'float16', 'float64')

    """
    if dtype is float:  # Python's own
        return "float64"
    text = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
    name = text.strip().rpartition(".")[2].casefold()
    name = _OTHER_NAMES.get(name, name)
    if name not in DIGITS:
        hint = _MIXED if "mixed" in name or "amp" in name else ""
        raise UnknownNameError.among("dtype", text, DIGITS, hint)
    return name


def rounding_of(shrink_per_step: float, dtype: str) -> Rounding:
    """Say what rounding does to a weight that only decays, if it is kept in ``dtype``.

    Args:
        shrink_per_step: Fraction of a weight that one step takes off, above 0.
        dtype: A key of :data:`DIGITS`.

    Returns:
        ``dead`` where no weight changes at all, ``stalls`` where each stops before it
        has halved, ``coarse`` where the rate is off by more than two percent, else
        ``fine``.

    Example:
        >>> [rounding_of(s, "bfloat16") for s in (1e-3, 3e-3, 1e-2, 0.1)]
        ['dead', 'stalls', 'coarse', 'fine']

    """
    units = shrink_per_step / DEAD_BELOW[dtype]
    if units < 1:
        return "dead"
    if units < _STALLS_BELOW and dtype in STALLING:
        return "stalls"
    return "coarse" if units < _COARSE_BELOW else "fine"
