"""Numbers that arrive as text, read by one reader wherever somebody types a number."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import MappingProxyType

from dwindle.errors import RangeError

# What a letter behind a number multiplies it by; a small m might be a thousandth.
SUFFIXES: Mapping[str, Fraction] = MappingProxyType(
    {
        "": Fraction(1),
        "%": Fraction(1, 100),
        **dict.fromkeys("kK", Fraction(10**3)),
        "M": Fraction(10**6),
        **dict.fromkeys("BbG", Fraction(10**9)),
        "T": Fraction(10**12),
    }
)
# One number with its suffix; the letter must end a word: the M of "3 Minutes" does not.
_SIMPLE = r"[+-]?(?:inf|[\d.,_]+(?:[eE][+-]?\d+)?)\s*(?:%|[kKMBbGT](?![A-Za-z])|)"
NUMBER = rf"{_SIMPLE}(?:\s*/\s*{_SIMPLE})?"
_ONE = re.compile(
    r"(?P<digits>[+-]?[\d.,_]+(?:[eE][+-]?\d+)?)\s*(?P<suffix>[%A-Za-z]?)"
)
_POWER = re.compile(r"(?P<base>\d{1,4})\s*(?:\^|\*\*)\s*(?P<exponent>[+-]?\d{1,4})")
# No leading zero: 0,001 is a decimal comma, and no thousand.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?")
# Floats have no exponent beyond; a fraction of larger ones would fill the memory.
_MOST_DIGITS = 400


def read_number(text: str) -> float | None:
    """Return the number that a text is, or None if it is none.

    Plain decimals, exponents, fractions (``1/32768``), powers (``2**-15``), shares
    (``0.1%``), thousands with commas, and k, M, B or G, T behind the digits. The result
    is the float nearest to what was written.

    Example:
        >>> read_number("1/32768"), read_number("0.1%"), read_number("1.28M")
        (3.0517578125e-05, 0.001, 1280000.0)
        >>> read_number("0,1") is None
        True

    """
    text = text.strip().replace("−", "-")
    try:
        return float(text)
    except ValueError:
        pass
    if text.removesuffix("%").strip() == "inf":
        return math.inf
    above, slash, below = text.partition("/")
    top, bottom = _exact(above.strip()), _exact(below.strip() if slash else "1")
    if top is None or not bottom:  # nothing is divided by 0
        return None
    try:
        return float(top / bottom)
    except OverflowError:
        return math.inf


def _exact(text: str) -> Fraction | None:
    power = _POWER.fullmatch(text)
    if power:
        base = int(power["base"])
        return Fraction(base) ** int(power["exponent"]) if base else None
    match = _ONE.fullmatch(text)
    if match is None or match["suffix"] not in SUFFIXES:
        return None
    digits = match["digits"]
    if "," in digits and not _THOUSANDS.fullmatch(digits):
        return None
    try:
        number = Decimal(digits.replace(",", ""))
    except InvalidOperation:
        return None
    if number and abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return Fraction(number) * SUFFIXES[match["suffix"]]


def number_from_text(name: str, text: str) -> float:
    """Read a number as :func:`read_number` does.

    Raises:
        RangeError: If there is no number in the text.

    Example:
        >>> number_from_text("lr", "1e-3")
        0.001

    """
    number = read_number(text)
    if number is None:
        remedy = f"Write {name}=1e-3."
        raise RangeError(name, repr(text), "a number", remedy)
    return number


def whole_from_text(name: str, text: str) -> int:
    """Read 512, 50k or 1e6.

    Raises:
        RangeError: If the text is no whole number.

    Example:
        >>> whole_from_text("dataset_size", "1e6"), whole_from_text("steps", "50k")
        (1000000, 50000)

    """
    return _whole(name, number_from_text(name, text), repr(text))


def _whole(name: str, number: float, got: object) -> int:
    if not number.is_integer():  # neither are inf and nan
        raise RangeError(name, got, "a whole number", f"Write {name}=512.")
    return int(number)


def wholes_from_text(name: str, text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them: 784,256,10."""
    return tuple(whole_from_text(name, each) for each in text.split(","))


def numbers_from_text(name: str, text: str) -> tuple[float, ...]:
    """Read numbers with commas between them: 0.9,0.95."""
    return tuple(number_from_text(name, each) for each in text.split(","))


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
# The same of a list of numbers.
LIST_READERS: Mapping[str, Callable[[str, str], tuple[float, ...]]] = MappingProxyType(
    {"betas": numbers_from_text, "units": wholes_from_text}
)


def plain_number(name: str, value: object) -> float:
    """Return a number of another kind (NumPy's, torch's, a Decimal) as Python's own.

    Raises:
        RangeError: If it is no number.

    """
    try:
        number = float(value)  # type: ignore[arg-type]  # TypeError is what we look for
    except (TypeError, ValueError, RuntimeError):  # torch's tensors of many numbers
        raise RangeError(name, repr(value), "a number", f"Write {name}=1e-3.") from None
    except OverflowError:  # a whole number of more digits than any fact has
        must, got = "a finite number", "a whole number above 1.8e308"
        usual = "512" if READERS.get(name) is whole_from_text else "1e-3"
        raise RangeError(name, got, must, f"Write {name}={usual}.") from None
    is_count = READERS.get(name) is whole_from_text
    return _whole(name, number, value) if is_count else number


def plain_numbers(name: str, value: object) -> tuple[float, ...]:
    """Return a list of numbers of any kind as a tuple of Python's own.

    Raises:
        RangeError: If it is no list, or not one of numbers.

    """
    must = f"{_LISTS[name][0]} in a list or tuple"
    try:
        return tuple(_one_of(name, each) for each in value)  # type: ignore[attr-defined]  # TypeError is what we look for
    except (TypeError, RangeError):
        raise RangeError(name, repr(value), must, _LISTS[name][1]) from None


def _one_of(name: str, value: object) -> float:
    if isinstance(value, int) and abs(value) < _MANY:
        return value
    number = plain_number(name, value)
    return _whole(name, number, value) if name == "units" else number


_MANY = 2**53
_LISTS = {
    "betas": ("two numbers", "Write betas=(0.9, 0.95)."),
    "units": ("sizes of layers", "Write units=(784, 256, 10)."),
}


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
