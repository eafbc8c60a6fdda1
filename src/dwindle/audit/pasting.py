"""Lines of one report: they can be pasted in the order in which they are printed.

A line is right for the groups that were audited. Behind one that splits groups or
builds an optimizer anew, places count other groups; behind one that sets an option,
another number for it would undo the first. There a finding says to audit again.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from dwindle.audit.findings import Finding

_ABOVE = "The line under {} does it."
_AGAIN = (
    "Audit again once the line under {} has run, which changes the groups that are "
    "counted here: the line for this then fits them."
)
_INDEXED = re.compile(
    r"(?:for at in (?P<many>[^:\n]+):\n\s+)?"
    r"(?P<called>[\w.\[\]]+)\.param_groups\[(?P<one>\d+|at)\]"
    r'(?:\["(?P<key>\w+)"\] = |\.update\((?P<keys>.*)\))'
)
_BUILT = re.compile(r"^(\w+(?:\[\d+\])?|controllers?) = ", re.MULTILINE)
_SPLIT = re.compile(r"\.param_groups\[[^\]]*:[^\]]*\] = ")
_OPTIMIZER = re.compile(r"\boptimizers?\b(?:\[\d+\])?")
_FILLS = re.compile(r"add_param_group|\[\"params\"\] = ")
_KEY = re.compile(r"(\w+)=")
_HELD = "DecayController("


def in_order(findings: Iterable["Finding"]) -> Iterator["Finding"]:
    """Yield the findings in their order, each with a line that fits those before it."""
    kept: dict[str, _Line] = {}
    for found in findings:
        line = _Line.of(found)
        if not found.line:
            yield found
        elif found.line in kept:
            above = _ABOVE.format(kept[found.line].code)
            # Run twice, a split by place hits the groups that the first one made.
            yield replace(found, remedy=above, line="") if line.splits else found
        elif clash := next((old for old in kept.values() if old.undoes(line)), None):
            yield replace(found, remedy=_AGAIN.format(clash.code), line="")
        else:
            kept[found.line] = line
            yield found


def regroups(line: str) -> bool:
    """Whether a line splits, fills or empties groups, or builds an optimizer anew.

    Example:
        >>> regroups("optimizer.param_groups[0]['lr'] = 0.1")
        False

    """
    if _HELD in line and "decay_groups" not in line:
        return False
    return any(each.search(line) for each in (_SPLIT, _BUILT, _FILLS))


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What a line does to groups: the options that it sets, by optimizer and place."""

    code: str
    optimizers: frozenset[str]
    sets: frozenset[tuple[str, int, str]]
    splits: bool
    builds: bool
    types_a_decay: bool

    @classmethod
    def of(cls, found: "Finding") -> Self:
        """Read the line of a finding."""
        text = found.line
        builds = any(name.startswith("optimizer") for name in _BUILT.findall(text))
        return cls(
            code=found.code,
            optimizers=frozenset(_OPTIMIZER.findall(text)),
            sets=frozenset(_settings(text)),
            splits=bool(_SPLIT.search(text)),
            builds=builds or _HELD in text,
            types_a_decay="weight_decay=" in text,
        )

    def undoes(self, later: "_Line") -> bool:
        """Whether a later line would hit other groups, or take this one back."""
        if self.optimizers.isdisjoint(later.optimizers) and not (
            {"optimizer", "optimizers"} & (self.optimizers | later.optimizers)
        ):
            return False
        moves_groups = self.splits or self.builds
        if moves_groups and (later.sets or later.splits or later.builds):
            return True
        if self.sets and later.sets:
            return not self.sets.isdisjoint(later.sets)
        if self.sets and later.splits:
            return later.types_a_decay
        return bool(self.sets) and later.builds


def _settings(text: str) -> Iterator[tuple[str, int, str]]:
    for found in _INDEXED.finditer(text):
        keys = [found["key"]] if found["key"] else _KEY.findall(found["keys"])
        for at in _places(found["many"] or found["one"]):
            for key in keys:
                yield found["called"], at, key


def _places(text: str) -> Iterable[int]:
    numbers = [int(each) for each in re.findall(r"\d+", text)]
    return range(*numbers) if text.startswith("range") else numbers
