"""What an audit was pointed at and cannot be audited: a file, a function."""

from dataclasses import dataclass

from dwindle.errors.base import DwindleError


@dataclass(eq=False)
class AuditTargetError(DwindleError, ValueError):
    """A file of settings or a ``module:function`` cannot be audited."""

    target: str
    must: str
    got: str
    remedy: str

    def sentences(self) -> tuple[str, ...]:
        """Return the text: what the target must be, what it is, what to write."""
        return f"{self.target} must {self.must}.", f"Got {self.got}.", self.remedy
