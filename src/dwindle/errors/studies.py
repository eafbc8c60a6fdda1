"""What stops a study: its file, its workers, its data, an interruption."""

from dataclasses import dataclass

from dwindle.errors.base import DwindleError


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
class DataFilesError(DwindleError, OSError):
    """A file with the data of a problem is absent or not what it must be."""

    path: str
    must: str
    got: str
    remedy: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what the file must be, what is there, how to get it."""
        return f"{self.path} must be {self.must}.", f"Got {self.got}.", self.remedy
