"""Every error of dwindle: facts as attributes, one text that says what to do.

The tree (each class is also the builtin that fits it)::

    DwindleError
    ├── RangeError           ValueError    a number outside of its range
    ├── UnknownNameError     LookupError   a name that is in no table
    ├── AmbiguousNameError   LookupError   a short name that fits several
    ├── MissingFactError     LookupError   a formula needs a fact that was not given
    ├── OscillationError     ValueError    momentum makes the decaying weight swing
    ├── UsageError           ValueError    a command line that cannot be read
    ├── StudyFileError       ValueError    a study file with mistakes, all of them
    ├── StudyStoppedError    RuntimeError  interrupted, everything finished is kept
    ├── WorkerError          RuntimeError  processes that train cannot be started
    ├── StoreError           OSError       the file of results
    │   ├── StoreLockedError     another process writes to it
    │   ├── StoreDamagedError    its bytes are not what was written
    │   ├── StoreUnlikeError     it holds results of other conditions
    │   ├── StoreFormatError     it is something else, or newer than this dwindle
    │   └── StoreAccessError     the disk is full, or the file cannot be reached
    ├── DataFilesError       OSError       the data of a problem is absent or damaged
    ├── MissingLibraryError  ImportError   an optional library is not installed
    ├── ReportWriteError     OSError       a page or picture cannot be written
    ├── UnexpectedError      RuntimeError  a failure that no other class describes
    └── RefusedError         TypeError     no honest answer exists

"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self


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

    @classmethod
    def among(cls, kind: str, name: str, valid: Iterable[str], hint: str = "") -> Self:
        """Return the error with the nearest of the valid names, all if none is near."""
        names = sorted(valid)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        return cls(kind, name, tuple(near or names), hint)

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


@dataclass(eq=False)
class StudyFileError(DwindleError, ValueError):
    """A study file has mistakes; each is told with its line."""

    path: str
    mistakes: tuple[tuple[int, str], ...]

    def sentences(self) -> tuple[str, ...]:
        """Return the text: how many mistakes, then each with file and line."""
        count = len(self.mistakes)
        lines = [f"\n  {self.path}:{line}: {text}" for line, text in self.mistakes]
        must = "A study file must be free of mistakes, and nothing was trained."
        got = f"Got {count} mistake{'s' if count > 1 else ''}:"
        return must, got, "".join(lines)


@dataclass(eq=False)
class StudyStoppedError(DwindleError, RuntimeError):
    """A study was interrupted; every finished pack is in its store."""

    store: str
    trained: int
    planned: int
    exit_code = 130

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what is saved and how to go on."""
        return (
            f"Interrupted with {self.trained} of {self.planned} trainings saved.",
            f"They are in {self.store}.",
            "Run the same command again to continue.",
        )


@dataclass(eq=False)
class WorkerError(DwindleError, RuntimeError):
    """Processes that should train die before they can."""

    died: int
    exit_code = 3

    def sentences(self) -> tuple[str, ...]:
        """Return the text: how many died, and how to see why."""
        return (
            "A worker process must live until it has loaded the engine.",
            f"Got {self.died} that died before (killed, or out of memory).",
            "Train in this process to see why: --backend inline, or Inline().",
        )


@dataclass(eq=False)
class StoreError(DwindleError, OSError):
    """Something is wrong with a file of results."""

    path: str
    exit_code = 3


@dataclass(eq=False)
class StoreLockedError(StoreError):
    """Another process writes to the store."""

    owner: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: one writer, who it is, what to do."""
        return (
            f"A store must have one writer at a time, and {self.path} has one.",
            f"Got {self.owner}.",
            "Wait for it, stop it, or write to another file with --store.",
        )


@dataclass(eq=False)
class StoreDamagedError(StoreError):
    """The bytes of the store are not what was written."""

    found: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what was found, and the ways out."""
        return (
            f"Every byte of {self.path} must be as it was written.",
            f"Got damage: {self.found}.",
            "No number of it is used.",
            "Put a copy of the file back, or move it away and run the study again.",
        )


@dataclass(eq=False)
class StoreUnlikeError(StoreError):
    """The store holds results of other conditions, which are never pooled."""

    differences: tuple[tuple[str, str, str], ...]
    exit_code = 2

    def sentences(self) -> tuple[str, ...]:
        """Return the text: each difference (in the store, now) and the ways out."""
        told = [f"{name} {old} there, {new} now" for name, old, new in self.differences]
        return (
            f"Results of unlike conditions must not be pooled in {self.path}.",
            f"Got {'; '.join(told)}.",
            "Write to another file with --store, or go back to the conditions there.",
            f"What is in it can still be read: dwindle report {self.path}.",
        )


@dataclass(eq=False)
class StoreFormatError(StoreError):
    """The file is no store, or one that a newer dwindle wrote."""

    found: str
    remedy: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what the file is, and what to do."""
        must = f"{self.path} must be a store that this dwindle can read."
        return must, f"Got {self.found}.", self.remedy


@dataclass(eq=False)
class StoreAccessError(StoreError):
    """The store cannot be read or written where it lies."""

    reason: str
    free_bytes: int | None = None

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the reason, the room left, what to do."""
        room = "" if self.free_bytes is None else f", {self.free_bytes:,} bytes free"
        return (
            f"{self.path} must be readable and writable.",
            f"Got {self.reason}{room}.",
            "Results committed earlier are intact.",
            "Make room or access, then run the same command again.",
        )


@dataclass(eq=False)
class DataFilesError(DwindleError, OSError):
    """A file with the data of a problem is absent or not what it must be."""

    path: str
    must: str
    got: str
    remedy: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what the file must be, what is there, how to get it."""
        return f"{self.path} must be {self.must}.", f"Got {self.got}.", self.remedy


@dataclass(eq=False)
class MissingLibraryError(DwindleError, ImportError):
    """An optional library is not installed; the line that installs it is given."""

    library: str
    needed_for: str
    extra: str

    exit_code = 3

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what needs the library, that it is absent, the remedy."""
        return (
            f"{self.needed_for} needs {self.library}.",
            f"Got no {self.library} in this Python.",
            f"Install it: pip install 'dwindle[{self.extra}]'.",
        )


@dataclass(eq=False)
class ReportWriteError(DwindleError, OSError):
    """A page or a picture cannot be written; what was there before is intact."""

    path: str
    why: str

    exit_code = 3

    def sentences(self) -> tuple[str, ...]:
        """Return the text: the file, the reason of the system, the remedy."""
        return (
            f"The report must be written to {self.path}.",
            f"Got: {self.why}.",
            "Free some space or choose another folder; earlier files are intact.",
        )


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
