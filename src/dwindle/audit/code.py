"""A code is one thing that an audit can find: its name, its weight, its page."""

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
# Worst first. Errors and warnings fail an audit, notes never do.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class Code:
    """One kind of finding, and what ``dwindle audit --explain`` says of it.

    Args:
        code: Its stable name, ``DW001``.
        severity: ``error`` where the script cannot do what was meant, ``warning`` where
            it hardly does, ``note`` where one should only know.
        title: What is found, in a few words.
        why: Why it matters.
        found: How it is found.
        write: What to write instead.
        source: Where the fact was read or measured.

    """

    code: str
    severity: Severity
    title: str
    why: str
    found: str
    write: str
    source: str

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the code as JSON has it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
