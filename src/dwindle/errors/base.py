"""What all errors have in common: facts, sentences made of them, an exit code."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar


class DwindleError(Exception):
    """What must hold, what was got, and what to write instead.

    Subclasses are dataclasses: their fields are the facts. ``templates`` has
    one sentence each for what must hold, what was got and the remedy, with the facts in
    braces; an empty one is left out. ``exit_code`` is what the command line returns.
    """

    exit_code = 2  # bad input: most errors are; what failed while running has 3
    templates: ClassVar[tuple[str, ...]]

    def sentences(self) -> tuple[str, ...]:
        """Return the text sentence by sentence."""
        # A remedy may be empty, where what must hold implies it.
        return tuple(filter(None, self._sentences()))

    def _sentences(self) -> Iterable[str]:
        """Return the sentences; overridden where facts need more than templates."""
        return (each.format(**vars(self)) for each in self.templates)

    def __str__(self) -> str:
        return " ".join(self.sentences())

    def __reduce__(self) -> tuple[Callable[..., "DwindleError"], tuple[Any, ...]]:
        # Keyword facts never reach Exception.args, so pickling needs its own way:
        # errors cross from worker processes to the driver.
        return partial(type(self), **self.__dict__), ()
