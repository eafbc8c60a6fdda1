"""A training of one's own: run it, read what comes out, find its best decay.

``dwindle.find(train, ...)`` is :func:`dwindle.find.face.find`.
"""

import sys
from types import ModuleType


class _Room(ModuleType):
    """This package, which can be called: its name is that of its one function."""

    def __call__(self, *args: object, **options: object) -> object:
        from dwindle.find.face import find

        return find(*args, **options)  # type: ignore[arg-type] # checked there


sys.modules[__name__].__class__ = _Room
