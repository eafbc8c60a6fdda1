"""Refusals: texts of ``refusals.toml`` by their names, filled in last."""

from collections.abc import Callable

from dwindle.errors import RefusedError
from dwindle.plain import table_beside


def refusals_beside(module: str) -> Callable[..., RefusedError]:
    """Return the function that makes errors of what stands beside a module."""
    table = table_beside(module)

    def refused(name: str, case: str = "", /, **values: object) -> RefusedError:
        """Return the error of a name: what was asked, why not, what to do instead."""
        texts = table[name]
        instead = texts["instead"][case] if case else texts["instead"]
        parts = (texts["asked"], texts["why"], instead)
        return RefusedError(*(part.format(**values) for part in parts))

    return refused


refused = refusals_beside(__file__)
