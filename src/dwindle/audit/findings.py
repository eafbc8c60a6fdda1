"""What an audit found: findings with evidence and remedy, and a table of groups."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dwindle.audit.codes import CODES, SEVERITIES, Severity, codes_of
from dwindle.audit.pasting import in_order
from dwindle.decay.run import Run

_CHANGES = codes_of(["DW03"])
_CODE = re.compile(r"\bDW\d{3}\b")
# Sentences on what was not checked that name no code, by how they start.
_ABOUT: Mapping[str, frozenset[str]] = {
    "Sizes of the decay": codes_of(["DW009", "DW01", "DW023", "DW024", "DW026"]),
    "Weights are taken to be": codes_of(["DW009", "DW023"]),
}

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    Args:
        code: A key of :data:`dwindle.audit.codes.CODES`.
        where: The parameter, group, key of a file or option that it is about.
        evidence: What was seen, with the numbers.
        remedy: What to do, in a sentence.
        line: The exact line to write, to be copied; empty where there is none.
        is_slight: Whether it is a note here, whatever the severity of its code.

    Example:
        >>> found = Finding(code="DW001", where="fc.bias", evidence="0.1", remedy="")
        >>> found.severity, found.title
        ('warning', 'a bias decays')

    """

    code: str
    where: str
    evidence: str
    remedy: str
    line: str = ""
    is_slight: bool = False

    def __post_init__(self) -> None:
        codes_of([self.code])

    @property
    def severity(self) -> Severity:
        """How bad it is: that of its code, but for one that is slight here."""
        return "note" if self.is_slight else CODES[self.code].severity

    @property
    def title(self) -> str:
        """What it is in a few words: that of its code."""
        return CODES[self.code].title

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the finding as JSON has it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "where": self.where,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "line": self.line,
        }


@dataclass(frozen=True, kw_only=True)
class GroupLine:
    """One row of the table: a param group, or one side of a change.

    Args:
        group: Number of the group, or a word for it.
        parameters: Tensors in it; None where a file tells none.
        numbers: Entries of those tensors.
        lr: Learning rate at its peak.
        weight_decay: What is typed.
        family: Update rule that reads it.
        half_life: Half-life at the peak lr, on every clock that is known.
        shrink_per_step: Fraction that a step at the peak lr takes off.
        kept: What the run leaves of a weight with zero gradient.
        e_folds: -ln of that.
        dtype: Number format that the weights are kept in.
        knob: Name of the knob as ``dwindle knobs`` has it, where one is known; a change
            audit converts by it.
        run: The run as this group sees it, with its own lr and momentum.

    """

    group: str
    parameters: int | None = None
    numbers: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    family: str | None = None
    half_life: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    shrink_per_step: float | None = None
    kept: float | None = None
    e_folds: float | None = None
    dtype: str | None = None
    knob: str | None = None
    run: Run | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the row as JSON has it."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del plain["run"]
        return plain | {"half_life": dict(self.half_life)}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result of an audit; it draws itself in a terminal and in a notebook.

    Args:
        target: What was audited, as it was named.
        optimizer: Class, knob or option that steps; None where it is not known.
        findings: All that was found; shown worst first. A line that would hit other
            groups once those before it have run is left out, and the remedy says so.
        table: The param groups.
        facts: What was understood of the run, name by name, in words.
        unchecked: Sentences that say what could not be checked, and what is missing.
        in_both: Of a change: codes found before it and after it, which are left out.

    Example:
        >>> found = Finding(code="DW022", where="group 0", evidence="0", remedy="")
        >>> audit = Audit(target="train:make", optimizer="SGD", findings=(found,))
        >>> audit.exit_code, audit.selected(ignore=["DW02"]).exit_code
        (1, 0)

    """

    target: str
    optimizer: str | None = None
    findings: tuple[Finding, ...] = ()
    table: tuple[GroupLine, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    unchecked: tuple[str, ...] = ()
    in_both: tuple[str, ...] = ()
    # Each with the line that is right if it is the only one that runs.
    _alone: tuple[Finding, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        worst_first = tuple(sorted(self.findings, key=_rank))
        object.__setattr__(self, "_alone", worst_first)
        object.__setattr__(self, "findings", tuple(in_order(worst_first)))

    @property
    def exit_code(self) -> int:
        """1 with any error or warning, else 0; notes never count."""
        return int(any(found.severity != "note" for found in self.findings))

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        severities = [found.severity for found in self.findings]
        return {each: severities.count(each) for each in SEVERITIES}

    def selected(
        self, select: Iterable[str] = (), ignore: Iterable[str] = ()
    ) -> "Audit":
        """Return the audit with some codes only, and what was not checked of them.

        Args:
            select: Codes or prefixes of them to keep; all where empty.
            ignore: Codes or prefixes of them to leave out; it beats ``select``.

        Raises:
            UnknownNameError: If a code is not known; the nearest are offered.

        """
        wanted = (codes_of(select) or frozenset(CODES)) - codes_of(ignore)
        kept = tuple(found for found in self._alone if found.code in wanted)
        return replace(
            self,
            findings=kept,
            unchecked=tuple(text for text in self.unchecked if _is_about(text, wanted)),
            in_both=tuple(code for code in self.in_both if code in wanted),
        )

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the audit as JSON has it."""
        return {
            "target": self.target,
            "optimizer": self.optimizer,
            "facts": dict(self.facts),
            "groups": [line.as_dict() for line in self.table],
            "findings": [found.as_dict() for found in self.findings],
            "unchecked": list(self.unchecked),
            "in_both": list(self.in_both),
            "counts": self.counts,
            "exit_code": self.exit_code,
        }

    def __str__(self) -> str:
        from dwindle.audit.show import as_text

        return as_text(self)

    def __rich__(self) -> "RenderableType":
        from dwindle.audit.show import as_rich

        return as_rich(self)

    def _repr_html_(self) -> str:
        from dwindle.audit.show import as_html

        return as_html(self)


def _is_about(text: str, wanted: frozenset[str]) -> bool:
    """Tell whether a sentence on what was not checked is about any of some codes."""
    codes = set(_CODE.findall(text))
    for start, about in _ABOUT.items():
        if text.startswith(start):
            codes |= about
    return not codes or not codes.isdisjoint(wanted)


def _rank(found: Finding) -> tuple[int, bool, str]:
    # What a change moved is what was asked; other findings of that weight follow.
    is_change = found.code in _CHANGES
    return SEVERITIES.index(found.severity), not is_change, found.code
