"""One training as a pure task: its request and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from dwindle.errors.nearest import nearest_names
from dwindle.wording import listed

Status = Literal["ok", "diverged", "error"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One training that is to run.

    ``weight_decay`` is the number that the training itself gets; without ``seed`` it is
    a plain replicate. Its output is kept in ``folder``, if any, under its ``number``.
    After ``timeout_s`` it is ended. ``environment`` adds variables to those of this
    process: its slot.
    """

    weight_decay: float
    seed: int | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    number: int = 1
    timeout_s: float | None = None
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> str:
        """The error of a training that exceeded its time-out."""
        return f"it was ended after {self.timeout_s:g} s"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a training ended.

    The status ``diverged`` is a loss that is NaN, infinite, or no number any more;
    ``error`` an exception, a death, a time-out, or no loss at all. The ``loss`` is not
    negated where larger is better. ``error`` is the reason in one line, and ``output``
    the file with the kept output. It ``is_worth_another_try`` where the same training
    may end otherwise: after a death or an exception, but not where it gave no loss.
    """

    status: Status
    seconds: float = 0.0
    loss: float | None = None
    error: str | None = None
    last_lines: tuple[str, ...] = ()
    output: Path | None = None
    is_worth_another_try: bool = False


def not_started(error: OSError, *, seconds: float) -> Result:
    """Return the result of a training that the machine has no room for."""
    why = f"it could not be started: {error.strerror or error}"
    return Result(status="error", seconds=seconds, error=why)


def nearest_file(missing: Path) -> str:
    """Return a remedy for a missing file: names of files near to it, as a sentence."""
    there = [str(each) for each in missing.parent.glob(f"*{missing.suffix}")]
    near = nearest_names(str(missing), there, 3)
    return f"Nearest: {listed(near)}." if near else "Is it in this folder?"


class Training(Protocol):
    """Runs one training at a time; owns the process that it runs in."""

    def train(self, request: Request) -> Result:
        """Run a training and wait for it to end; a failure is a result, not raised."""

    def close(self) -> None:
        """End what is running, from any thread, and leave no process behind."""


class Recipe(Protocol):
    """What to train, as plain data: it can be pickled, and opened in many places."""

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""

    def open(self) -> Training:
        """Return something that runs trainings of this recipe, one at a time."""
