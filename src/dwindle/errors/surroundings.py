"""What the machine lacks: a library, room for a report."""

from dataclasses import dataclass

from dwindle.errors.base import DwindleError


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
            "Write to another path, or free some space; earlier files are intact.",
        )


@dataclass(eq=False)
class OutputExistsError(DwindleError, FileExistsError):
    """A page or a picture would take the place of a file that is to stay."""

    path: str
    found: str
    replaceable: bool

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what is there, and where to write instead."""
        other = "Name another file, such as report.html"
        return (
            f"{self.path} must be free for a page or a picture; nothing was written.",
            f"Got {self.found}.",
            f"{other}, or replace it with --force."
            if self.replaceable
            else f"{other}.",
        )
