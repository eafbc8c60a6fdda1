"""What a stream writes instead of the letters that its encoding does not have."""

import codecs
import unicodedata

# Signs that carry meaning: a lost minus would turn a number into another one.
PLAIN = {
    **dict.fromkeys("−–—‐‑", "-"),
    **dict.fromkeys("·⋅∙", "*"),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("─━╌┄═╴╶╸╺", "-"),
    **dict.fromkeys("│┃║╎", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+"),
    **dict.fromkeys("█▇▆▅▄▃▂▁●■◆▪", "#"),
    "×": "x",
    "←": "<-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
    "…": "...",
    "√": "sqrt ",
    "∞": "inf",
    "∝": "~",
    "Σ": "sum ",
    "Π": "product ",
    "Δ": "delta ",
    "°": " deg",
    "µ": "u",
    "✓": "yes",
    "✗": "no",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "ε": "eps",
    "η": "eta",
    "λ": "lambda",
    "μ": "mu",
    "σ": "sigma",
    "τ": "tau",
    "ω": "omega",
}
_NAME = "dwindle-plain"


def plain(letter: str) -> str:
    """Return ASCII for a letter: a sign of the same meaning, or its bare form.

    Example:
        >>> "".join(map(plain, "−0.36 λ² é"))
        '-0.36 lambda2 e'

    """
    if letter.isascii():
        return letter
    found = PLAIN.get(letter) or unicodedata.normalize("NFKD", letter)
    return found.encode("ascii", "ignore").decode() or "?"


def handler_of_missing_letters() -> str:
    """Register the handler with Python's codecs, and return its name."""
    codecs.register_error(_NAME, _handle)
    return _NAME


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(map(plain, letters)), error.end
