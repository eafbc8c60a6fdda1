"""The base of every error: facts as attributes, one text that says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _rebuild(kind: type["DwindleError"], facts: dict[str, Any]) -> "DwindleError":
    return kind(**facts)


class DwindleError(Exception):
    """What must hold, what was got, and what to write instead.

    Subclasses are dataclasses: their fields are the facts, ``sentences`` is the
    text. ``exit_code`` is what the command line returns.
    """

    exit_code = 2

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what must hold, what was got, the remedy."""
        raise NotImplementedError

    def __str__(self) -> str:
        return " ".join(sentence for sentence in self.sentences() if sentence)

    def __reduce__(self) -> tuple[Callable[..., "DwindleError"], tuple[Any, ...]]:
        # Keyword facts never reach Exception.args, so pickling needs its own way:
        # errors cross from worker processes to the driver.
        return _rebuild, (type(self), dict(self.__dict__))


@dataclass(eq=False)
class UnexpectedError(DwindleError, RuntimeError):
    """A failure that no other class describes: a mistake of ours, most likely."""

    kind: str
    text: str

    exit_code = 3

    def sentences(self) -> tuple[str, ...]:
        """Return the text: that it was not foreseen, what it was, what to do."""
        return (
            "dwindle must foresee every failure, and it did not foresee this one.",
            f"Got {self.kind}: {self.text}.",
            "Run the same line with --debug for the traceback, and please report it.",
        )
