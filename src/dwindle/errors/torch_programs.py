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
