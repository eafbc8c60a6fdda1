"""Numbers and foreign text as a reader may see them: short, and without tricks."""

import math
import re
import unicodedata

from dwindle.findings import words

NOTHING = words.NOTHING

# Two-byte and one-byte introducers; an OSC or DCS string runs to its terminator, or to
# the end of the text when somebody left the terminator out.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
# Control, format (right-to-left overrides, zero-width marks) and lone surrogates.
_INVISIBLE = {"Cc", "Cf", "Cs"}


def clean(text: object, *, limit: int = 240) -> str:
    r"""Return text from outside on one line, without anything that acts.

    Terminal escape sequences go as a whole; control and direction characters, which
    could recolor a terminal or reorder a sentence, go one by one.

    Args:
        text: Whatever came from a study file, a store or an exception.
        limit: Characters that are kept; a longer text ends in an ellipsis.

    Returns:
        The readable rest.

    Example:
        >>> clean("\x1b[31mred\x1b[0m\trun")
        'red run'

    """
    plain = _ESCAPES.sub("", str(text)[: 8 * limit])
    spaced = re.sub(r"\s", " ", plain).strip()
    kept = "".join(c for c in spaced if unicodedata.category(c) not in _INVISIBLE)
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def number(value: float | None, *, digits: int = 3) -> str:
    """Return a number with a few significant digits, as people type it.

    Example:
        >>> number(0.00321), number(1e-5), number(12000.0), number(None)
        ('0.00321', '1e-5', '12000', '–')

    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10**digits and size < 1e7:  # noqa: PLR2004 - wider is unreadable
        text = f"{value:.0f}"
    elif size < 1e-4:  # noqa: PLR2004 - below, zeros hide the digits
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        short = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{short}e{int(power)}"
    else:
        text = f"{value:.{digits}g}".replace("e+0", "e").replace("e+", "e")
    return text.replace("-", words.MINUS, 1) if value < 0 else text


def decay(value: float | None) -> str:
    """Return a λ with two digits: more is never measured.

    Example:
        >>> decay(0.003162), decay(2.5e-5)
        ('0.0032', '2.5e-5')

    """
    return number(value, digits=2)


def fixed(value: float | None, *, places: int = 3) -> str:
    """Return a loss or an exponent with fixed places and a real minus sign.

    Example:
        >>> fixed(-0.5, places=2), fixed(0.0312), fixed(-0.0001)
        ('−0.50', '0.031', '0.000')

    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return words.fixed(value, places)


def share(value: float | None) -> str:
    """Return a share as a percentage.

    Example:
        >>> share(0.314), share(10.14), share(None)
        ('31 %', 'more than all', '–')

    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{fixed(100 * value, places=0)} %" if value <= 1 else "more than all"


def exponent(value: float | None, low: float | None, high: float | None) -> str:
    """Return an exponent with its interval.

    Example:
        >>> exponent(-0.52, -0.7, -0.3)
        '−0.52 (−0.70 to −0.30)'

    """
    if value is None:
        return NOTHING
    if low is None or high is None:
        return fixed(value, places=2)
    ends = f"{fixed(low, places=2)} to {fixed(high, places=2)}"
    return f"{fixed(value, places=2)} ({ends})"


def decay_interval(low: float | None, high: float | None) -> str:
    """Return the interval of a best λ; an open end says so.

    Example:
        >>> decay_interval(0.001, 0.0052), decay_interval(None, 0.1)
        ('0.001–0.0052', '≤ 0.1')

    """
    if low is None and high is None:
        return NOTHING
    if low is None:
        return f"≤ {decay(high)}"
    if high is None:
        return f"≥ {decay(low)}"
    return f"{decay(low)}–{decay(high)}"


def quantity(axis: str) -> str:
    """Return a quantity of scale as words.

    Example:
        >>> quantity("dataset_size"), quantity("lr")
        ('dataset size', 'learning rate')

    """
    return words.quantity(clean(axis, limit=40))


# What tables and figures call a rule; all others go by their own names.
_RULES = {
    "question-layer-mean": "the question: λ / weights",
    "answer": "the answer: constant decay",
    "bengio-map": "Bengio, MAP",
    "neal": "Neal's prior",
    "half-life-epochs": "half-life in epochs",
    "half-life-examples": "half-life in examples",
    "half-life-run": "half-life as share of run",
    "half-life-steps": "half-life in steps",
    "unchanged": "λ left as it is",
}


def rule_title(rule: str) -> str:
    """Return the name of a rule for a reader.

    Example:
        >>> rule_title("neal"), rule_title("sqrt-batch")
        ("Neal's prior", 'sqrt-batch')

    """
    return _RULES.get(rule, clean(rule, limit=40))
