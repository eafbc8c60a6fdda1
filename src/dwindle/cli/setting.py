"""KNOB=VALUE: the one word in which a person says what is typed where."""

from dwindle.cli.options import Option
from dwindle.decay.knobs import knobs
from dwindle.decay.read_numbers import read_number
from dwindle.decay.readable import number
from dwindle.errors import DwindleError, UsageError

__all__ = ["SETTING", "number", "short_number", "split_setting"]

SETTING = Option(
    "KNOB=VALUE",
    'what is typed where: torch.optim.AdamW=0.1, half-life="3 epochs"',
    required=True,
    also=("--wd", "--weight-decay", "--decay", "--l2", "--knob"),
)
_EXAMPLE = 'Write torch.optim.AdamW=0.1, or half-life="3 epochs".'


def split_setting(text: str) -> tuple[str, str]:
    """Return the knob and the text of its value.

    Raises:
        UsageError: If one of the two is missing.

    Example:
        >>> split_setting("half-life=3 epochs")
        ('half-life', '3 epochs')
        >>> split_setting("0.1=torch.AdamW")
        ('torch.AdamW', '0.1')

    """
    knob, _, value = (part.strip() for part in text.partition("="))
    if not knob or not value:
        must = "KNOB=VALUE must be a knob and its value, joined by =."
        raise UsageError(must, repr(text), _remedy(knob))
    if read_number(knob) is not None and read_number(value) is None:
        return value, knob
    return knob, value


def _remedy(word: str) -> str:
    if not word:
        return _EXAMPLE
    if read_number(word) is not None:
        return (
            f"Say where {word} is typed: torch.optim.SGD={word}, for example, or "
            f"torch.optim.AdamW={word}."
        )
    try:
        name = knobs(word)[0].name
    except DwindleError:
        return _EXAMPLE
    return f"Write {name}=0.1, for example; dwindle knobs {name} says what it does."


def short_number(value: float | None) -> str:
    """Return a number to look at rather than to type, to four digits."""
    return "–" if value is None else f"{value:.4g}"
