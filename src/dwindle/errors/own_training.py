"""Errors of a search over a user's own training."""

from collections.abc import Iterable
from dataclasses import dataclass

from dwindle.errors.base import DwindleError


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

    says = (
        "The weight decay must reach the training and change its loss.",
        "Got the loss {loss} for {count} values from {low:g} to {high:g}, all alike.",
        (
            "Check that the training uses the number that it is given; then run the "
            "same line with --accept-change, or with another --store."
        ),
    )
