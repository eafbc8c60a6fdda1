"""Numbers, counts, lists and intervals as English text, in letters of any encoding.

Texts are made last, from values: this package never parses them.
"""

import codecs
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

MINUS = "−"
NOTHING = "–"

# From these on a count has separators, or a letter; smaller ones have three digits.
_THOUSAND, _MILLION = 1e3, 1e6
_POINT = 1e-4  # Python prints smaller numbers with a power
_UNREADABLE = 1e7  # from here on a number to type has a power
_TINY, _NEARLY_ALL = 1e-5, 0.999  # three digits of a percentage would hide these
# Control and format characters (right-to-left overrides, zero-width marks), and lone
# surrogates: they could recolor a terminal or reorder a sentence.
_INVISIBLE = {"Cc", "Cf", "Cs"}
# Escape sequences of terminals: colors and moves, titles and links, and single letters.
# The letters of such a sequence are no text either.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-_]?"
)
# English names of quantities, where the field's name is an abbreviation.
_QUANTITIES = {"lr": "learning rate"}
_PLAIN = "dwindle-plain"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# ASCII for signs with a meaning: a lost minus would change a number.
_LETTERS: Mapping[str, str] = (
    dict.fromkeys("−–—‐‑─━╌┄═╴╶╸╺", "-")
    | dict.fromkeys("‘’′", "'")
    | dict.fromkeys("“”″", '"')
    | dict.fromkeys("│┃║╎", "|")
    | dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+")
    | dict.fromkeys("●■◆▪", "#")
    # The bars of a small curve keep their order: from low to high.
    | dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True))
    | {"·": "*", "⋅": "*", "×": "x", "±": "+-", "∞": "inf", "µ": "u", "…": "..."}
    | {"←": "<-", "→": "->", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∝": "~"}
    | {"½": "(1/2)", "⁄": "/", "²": "^2", "³": "^3"}  # 2² is no 22, nor x^½ an x^12
    | {"√": "sqrt ", "Σ": "sum ", "Π": "product ", "Δ": "delta ", "°": " deg"}
    | {"✓": "yes", "✗": "no", "α": "alpha", "β": "beta", "γ": "gamma", "ε": "eps"}
    | {"η": "eta", "λ": "lambda", "μ": "mu", "σ": "sigma", "τ": "tau", "ω": "omega"}
)

# Notes that are printed by default.
MOST_NOTES = 3


@dataclass(frozen=True)
class Face:
    """How to give a fact, and where all notes and rules are, in one place of output."""

    given: str  # a fact with its value
    all_notes: str
    all_rules: str


# For the output of commands and calls.
TERMINAL = Face(
    given="--{name} {value}",
    all_notes="--all, --json or as_dict() has all of them",
    all_rules="(--all)",
)


class Numeral(str):
    """A number as text with its ``value``, by which a page sorts a table.

    The text itself is for typing, ``raised`` the same for reading: 10⁻⁵.
    """

    __slots__ = ("raised", "value")
    value: float
    raised: str

    def __new__(cls, text: str, value: float = math.nan, raised: str = "") -> Self:
        """Return the text with its value."""
        made = super().__new__(cls, text)
        made.value, made.raised = value, raised or text
        return made


def raised(text: str) -> str:
    """Return a number's text for reading; any other text is unchanged."""
    return text.raised if isinstance(text, Numeral) else text


def power_of_ten(power: int) -> str:
    """Return a power of ten for reading."""
    return f"10{str(power).translate(_RAISED)}"


def first_notes(notes: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the first three notes, and where the others are.

    Example:
        >>> first_notes("abcde", "--all has all of them")
        ('a', 'b', 'c', '2 more notes: --all has all of them')

    """
    more = len(notes) - MOST_NOTES
    rest = () if more <= 0 else (f"{counted(more, 'more note')}: {where}",)
    return (*notes[:MOST_NOTES], *rest)


def number(value: float | None, *, digits: int = 3) -> str:
    """Return a number to type: few significant digits, in a form that Python reads.

    Whole numbers below ten million keep all of their digits: a batch size of 4096 is
    not 4100.

    Example:
        >>> [number(each) for each in (0.0499613, 0.0387246, 1e-05, 4096.0, None)]
        ['0.05', '0.0387', '1e-05', '4096', '–']
        >>> number(math.inf)  # a half-life where nothing decays
        'inf'
        >>> raised(number(2.5e-05))  # for reading, not for typing
        '2.5·10⁻⁵'

    """
    if value is None or math.isnan(value):
        return NOTHING
    if 10**digits - 0.5 <= abs(value) < _UNREADABLE:  # 999.7 is no 1e+03
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    if value == 0 or math.isinf(value) or _POINT <= abs(value) < 10**digits:
        return text
    scaled, power = map(float, f"{value:.{digits - 1}e}".split("e"))
    factor = "" if scaled == 1 else f"{scaled:g}·".replace("-", MINUS)
    return Numeral(text, value, factor + power_of_ten(int(power)))


def fixed(value: float | None, places: int = 2) -> str:
    """Return a measured number with fixed places, and no minus before a zero.

    Example:
        >>> fixed(-0.5), fixed(-0.001), fixed(0.0312, 3), fixed(None)
        ('−0.50', '0.00', '0.031', '–')

    """
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:.{places}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return text if value > 0 else Numeral(text.replace("-", MINUS), float(text))


def count(value: float | None) -> str:
    """Return a count to read: three digits, but thousands are written out.

    Example:
        >>> [count(each) for each in (1.3849, 53, 6931.1, 1_281_167, 5_678_091_354)]
        ['1.38', '53', '6,931', '1.28M', '5.68B']

    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < _THOUSAND:
        return f"{value:.3g}"
    # Compared as it is shown: 999,999.7 is a million.
    if round(value) < _MILLION:
        return f"{value:,.0f}"
    millions = float(f"{value / _MILLION:.3g}")
    if millions < _THOUSAND:
        return f"{millions:.3g}M"
    billions = value / _MILLION / _THOUSAND
    return f"{billions:{'.3g' if round(billions) < _THOUSAND else ',.0f'}}B"


def counted(value: float, unit: str) -> str:
    """Return a count with its unit in singular or plural.

    Example:
        >>> counted(1, "tensor"), counted(6931.1, "step")
        ('1 tensor', '6,931 steps')

    """
    shown = count(value)
    return f"{shown} {unit}{'' if shown == '1' else 's'}"


def percent(share: float | None) -> str:
    """Return a share in percent for reading, with a space before the sign.

    Example:
        >>> [percent(share) for share in (0.5, 0.0004, 0.99996, 2.6e-20, 0)]
        ['50 %', '0.04 %', '99.996 %', 'under 0.001 %', '0 %']

    """
    return typed_percent(share).replace("%", " %")


def typed_percent(share: float | None) -> str:
    """Return a share in percent to type, with enough digits not to read as 0% or 100%.

    Example:
        >>> [typed_percent(share) for share in (0.5, 0.0004, 0.99996, 2.6e-20, 0)]
        ['50%', '0.04%', '99.996%', 'under 0.001%', '0%']

    """
    if share is None or not math.isfinite(share):
        return NOTHING
    if 0 < share < _TINY:
        return f"under {100 * _TINY:g}%"
    if 100 * share >= _MILLION:  # a weight that grows
        return f"{100 * share:.3g}%"
    if 100 * share >= _THOUSAND:
        return f"{100 * share:,.0f}%"
    return f"{100 * share:.{5 if _NEARLY_ALL < share < 1 else 3}g}%"


def gained(share: float, low: float | None = None, high: float | None = None) -> str:
    """Return a clause on how much lower the loss is with decay, with its interval.

    Example:
        >>> gained(0.1779, 0.134, 0.22)
        'the loss is 17.8 % lower (13.4 % to 22 %) than without decay'

    """
    within = "" if None in (low, high) else f" ({percent(low)} to {percent(high)})"
    return f"the loss is {percent(share)} lower{within} than without decay"


def no_gain(why: str = "", harms: Sequence[str] = ()) -> str:
    """Return a sentence for a decay that does not help, with decays that hurt.

    Args:
        why: The evidence, as a clause.
        harms: Decays that are clearly worse than none, each with how much.

    Example:
        >>> no_gain("x", ["0.1 by 3 %", "1 by 28 %"])
        'decay does not help measurably here (x). It hurts at 0.1 by 3 % and 1 by 28 %.'

    """
    reason = f" ({why})" if why else ""
    hurts = f" It hurts at {listed(harms)}." if harms else ""
    return f"decay does not help measurably here{reason}.{hurts}"


def quantities(scale: Mapping[str, float]) -> str:
    """Return quantities with their numbers, in a line.

    Example:
        >>> quantities({"lr": 0.1, "width": 64.0})
        'learning rate 0.1, width 64'

    """
    return ", ".join(f"{quantity(name)} {number(each)}" for name, each in scale.items())


def capital(text: str) -> str:
    """Return a clause with a capital as its first letter.

    Example:
        >>> capital("the AdamW of torch")
        'The AdamW of torch'

    """
    return f"{text[:1].upper()}{text[1:]}"


def time_on(clock: str, value: float) -> str:
    """Return a time on a clock as one types it; on the clock ``run`` a share of it.

    Example:
        >>> time_on("steps", 6931.1), time_on("run", 0.2), time_on("run", 1848.39)
        ('6,931 steps', '20% of the run', '1,848 runs')

    """
    if clock == "run":
        if value < 1:
            return f"{typed_percent(value)} of the run"
        return counted(value, "run")
    return f"{count(value)} {clock}"


def time_cell(clock: str, times: Mapping[str, float | None]) -> str:
    """Return a half-life without its clock: 35.5, 6,931, 17.7% or 9 runs."""
    value = times[clock]
    if value is None or not math.isfinite(value):
        return NOTHING
    if clock == "run":
        return typed_percent(value) if value < 1 else counted(value, "run")
    return count(value)


def half_life(times: Mapping[str, float | None], *, between: str = " · ") -> str:
    """Return a half-life on every clock that is known.

    Example:
        >>> half_life({"steps": 6931.1, "epochs": 13.862, "run": None})
        '6,931 steps · 13.9 epochs'

    """
    known = {
        clock: value
        for clock, value in times.items()
        if value is not None and math.isfinite(value)
    }
    return between.join(time_on(clock, value) for clock, value in known.items())


def listed(items: Sequence[str], *, most: int | None = None, between: str = ",") -> str:
    """Return items as an English list; of more than ``most``, how many are left out.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
        ('a', 'a, b and c', 'a and 2 more')

    """
    shown = list(items)
    if most is not None and len(shown) > most:
        shown[most:] = [f"{len(shown) - most} more"]
    *first, last = shown or [""]
    return f"{f'{between} '.join(first)} and {last}" if first else last


def interval(low: float | None, high: float | None, *, digits: int = 2) -> str:
    """Return the interval of a number to type; an open end shows as a bound.

    Example:
        >>> interval(0.001, 0.0052), interval(None, 0.1), interval(None, None)
        ('0.001–0.0052', '≤ 0.1', '–')

    """
    first, last = number(low, digits=digits), number(high, digits=digits)
    if low is not None:
        pattern = "≥ {0}" if high is None else "{0}–{1}"
        read = pattern.format(raised(first), raised(last))
        return Numeral(pattern.format(first, last), low, read)
    if high is not None:
        return Numeral(f"≤ {last}", high, f"≤ {raised(last)}")
    return NOTHING


def measured(
    value: float | None, low: float | None, high: float | None, places: int = 2
) -> str:
    """Return a measured number with its interval.

    Example:
        >>> measured(-0.52, -0.7, -0.3), measured(1.5, None, None)
        ('−0.52 (−0.70 to −0.30)', '1.50')

    """
    shown = fixed(value, places)
    if value is None or low is None or high is None:
        return shown
    return Numeral(f"{shown} ({fixed(low, places)} to {fixed(high, places)})", value)


def with_article(name: str) -> str:
    """Return the name of a class with its article.

    Example:
        >>> [with_article(each) for each in ("Linear", "Embedding", "int", "RMSNorm")]
        ['a Linear', 'an Embedding', 'an int', 'an RMSNorm']
        >>> with_article("OneCycleLR")
        'a OneCycleLR'

    """
    # Abbreviations are spelled, an MLP, an RMSNorm; other names are read, a Linear.
    vowels = "AEFHILMNORSX" if name[:2].isupper() else "AEIOUaeiou"
    is_vowel = name[:1] in tuple(vowels) and not name.startswith("One")
    return f"{'an' if is_vowel else 'a'} {name}"


def quantity(name: str) -> str:
    """Return the name of a quantity of scale as English.

    Example:
        >>> quantity("dataset_size"), quantity("lr"), quantity("width")
        ('dataset size', 'learning rate', 'width')

    """
    return _QUANTITIES.get(name, name.replace("_", " "))


def clean(text: object, *, limit: int = 240) -> str:
    r"""Return a text from outside on one line, without control characters.

    Names and messages come from study files, stores, models and exceptions. One of more
    characters than ``limit`` ends in an ellipsis.

    Example:
        >>> clean("\x1b[1mloud\x07\tname\u202e")
        'loud name'

    """
    cut = _SEQUENCE.sub("", str(text)[: 8 * limit]).strip()
    kept = visible("".join(" " if c.isspace() else c for c in cut))
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def visible(text: str) -> str:
    """Return a text without control and format characters, line breaks included."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE)


def plain_letters(text: str, encoding: str = "ascii") -> str:
    """Return a text with ASCII for every letter that an encoding does not have.

    Example:
        >>> plain_letters("−0.36 λ² é"), plain_letters("0.36 λ² é", "latin-1")
        ('-0.36 lambda^2 e', '0.36 lambda² é')

    """
    if text.isascii():
        return text
    return text.encode(encoding, handler_of_missing_letters()).decode(encoding)


def handler_of_missing_letters() -> str:
    """Register the codec error handler that replaces letters, and return its name."""
    codecs.register_error(_PLAIN, _replace)
    return _PLAIN


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(map(_plain, letters)), error.end


def _plain(letter: str) -> str:
    """Return ASCII for a letter: a sign of the same meaning, or its base letter."""
    if unicodedata.combining(letter):
        return ""  # the hat of v̂: the letter below it has been written
    found = _LETTERS.get(letter) or unicodedata.normalize("NFKD", letter)
    return found.encode("ascii", "ignore").decode() or "?"
