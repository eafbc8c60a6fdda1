"""One training as a pure task: what it is asked, and what came of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Status = Literal["ok", "diverged", "error"]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One training that is to run.

    Args:
        weight_decay: The number that the training itself gets, in the unit of its knob.
        seed: Its seed; None for a training that has none (plain replicates).
        scale: The quantities of scale that it is to have, by any names.
        number: Its number within the study, from 1: what its kept output is named by.
        timeout_s: Seconds after which it is ended; None for no limit.
        folder: Where its output is kept (made if absent); None to keep nothing.
        environment: Variables that it finds beside those of this process: its slot.

    """

    weight_decay: float
    seed: int | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    number: int = 1
    timeout_s: float | None = None
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of a training.

    Args:
        status: ``ok``; ``diverged``: the loss is NaN, infinite, or no number any more;
            ``error``: an exception, a death, a time-out, no loss at all.
        loss: The metric as the training reported it (not negated where larger is
            better); None unless ok.
        seconds: Wall time.
        error: Why it is not ok, in one line.
        last_lines: The end of its output or of its traceback, made printable.
        output: The file with its kept output, if any.
        is_worth_another_try: Whether the same training may end otherwise: after a
            death, an exception or a time-out, but not where its result is no loss.

    """

    status: Status
    seconds: float
    loss: float | None = None
    error: str | None = None
    last_lines: tuple[str, ...] = ()
    output: Path | None = None
    is_worth_another_try: bool = False


class Training(Protocol):
    """Runs one training at a time; owns the process that it runs in."""

    def train(self, ask: Ask) -> Came:
        """Run a training and wait for its end; what fails in it is an outcome."""

    def close(self) -> None:
        """End what is running, from any thread, and leave no process behind."""


class Recipe(Protocol):
    """What to train, as plain data: it can be pickled, and opened in many places."""

    @property
    def has_seed(self) -> bool:
        """Whether a seed reaches the training; if not, there are plain replicates."""

    def open(self) -> Training:
        """Return something that runs trainings of this recipe, one at a time."""


def came_with(loss: float, **facts: object) -> Came:
    """Return the outcome of a training that ended with a loss: diverged if not finite.

    Example:
        >>> came_with(0.3, seconds=1.0).status, came_with(math.nan, seconds=1.0).status
        ('ok', 'diverged')

    """
    if math.isfinite(loss):
        return Came(status="ok", loss=loss, **facts)  # type: ignore[arg-type]
    error = f"its loss is {loss}"
    return Came(status="diverged", error=error, **facts)  # type: ignore[arg-type]
