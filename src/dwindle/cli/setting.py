"""KNOB=VALUE: the one word in which a person says what is typed where."""

from dwindle.cli.options import Option
from dwindle.errors import UsageError

SETTING = Option(
    "KNOB=VALUE",
    'what is typed where: torch.optim.AdamW=0.1, half-life="3 epochs"',
    required=True,
)


def split_setting(text: str) -> tuple[str, str]:
    """Return the knob and the text of its value.

    Raises:
        UsageError: If one of the two is missing.

    Example:
        >>> split_setting("half-life=3 epochs")
        ('half-life', '3 epochs')

    """
    knob, _, value = text.partition("=")
    if not knob.strip() or not value.strip():
        must = "KNOB=VALUE must be a knob and its value, joined by =."
        remedy = 'Write torch.optim.AdamW=0.1, or half-life="3 epochs".'
        raise UsageError(must, repr(text), remedy)
    return knob.strip(), value.strip()


def number(value: float | None) -> str:
    """Return a number as one would type it, to six digits; a dash where there is none.

    Example:
        >>> number(0.0010000000000000002), number(None)
        ('0.001', '–')

    """
    return "–" if value is None else f"{value:.6g}"


def short_number(value: float | None) -> str:
    """Return a number to look at rather than to type, to four digits."""
    return "–" if value is None else f"{value:.4g}"
