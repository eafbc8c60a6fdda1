"""Refusals of torch's rooms: the texts of ``refusals.toml``, filled in last."""

from dwindle.errors import RefusedError
from dwindle.plain import table_beside

_TEXTS = table_beside(__file__)


def refused(name: str, case: str = "", /, **values: object) -> RefusedError:
    """Return the error of a name: what was asked, why not, what to do instead."""
    texts = _TEXTS[name]
    instead = texts["instead"][case] if case else texts["instead"]
    parts = (texts["asked"], texts["why"], instead)
    return RefusedError(*(part.format(**values) for part in parts))
