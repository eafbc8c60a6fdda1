"""Refusals: errors from the texts of ``refusals.toml``."""

from collections.abc import Callable

from dwindle.errors import RefusedError
from dwindle.plain import table_beside


def refusals_beside(module: str) -> Callable[..., RefusedError]:
    """Return the function that creates errors from the TOML table beside a module."""
    table = table_beside(module)

    def refused(name: str, case: str = "", /, **values: object) -> RefusedError:
        """Return the error of a name: the request, why not, and what to do instead."""
        texts = table[name]
        instead = texts["instead"][case] if case else texts["instead"]
        parts = (texts["asked"], texts["why"], instead)
        return RefusedError(*(part.format(**values) for part in parts))

    return refused


refused = refusals_beside(__file__)
