"""What an audit found: codes with values, lines to write, and a table of groups."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from dwindle.audit.codes import (
    CODES,
    REMEDIES,
    SEVERITIES,
    Severity,
    Values,
    codes_of,
    filled_in,
)
from dwindle.audit.lines import Line
from dwindle.decay.run import Run

if TYPE_CHECKING:
    from dwindle.show import Sheet

_CHANGES = codes_of(["DW03"])


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: a code with values, of which all texts are made.

    Args:
        code: A key of :data:`dwindle.audit.codes.CODES`.
        where: The parameter, group, key of a file or option that it is about.
        values: What was seen, and what is advised: numbers, names, and tuples of them,
            by the names that the templates of the code have.
        case: Which of the code's templates it has; the usual ones where empty.
        advice: A key of :data:`dwindle.audit.codes.REMEDIES` instead of a remedy of
            the code.
        paste: The line to write; None where there is none.
        is_slight: Whether it is a note here, whatever the severity of its code.

    Example:
        >>> values = {"scheduler": "StepLR", "optimizer": "SGD"}
        >>> found = Finding(code="DW029", where="StepLR", values=values)
        >>> found.severity, found.title
        ('error', 'a scheduler of another optimizer')
        >>> found.remedy[-24:]
        ' StepLR(optimizer, ...).'

    """

    code: str
    where: str = ""
    values: Values = field(default_factory=dict, hash=False)
    case: str = ""
    advice: str = ""
    paste: Line | None = None
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

    @property
    def evidence(self) -> str:
        """What was seen, with the numbers."""
        return filled_in(CODES[self.code].cases[self.case].evidence, self.values)

    @property
    def remedy(self) -> str:
        """What to do, in a sentence."""
        if self.advice:
            return filled_in((REMEDIES[self.advice],), self.values)
        return filled_in(CODES[self.code].cases[self.case].remedy, self.values)

    @property
    def line(self) -> str:
        """The exact line to write, to be copied; empty where there is none."""
        return "" if self.paste is None else self.paste.text

    def having(self, **values: object) -> Self:
        """Return the finding with more values, or others."""
        return replace(self, values={**self.values, **values})

    def without_line(self, advice: str, *, above: str = "") -> Self:
        """Return the finding with another remedy, and no line."""
        told = self.having(above=above) if above else self
        return replace(told, advice=advice, paste=None)

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the finding as JSON has it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "where": self.where,
            "values": dict(self.values),
            "evidence": self.evidence,
            "remedy": self.remedy,
            "line": self.line,
        }


class Unchecked(str):
    """A sentence on what was not checked, which knows the codes that it is about.

    A plain text in its place is about no code, and is always shown.
    """

    __slots__ = ("codes",)
    codes: frozenset[str]

    def __new__(cls, text: str, *codes: str) -> Self:
        """Return the sentence with its codes, or prefixes of them."""
        made = super().__new__(cls, text)
        made.codes = codes_of(codes)
        return made


@dataclass(frozen=True, kw_only=True)
class GroupLine:
    """One row of the table: a param group, or one side of a change.

    Args:
        group: Number of the group, or a word for it.
        parameters: Tensors in it; None where a file has none.
        numbers: Entries of those tensors.
        lr: Learning rate at its peak.
        weight_decay: What is typed.
        family: Update rule that reads it, as ``dwindle knobs`` has it: ``decoupled``,
            ``coupled-sgd``, ``coupled-adaptive`` …; ``none`` where nothing decays, and
            None where the rule is not known.
        walk: How a weight with zero gradient was seen to go: ``geometric``, ``linear``,
            ``periodic``, ``other`` or ``none`` among others; None where no copy was
            stepped.
        is_held: Whether a DecayController makes the decay.
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
    walk: str | None = None
    is_held: bool = False
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
        facts: What was understood of the run, name by name, as texts.
        unchecked: Sentences that say what could not be checked, and what is missing.
        in_both: Of a change: codes found before it and after it, which are left out.

    Example:
        >>> found = Finding(code="DW022", where="group 0")
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
        object.__setattr__(self, "findings", tuple(_in_order(worst_first)))

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
        return replace(
            self,
            findings=tuple(found for found in self._alone if found.code in wanted),
            unchecked=tuple(
                text
                for text in self.unchecked
                if not isinstance(text, Unchecked) or text.codes & wanted
            ),
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
        from dwindle.show import as_text

        return as_text(self.sheet()).strip("\n")

    def __rich__(self) -> "Sheet":
        return self.sheet(whole_lines=False)

    def _repr_html_(self) -> str:
        return self.sheet().html()

    def sheet(self, *, whole_lines: bool = True) -> "Sheet":
        """Return what is drawn; lines to copy are folded if they are not whole."""
        from dwindle.audit.show import sheet_of

        return sheet_of(self, whole_lines=whole_lines)


def facts_of_run(run: Run) -> dict[str, str]:
    """Return what a run says of its scale and schedule, name by name, as texts.

    Example:
        >>> facts_of_run(Run(batch_size=256, dataset_size=1_281_167))
        {'batch_size': '256', 'dataset_size': '1,281,167'}

    """
    known = {
        name: f"{value:,.0f}" if value.is_integer() else f"{value:.6g}"
        for name, value in run.quantities().items()
    }
    shape = run.schedule.shape
    return known | ({} if shape == "constant" else {"schedule": shape})


def _in_order(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings in their order, each with a line that fits those before it."""
    kept: dict[Line, str] = {}
    for found in findings:
        line = found.paste
        if line is None:
            yield found
        elif line in kept:
            # Run twice, a split by place hits the groups that the first one made.
            again = line.splits
            yield found.without_line("above", above=kept[line]) if again else found
        elif clash := next((old for old in kept if old.undoes(line)), None):
            yield found.without_line("again", above=kept[clash])
        else:
            kept[line] = found.code
            yield found


def _rank(found: Finding) -> tuple[int, bool, str]:
    # What a change moved is what was asked; other findings of that weight follow.
    is_change = found.code in _CHANGES
    return SEVERITIES.index(found.severity), not is_change, found.code
