"""Every error of dwindle: facts as attributes, and one text with the remedy.

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
    ├── FirstTrainingError   RuntimeError  a user's first training gives no loss
    ├── NoEffectError        RuntimeError  weight decays that do not reach a training
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
    ├── OutputExistsError    OSError       a page would replace a file that must stay
    ├── CheckpointError      ValueError    a controller's state of another optimizer
    ├── CertificationError   RuntimeError  an optimizer that no controller can hold
    ├── AuditTargetError     ValueError    a file or function that cannot be audited
    ├── PatternError         LookupError   a pattern that fits no parameter of a model
    ├── UnexpectedError      RuntimeError  a failure that no other class describes
    └── RefusedError         TypeError     a request without an answer, and why

    DoubleDecayWarning       UserWarning   a penalty and the optimizer, same weights

"""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import Self

from dwindle.errors.base import DwindleError as DwindleError
from dwindle.errors.nearest import nearest_names


# eq=False for all: a dataclass that compares by value has no hash, and two exceptions
# with the same facts are not one.
@dataclass(eq=False)
class RangeError(DwindleError, ValueError):
    """A number is outside of its range."""

    name: str
    value: object
    must: str
    remedy: str = ""

    templates = ("{name} must be {must}.", "Got {value}.", "{remedy}")

    def _sentences(self) -> Iterable[str]:
        value = self.value
        if isinstance(value, float):  # 1.4999999999999998 came of a typed 1.5
            value = min(f"{value:.12g}", repr(value), key=len)
        return (each.format(**vars(self) | {"value": value}) for each in self.templates)


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
        # From Python anything may come: dtype=torch.int8, schedule=3.
        typed = name if isinstance(name, str) else repr(name)
        near = nearest_names(typed, names)
        return cls(kind, typed, tuple(near or names), hint)

    def _sentences(self) -> Iterable[str]:
        yield f"The {self.kind} must be one that dwindle knows."
        yield f"Got {self.name!r}."
        if self.nearest:
            yield f"Nearest: {', '.join(self.nearest)}."
        yield self.hint


@dataclass(eq=False)
class AmbiguousNameError(DwindleError, LookupError):
    """A short name fits several things; all of them are listed."""

    kind: str
    name: str
    candidates: tuple[str, ...]
    hint: str = ""

    def _sentences(self) -> Iterable[str]:
        yield f"The {self.kind} must be given by a name that only one has."
        yield f"Got {repr(self.name) if self.name else 'none'}."
        yield f"It fits {', '.join(self.candidates)}."
        yield self.hint


@dataclass(eq=False)
class MissingFactError(DwindleError, LookupError):
    """A formula needs a fact of the run that was not given.

    ``caller`` is the function that takes the fact as an argument, where that is neither
    the command line nor ``owner``; ``has_epochs``, whether it also takes epochs instead
    of steps.
    """

    fact: str
    needed_for: str
    option: str
    caller: str = ""
    has_epochs: bool = False
    owner: str = "Run"

    def _sentences(self) -> Iterable[str]:
        yield f"{self.needed_for} needs {self.fact}."
        yield f"Got no {self.fact}."
        give = f"{self.option}, or {self.owner}({self.fact}=...) in Python"
        if self.caller:
            give = f"{self.caller}({self.fact}=...)"
            if self.fact == "steps" and self.has_epochs:
                give += ", or its epochs with batch_size and dataset_size"
        yield f"Give it as {give}."


@dataclass(eq=False)
class UsageError(DwindleError, ValueError):
    """A command line cannot be read: an option without value, a word too many."""

    must: str
    got: str
    remedy: str

    templates = ("{must}", "Got {got}.", "{remedy}")


@dataclass(eq=False)
class OscillationError(DwindleError, ValueError):
    """Beyond this limit a weight under momentum swings around zero: no half-life."""

    name: str
    value: float
    limit: float
    momentum: float
    fastest_half_life_steps: float

    templates = (
        (
            # Six digits: a value just beyond the limit must not read like it.
            "{name} must be at most {limit:.6g} for a half-life to exist at this lr "
            "and momentum {momentum:g}: beyond it a decaying weight overshoots zero "
            "and swings."
        ),
        "Got {value:.6g}.",
        (
            "The fastest half-life that a constant weight decay gives here is "
            "{fastest_half_life_steps:.4g} steps: lower the weight decay or the "
            "momentum, or go by what the whole run leaves of a weight instead."
        ),
    )


@dataclass(eq=False)
class RefusedError(DwindleError, TypeError):
    """Any number would mislead; the text explains what really happens."""

    asked: str
    why: str
    instead: str

    templates = ("{asked} cannot be given.", "{why}", "{instead}")


@dataclass(eq=False)
class UnexpectedError(DwindleError, RuntimeError):
    """A failure that no other class describes: a mistake of ours, most likely."""

    kind: str
    text: str
    exit_code = 3

    templates = (
        "dwindle must foresee every failure, and it did not foresee this one.",
        "Got {kind}: {text}.",
        "Run the same line with --debug for the traceback, and please report it.",
    )


# Files of results. Five classes, since each has other facts, and callers act on the
# kind: wait for a writer, take a copy, choose another file, make room.


@dataclass(eq=False)
class StoreError(DwindleError, OSError):
    """Something is wrong with a file of results."""

    path: str
    exit_code = 3


@dataclass(eq=False)
class StoreLockedError(StoreError):
    """Another process writes to the store."""

    owner: str

    templates = (
        "A store must have one writer at a time, and {path} has one.",
        "Got {owner}.",
        "Wait for it, stop it, or write to another file with --store.",
    )


@dataclass(eq=False)
class StoreDamagedError(StoreError):
    """The bytes of the store are not what was written."""

    found: str

    templates = (
        "Every byte of {path} must be as it was written.",
        "Got damage: {found}.",
        "No number of it is used.",
        "Put a copy of the file back, or move it away and run the study again.",
    )


@dataclass(eq=False)
class StoreUnlikeError(StoreError):
    """The store holds results of other conditions, which are never pooled.

    Each difference is a name, what is in the store, and what holds now. ``may_change``
    where a store may hold trainings of several conditions, each apart.
    """

    differences: tuple[tuple[str, str, str], ...]
    may_change: bool = False
    # The command named other conditions: that is bad input, and no failure.
    exit_code = 2

    def _sentences(self) -> Iterable[str]:
        both = [f"{name} {old} there, {new} now" for name, old, new in self.differences]
        yield f"Results of unlike conditions must not be pooled in {self.path}."
        yield f"Got {'; '.join(both)}."
        yield "Write to another file with --store, or go back to the conditions there."
        if self.may_change:
            yield "Or keep both in this one, apart: --accept-change."
        yield f"What is in it can still be read: dwindle report {quote(self.path)}."


@dataclass(eq=False)
class StoreFormatError(StoreError):
    """The file is no store, or one that a newer dwindle wrote."""

    found: str
    remedy: str

    templates = (
        "{path} must be a store that this dwindle can read.",
        "Got {found}.",
        "{remedy}",
    )


@dataclass(eq=False)
class StoreAccessError(StoreError):
    """The store cannot be read or written where it lies."""

    reason: str
    free_bytes: int | None = None

    def _sentences(self) -> Iterable[str]:
        room = "" if self.free_bytes is None else f", {self.free_bytes:,} bytes free"
        yield f"{self.path} must be readable and writable."
        yield f"Got {self.reason}{room}."
        yield "Results committed earlier are intact."
        yield "Make room or access, then run the same command again."


@dataclass(eq=False)
class StudyFileError(DwindleError, ValueError):
    """A study file has mistakes; each stands with its line."""

    path: str
    mistakes: tuple[tuple[int, str], ...]

    def _sentences(self) -> Iterable[str]:
        count = len(self.mistakes)
        yield "A study file must be free of mistakes, and nothing was trained."
        yield f"Got {count} mistake{'s' if count > 1 else ''}:"
        yield "".join(f"\n  {self.path}:{line}: {text}" for line, text in self.mistakes)


@dataclass(eq=False)
class StudyStoppedError(DwindleError, RuntimeError):
    """A study was interrupted; every finished pack is in its store."""

    store: str
    trained: int
    planned: int
    remedy: str = "Run the same command again to continue."
    exit_code = 130  # 128 + SIGINT, as shells report it

    templates = (
        "Interrupted with {trained} of {planned} trainings saved.",
        "They are in {store}.",
        "{remedy}",
    )


@dataclass(eq=False)
class FirstTrainingError(DwindleError, RuntimeError):
    """The first training gives no loss, and so would all others."""

    training: str
    reason: str
    last_lines: tuple[str, ...]
    exit_code = 3

    def _sentences(self) -> Iterable[str]:
        yield "The first training must end with a loss; no other was started."
        yield f"Got: {self.reason.rstrip('.')} ({self.training})."
        yield "Correct it and run the same line again."
        if self.last_lines:
            lines = "".join(f"\n  | {line}" for line in self.last_lines)
            yield f"Its last lines:{lines}"


@dataclass(eq=False)
class NoEffectError(DwindleError, RuntimeError):
    """Different weight decays give exactly one loss: they do not reach the training."""

    loss: str
    count: int
    low: float
    high: float
    exit_code = 3

    templates = (
        "The weight decay must reach the training and change its loss.",
        "Got the loss {loss} for {count} values from {low:g} to {high:g}, all alike.",
        (
            "Check that the training uses the number that it is given; then run the "
            "same line with --accept-change, or with another --store."
        ),
    )


@dataclass(eq=False)
class WorkerError(DwindleError, RuntimeError):
    """Processes that should train die before they can."""

    died: int
    exit_code = 3

    templates = (
        "A worker process must live until it has loaded the engine.",
        "Got {died} that died before (killed, or out of memory).",
        "Train in this process to see why: --backend inline, or Inline().",
    )


@dataclass(eq=False)
class DataFilesError(DwindleError, OSError):
    """A file with the data of a problem is absent or not what it must be."""

    path: str
    must: str
    got: str
    remedy: str

    templates = ("{path} must be {must}.", "Got {got}.", "{remedy}")


@dataclass(eq=False)
class MissingLibraryError(DwindleError, ImportError):
    """An optional library is not installed; the line that installs it is given."""

    library: str
    needed_for: str
    extra: str
    exit_code = 3

    templates = (
        "{needed_for} needs {library}.",
        "Got no {library} in this Python.",
        "Install it, in a clone of dwindle: pip install '.[{extra}]'",
    )


@dataclass(eq=False)
class ReportWriteError(DwindleError, OSError):
    """A page or a picture cannot be written; what was there before is intact."""

    path: str
    why: str
    exit_code = 3

    templates = (
        "The report must be written to {path}.",
        "Got: {why}.",
        "Write to another path, or free some space; earlier files are intact.",
    )


@dataclass(eq=False)
class OutputExistsError(DwindleError, FileExistsError):
    """A page or a picture would take the place of a file that is to stay."""

    path: str
    found: str
    replaceable: bool

    def _sentences(self) -> Iterable[str]:
        yield f"{self.path} must be free for a page or a picture; nothing was written."
        yield f"Got {self.found}."
        force = ", or replace it with --force" if self.replaceable else ""
        yield f"Name another file, such as report.html{force}."


@dataclass(eq=False)
class AuditTargetError(DwindleError, ValueError):
    """A file of settings or a ``module:function`` cannot be audited."""

    target: str
    must: str
    got: str
    remedy: str

    templates = ("{target} must {must}.", "Got {got}.", "{remedy}")


@dataclass(eq=False)
class CheckpointError(DwindleError, ValueError):
    """A saved state belongs to another optimizer than the one it is loaded into."""

    what: str
    saved: str
    here: str

    templates = (
        "{what} must be the same as when the state was saved.",
        "Got {saved} in the checkpoint and {here} here.",
        "Build the optimizer as it was then, or start a new DecayController.",
    )


@dataclass(eq=False)
class CertificationError(DwindleError, RuntimeError):
    """An optimizer does not decay as requested when a controller holds it."""

    optimizer: str
    failures: tuple[str, ...]

    def _sentences(self) -> Iterable[str]:
        listed = "; ".join(each.removesuffix(".") for each in self.failures)
        yield (
            f"Held by a DecayController, {self.optimizer} must decay exactly as "
            "requested."
        )
        yield f"Got {len(self.failures)} that failed: {listed}."
        yield "dwindle.testing.certify shows every number that was measured."


@dataclass(eq=False)
class PatternError(DwindleError, LookupError):
    """A pattern fits no parameter of the model: most likely a typing error."""

    argument: str
    pattern: str
    parameters: int
    nearest: tuple[str, ...]

    def _sentences(self) -> Iterable[str]:
        yield f"Each pattern of {self.argument} must fit a parameter of the model."
        yield f"Got {self.pattern!r}, which fits none of {self.parameters} names."
        if self.nearest:
            yield f"Nearest: {', '.join(self.nearest)}."


class DoubleDecayWarning(UserWarning):
    """The same weights decay twice: by a penalty in the loss and by the optimizer."""
