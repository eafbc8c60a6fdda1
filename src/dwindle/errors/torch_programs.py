"""What is wrong with a torch program that dwindle looks at or holds."""

from dataclasses import dataclass

from dwindle.errors.base import DwindleError


@dataclass(eq=False)
class CheckpointError(DwindleError, ValueError):
    """A saved state belongs to another optimizer than the one it is loaded into."""

    what: str
    saved: str
    here: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what must agree, both sides, what to do."""
        return (
            f"{self.what} must be the same as when the state was saved.",
            f"Got {self.saved} in the checkpoint and {self.here} here.",
            "Build the optimizer as it was then, or start a new DecayController.",
        )


@dataclass(eq=False)
class CertificationError(DwindleError, RuntimeError):
    """An optimizer does not decay as asked when a controller holds it."""

    optimizer: str
    failures: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what must hold, every scenario that failed, what to do."""
        listed = "; ".join(each.removesuffix(".") for each in self.failures)
        return (
            f"Held by a DecayController, {self.optimizer} must decay exactly as asked.",
            f"Got {len(self.failures)} that failed: {listed}.",
            "dwindle.testing.certify shows every number that was measured.",
        )


@dataclass(eq=False)
class PatternError(DwindleError, LookupError):
    """A pattern fits no parameter of the model: most likely a typing error."""

    argument: str
    pattern: str
    parameters: int
    nearest: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what a pattern must fit, the pattern, the nearest names."""
        return (
            f"Each pattern of {self.argument} must fit a parameter of the model.",
            f"Got {self.pattern!r}, which fits none of {self.parameters} names.",
            f"Nearest: {', '.join(self.nearest)}." if self.nearest else "",
        )


class DoubleDecayWarning(UserWarning):
    """The same weights decay twice: by a penalty in the loss and by the optimizer."""
