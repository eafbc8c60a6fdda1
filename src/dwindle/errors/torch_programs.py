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
        listed = "; ".join(self.failures)
        return (
            f"Held by a DecayController, {self.optimizer} must decay exactly as asked.",
            f"Got {len(self.failures)} that failed: {listed}.",
            "dwindle.testing.certify shows every number that was measured.",
        )
