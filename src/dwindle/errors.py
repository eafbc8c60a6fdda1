"""Every error of dwindle: facts as attributes, one text that says what to do.

The tree (each class is also the builtin that fits it)::

    DwindleError
    ├── RangeError           ValueError    a number outside of its range
    ├── UnknownNameError     LookupError   a name that is in no table
    ├── MissingFactError     LookupError   a formula needs a fact that was not given
    ├── UsageError           ValueError    a command line that cannot be read
    └── RefusedError         TypeError     no honest answer exists

"""

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
class RangeError(DwindleError, ValueError):
    """A number is outside of its range."""

    name: str
    value: object
    must: str
    remedy: str = ""

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the range, the value, the remedy."""
        return f"{self.name} must be {self.must}.", f"Got {self.value}.", self.remedy


@dataclass(eq=False)
class UnknownNameError(DwindleError, LookupError):
    """A name is in no table; the nearest ones are offered."""

    kind: str
    name: str
    nearest: tuple[str, ...]
    hint: str = ""

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the kind, the name, the nearest names."""
        near = ", ".join(self.nearest)
        return (
            f"The {self.kind} must be one that dwindle knows.",
            f"Got {self.name!r}.",
            f"Nearest: {near}." if near else "",
            self.hint,
        )


@dataclass(eq=False)
class MissingFactError(DwindleError, LookupError):
    """A formula needs a fact of the run that was not given."""

    fact: str
    needed_for: str
    option: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the fact, the formula that needs it, the option."""
        return (
            f"{self.needed_for} needs {self.fact}.",
            f"Got no {self.fact}.",
            f"Give it as {self.option}, or Run({self.fact}=...) in Python.",
        )


@dataclass(eq=False)
class UsageError(DwindleError, ValueError):
    """A command line cannot be read: an option without value, a word too many."""

    must: str
    got: str
    remedy: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what a line must have, what was got, the remedy."""
        return self.must, f"Got {self.got}.", self.remedy


@dataclass(eq=False)
class RefusedError(DwindleError, TypeError):
    """No honest answer exists; the text says what really happens."""

    asked: str
    why: str
    instead: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what was asked, why it has no answer, what to do."""
        return f"{self.asked} has no honest answer.", self.why, self.instead
