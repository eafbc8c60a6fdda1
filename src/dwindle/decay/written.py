"""Numbers that arrive as text: YAML reads 1e-3 as a word, for it has no point."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dwindle.errors import RangeError


def number_from_text(name: str, text: str) -> float:
    """Read 0.1, 1e-3 or 1_000.

    Raises:
        RangeError: If there is no number in the text.

    Example:
        >>> number_from_text("lr", "1e-3")
        0.001

    """
    try:
        return float(text)
    except ValueError:
        remedy = f"Write {name}=1e-3."
        raise RangeError(name, repr(text), "a number", remedy) from None


def whole_from_text(name: str, text: str) -> int:
    """Read 512 or 1e6.

    Raises:
        RangeError: If the text is no whole number.

    Example:
        >>> whole_from_text("dataset_size", "1e6")
        1000000

    """
    number = number_from_text(name, text)
    if not number.is_integer():  # neither are inf and nan
        raise RangeError(name, repr(text), "a whole number", f"Write {name}=512.")
    return int(number)


# How each fact of a run is read that is one number.
READERS: Mapping[str, Callable[[str, str], float]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "lr",
                "momentum",
                "dampening",
                "epochs",
                "tokens_per_example",
                "gradient_rms",
            ),
            number_from_text,
        ),
        **dict.fromkeys(
            (
                "batch_size",
                "dataset_size",
                "steps",
                "width",
                "depth",
                "parameters",
            ),
            whole_from_text,
        ),
    }
)


def said_of(name: str, text: str, number: float) -> str:
    """Say how a text was understood; nothing where it reads as the number does.

    Example:
        >>> said_of("lr", "1e-3", 0.001)
        "lr: '1e-3' was read as 0.001."
        >>> said_of("lr", "0.1", 0.1)
        ''

    """
    as_usual = {f"{number:.12g}", repr(number)}
    if text.strip() in as_usual:
        return ""
    return f"{name}: {text!r} was read as {number:.12g}."
