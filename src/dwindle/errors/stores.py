"""What is wrong with a file of results."""

from dataclasses import dataclass
from shlex import quote

from dwindle.errors.base import DwindleError


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
            f"What is in it can still be read: dwindle report {quote(self.path)}.",
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
