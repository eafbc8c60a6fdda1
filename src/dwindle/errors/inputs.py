"""What somebody wrote and cannot be read, found or answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dwindle.errors.base import DwindleError
from dwindle.errors.nearest import nearest_names


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

    @classmethod
    def among(cls, kind: str, name: str, valid: Iterable[str], hint: str = "") -> Self:
        """Return the error with the nearest of the valid names, all if none is near."""
        names = sorted(valid)
        typed = name if isinstance(name, str) else repr(name)
        near = nearest_names(typed, names)
        return cls(kind, typed, tuple(near or names), hint)

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
class AmbiguousNameError(DwindleError, LookupError):
    """A short name fits several things; all of them are listed."""

    kind: str
    name: str
    candidates: tuple[str, ...]
    hint: str = ""

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the kind, the name, the candidates, what to write."""
        return (
            f"The {self.kind} must be told by a name that only one has.",
            f"Got {self.name!r}.",
            f"It fits {', '.join(self.candidates)}.",
            self.hint,
        )


@dataclass(eq=False)
class MissingFactError(DwindleError, LookupError):
    """A formula needs a fact of the run that was not given."""

    fact: str
    needed_for: str
    option: str
    caller: str = (
        ""  # what has an argument of the fact's name; else command line and Run
    )
    has_epochs: bool = False  # whether the caller counts steps from epochs, too

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the fact, the formula that needs it, the option."""
        here = f"{self.caller}({self.fact}=...)"
        if self.fact == "steps" and self.has_epochs:
            here += ", or its epochs with batch_size and dataset_size"
        there = f"{self.option}, or Run({self.fact}=...) in Python"
        return (
            f"{self.needed_for} needs {self.fact}.",
            f"Got no {self.fact}.",
            f"Give it as {here if self.caller else there}.",
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
class OscillationError(DwindleError, ValueError):
    """Beyond this limit a weight under momentum swings around zero: no half-life."""

    name: str
    value: float
    limit: float
    momentum: float
    fastest_half_life_steps: float

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the limit, the value, what else can be asked."""
        must = (
            f"{self.name} must be at most {self.limit:.6g} for a half-life to exist at "
            f"this lr and momentum {self.momentum:g}: beyond it a decaying weight "
            "overshoots zero and swings."
        )
        remedy = (
            "The fastest half-life that a constant weight decay gives here is "
            f"{self.fastest_half_life_steps:.4g} steps: lower the weight decay or the "
            "momentum, or ask what the whole run leaves of a weight instead."
        )
        return must, f"Got {self.value:.6g}.", remedy


@dataclass(eq=False)
class RefusedError(DwindleError, TypeError):
    """No honest answer exists; the text says what really happens."""

    asked: str
    why: str
    instead: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what was asked, why it has no answer, what to do."""
        return f"{self.asked} has no honest answer.", self.why, self.instead
