"""The one reader of numbers and times that came as text."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, get_args

from dwindle.errors import RangeError, UnknownNameError

Clock = Literal["steps", "examples", "epochs", "tokens", "run"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)
TIME_REMEDY = 'Write a number and a clock: "3 epochs", "2e9 tokens", "20% of the run".'

# Factors of suffixes; a small m is none, since it might be a thousandth.
_SUFFIXES: Mapping[str, Fraction] = MappingProxyType(
    {
        "": Fraction(1),
        "%": Fraction(1, 100),
        **dict.fromkeys("kK", Fraction(10**3)),
        "M": Fraction(10**6),
        **dict.fromkeys("BbG", Fraction(10**9)),
        "T": Fraction(10**12),
    }
)
# Digits with commas and points, of which the decimal sign is found later.
_ONE = re.compile(
    r"(?P<digits>[+-]?[\d.,_]+(?:[eE][+-]?\d+)?)\s*(?P<suffix>[%A-Za-z]?)"
)
# At most four digits each: a power of larger ones would fill the memory.
_POWER = re.compile(r"(?P<base>\d{1,4})\s*(?:\^|\*\*)\s*(?P<exponent>[+-]?\d{1,4})")
# No leading zero: 0,001 is a decimal comma, and no thousand.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?")
# Floats have no exponent beyond; a fraction of larger ones would fill the memory.
_MOST_DIGITS = 400

# One number before a clock. A suffix must end a word, as the M of "3 Minutes" does not.
_SIMPLE = r"[+-]?(?:inf|[\d.,_]+(?:[eE][+-]?\d+)?)\s*(?:%|[kKMBbGT](?![A-Za-z])|)"
_TIME = re.compile(
    rf"\s*(?P<number>{_SIMPLE}(?:\s*/\s*{_SIMPLE})?)\s*(?P<clock>[A-Za-z\s]*)"
)
# As progress bars and papers write them.
_CLOCK_WORDS: Mapping[str, Clock] = MappingProxyType(
    {
        **dict.fromkeys(("step", "its", "it", "iters", "iter"), "steps"),
        **dict.fromkeys(("steps", "iterations", "iteration"), "steps"),
        **dict.fromkeys(("examples", "example", "samples", "sample"), "examples"),
        **dict.fromkeys(("epochs", "epoch"), "epochs"),
        **dict.fromkeys(("tokens", "token"), "tokens"),
        **dict.fromkeys(("run", "runs", "of run", "of the run"), "run"),
    }
)


def read_number(text: str) -> float | None:
    """Return the number of a text, or None if it is no number.

    Plain decimals, exponents, fractions (``1/32768``), powers (``2**-15``), shares
    (``0.1%``), thousands with commas, and k, M, B or G, T behind the digits. The result
    is the float nearest to what was written.
    """
    text = text.strip().replace("−", "-")  # the sign of a typeset page
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
    """Read one side of a fraction; exact, so that 30% is the float that 0.3 is."""
    power = _POWER.fullmatch(text)
    if power:
        base = int(power["base"])
        return Fraction(base) ** int(power["exponent"]) if base else None
    match = _ONE.fullmatch(text)
    if match is None or match["suffix"] not in _SUFFIXES:
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
    return Fraction(number) * _SUFFIXES[match["suffix"]]


def number_of(
    name: str, value: object, *, must: str = "a number", remedy: str = ""
) -> float:
    """Return a text, or any number (NumPy's, a Decimal), as a float."""
    remedy = remedy or f"Write {name}=1e-3."
    if isinstance(value, str):
        number = read_number(value)
        if number is None or math.isnan(number):
            raise RangeError(name, repr(value), must, remedy)
        return number
    if isinstance(value, bool):  # a number to Python, a mistake here
        raise RangeError(name, value, must, remedy)
    try:
        return float(value)  # type: ignore[arg-type]  # TypeError is caught
    except (TypeError, ValueError, RuntimeError):  # torch's tensors of many numbers
        raise RangeError(name, repr(value), must, remedy) from None
    except OverflowError:  # a whole number beyond all floats
        got = "a whole number above 1.8e308"
        raise RangeError(name, got, "a finite number", remedy) from None


def whole_of(name: str, value: object, *, remedy: str = "") -> int:
    """Return 512, "50k" or "1e6" as a whole number."""
    must, remedy = "a whole number", remedy or f"Write {name}=512."
    number = number_of(name, value, must=must, remedy=remedy)
    if not number.is_integer():  # neither are inf and nan
        got = repr(value) if isinstance(value, str) else value
        raise RangeError(name, got, must, remedy)
    # A float has no digits for a whole number above 2**53.
    return value if isinstance(value, int) else int(number)


def numbers_of(
    name: str,
    value: object,
    read: Callable[[str, object], float] = number_of,
    *,
    must: str = "numbers with commas between them, or in a list",
    remedy: str = "",
) -> tuple[float, ...]:
    """Return the numbers of a list, or of a text with commas between them.

    Example:
        >>> numbers_of("betas", "0.9,0.95")
        (0.9, 0.95)
        >>> numbers_of("units", [784, 256, 10], whole_of)
        (784, 256, 10)

    """
    parts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(read(name, each) for each in parts)  # type: ignore[attr-defined]  # TypeError is caught
    except (TypeError, RangeError):
        raise RangeError(name, repr(value), must, remedy) from None


def clock_named(word: str) -> Clock:
    """Return the clock of a name: ``epoch``, ``samples``, ``of the run``."""
    clock = _CLOCK_WORDS.get(" ".join(word.lower().split()))
    if clock is None:
        raise UnknownNameError.among("clock", word, CLOCKS, TIME_REMEDY)
    return clock


def read_time(name: str, text: str, remedy: str = TIME_REMEDY) -> tuple[float, Clock]:
    """Read a number and its clock; a percentage is always one of the run.

    Example:
        >>> read_time("half_life", "50k examples"), read_time("warmup", "5%")
        ((50000.0, 'examples'), (0.05, 'run'))

    """
    match = _TIME.fullmatch(text)
    number = read_number(match["number"]) if match else None
    if match is None or number is None:
        raise RangeError(name, repr(text), "a number and a clock", remedy)
    if math.isinf(number) and "inf" not in match["number"]:  # too large for a float
        raise RangeError(name, repr(text), "a finite number and a clock", remedy)
    word, is_percentage = match["clock"], "%" in match["number"]
    clock = clock_named("run" if is_percentage and not word.strip() else word)
    if is_percentage and clock != "run":
        raise RangeError(name, repr(text), "a percentage of the run", remedy)
    return number, clock


def read_times(
    name: str, text: str, remedy: str = TIME_REMEDY
) -> tuple[tuple[float, ...], Clock]:
    """Read one or more times, with commas between them, on the clock of the last.

    Example:
        >>> read_times("milestones", "30,60,80 epochs")
        ((30.0, 60.0, 80.0), 'epochs')
        >>> read_times("milestones", "50%, 75%")
        ((0.5, 0.75), 'run')

    """
    *before, last = text.split(",")
    count, clock = read_time(name, last, remedy)
    counts = [read_number(each) for each in before]
    is_mixed = any(("%" in each) != ("%" in last) for each in before)
    if is_mixed or None in counts:
        raise RangeError(name, repr(text), "numbers and one clock", remedy)
    found = (each for each in counts if each is not None)
    return (*found, count), clock


def how_it_was_read(name: str, text: str, number: float) -> str:
    """Return a sentence on how a text was read; empty where it is the number itself."""
    as_usual = {f"{number:.12g}", repr(number)}
    if text.strip() in as_usual:
        return ""
    return f"{name}: {text!r} was read as {number:.12g}."


class NotGiven:
    """Marks a fact that was not given; a library's default goes before its value."""


class NumberNotGiven(NotGiven, float):
    """A number that is used where neither the user nor a library gives one."""


class _PairNotGiven(NotGiven, tuple[float, float]):
    """The same for two numbers."""

    __slots__ = ()


# They compute as numbers do, and ``isinstance`` shows that they were not given.
NO_MOMENTUM = NumberNotGiven(0.0)
USUAL_BETAS = _PairNotGiven((0.9, 0.999))

# The tokens of an example where a batch is counted in tokens: the number of examples
# is then unknown.
ONE_TOKEN = NumberNotGiven(1.0)
