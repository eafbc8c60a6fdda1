"""Lines to paste: each knows what it does to param groups, so all fit their report.

A line is right for the groups that were audited. Behind one that splits groups or
builds an optimizer anew, places count other groups; behind one that sets an option,
another number for it would undo the first. There a finding says to audit again.
"""

from dataclasses import dataclass, fields
from typing import Any

from dwindle.wording import number

# The name of the only optimizer, and of the list of several.
_ALL = frozenset({"optimizer", "optimizers"})


@dataclass(frozen=True, kw_only=True)
class Line:
    """What to write, to be copied, and what it does."""

    text: str  # one line or several
    optimizers: frozenset[str] = frozenset()  # ``optimizer`` or ``optimizers[1]``
    sets: frozenset[tuple[str, int, str]] = frozenset()  # optimizer, group, option
    splits: bool = False  # groups become two in their place
    builds: bool = False  # an optimizer is built anew
    holds: bool = False  # an optimizer is handed to a controller
    refills: bool = False  # the lists of parameters in the groups change
    types_a_decay: bool = False  # a number for weight_decay stands in it

    @property
    def regroups(self) -> bool:
        """Whether the groups are others afterwards."""
        return self.splits or self.builds or self.refills

    def then(self, other: "Line") -> "Line":
        """Return one line that does both."""
        does: dict[str, Any] = {  # names of sets and truth values
            each.name: getattr(self, each.name) | getattr(other, each.name)
            for each in fields(self)
            if each.name != "text"
        }
        return Line(text=f"{self.text}\n{other.text}", **does)

    def undoes(self, later: "Line") -> bool:
        """Return whether a later line would hit other groups, or take this one back."""
        whole = _ALL & (self.optimizers | later.optimizers)
        if self.optimizers.isdisjoint(later.optimizers) and not whole:
            return False
        counts = later.sets or later.splits or later.builds or later.holds
        if (self.splits or self.builds or self.holds) and counts:
            return True
        if self.sets and later.sets:
            return not self.sets.isdisjoint(later.sets)
        if self.sets and later.splits:
            return later.types_a_decay
        return bool(self.sets) and (later.builds or later.holds)


def number_line(key: str, value: float, was: float) -> Line:
    """Return the line that types a number, with what was typed before."""
    return Line(text=f"{key}={typed(value)}  # was {number(was, digits=6)}")


def typed(value: float) -> str:
    """Return a number as one types it into Python: three digits at most."""
    return repr(float(number(value)))
