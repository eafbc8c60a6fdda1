"""What kind of training it is, where the facts do not tell: two options."""

from collections.abc import Mapping
from typing import TypedDict

from dwindle.cli.options import Option
from dwindle.errors import UnknownNameError

_YES_OR_NO = {"yes": True, "no": False}
_GROUP = "What kind of training it is, where the facts do not tell"


def _read_yes_or_no(option: str, text: str) -> bool:
    answer = text.casefold()
    if answer not in _YES_OR_NO:
        kind = f"value of {option}"
        raise UnknownNameError.among(kind, text, tuple(_YES_OR_NO))
    return _YES_OR_NO[answer]


_REGIMES = "single-pass, many-epochs, fine-tuning or lora"
_NORMS = "yes or no: whether the network has normalization layers"
KIND_OPTIONS = (
    Option("--regime", _REGIMES, "NAME", group=_GROUP),
    Option("--normalized", _NORMS, "YES", read=_read_yes_or_no, group=_GROUP),
)


class Kind(TypedDict):
    """The arguments of a function that asks for the kind of a training."""

    regime: str | None
    normalized: bool | None


def kind_of(words: Mapping[str, object]) -> Kind:
    """Return what was said of the kind among the arguments of a command.

    Example:
        >>> kind_of({"regime": "fine-tuning", "normalized": None, "lr": "0.1"})
        {'regime': 'fine-tuning', 'normalized': None}

    """
    regime, normalized = words["regime"], words["normalized"]
    return {
        "regime": None if regime is None else str(regime),
        "normalized": None if normalized is None else bool(normalized),
    }
