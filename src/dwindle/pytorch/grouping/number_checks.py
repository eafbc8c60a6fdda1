"""Numbers that people give: floats, tensors of one number, and never a text."""

import math
from numbers import Real

import torch

from dwindle.errors import RangeError

_A_TEXT = "That is a text: YAML reads 1e-3 so, and 1.0e-3 as a number."


def check_not_negative(name: str, value: object) -> None:
    """Refuse what is no finite number of at least 0.

    Args:
        name: The argument, for the message.
        value: A number of Python or numpy, or a tensor of one number.

    Raises:
        RangeError: If it is negative, not finite, or no number.

    Example:
        >>> check_not_negative("weight_decay", 0.1)

    """
    is_number = isinstance(value, Real) or (
        isinstance(value, torch.Tensor) and value.numel() == 1
    )
    if not is_number or not 0 <= float(value) < math.inf:  # type: ignore[arg-type] # checked above
        remedy = _A_TEXT if isinstance(value, str) else ""
        raise RangeError(name, repr(value), "a finite number, 0 or more", remedy)


def check_batch_size(value: object) -> None:
    """Refuse what is no whole number of examples; None is one that is not known.

    Raises:
        RangeError: If it is a fraction, below 1, or no number.

    Example:
        >>> check_batch_size(32)

    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_whole = is_number and float(value) % 1 == 0 and float(value) >= 1  # type: ignore[arg-type]  # a number
    if value is not None and not is_whole:
        remedy = "Write the examples of one optimizer step, such as 256."
        raise RangeError(
            "batch_size", repr(value), "a whole number, at least 1", remedy
        )
