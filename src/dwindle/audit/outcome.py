"""The result of an audit: its findings in order, and the sheet that shows them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dwindle.audit.codes import CODES, SEVERITIES, codes_of
from dwindle.audit.findings import Finding, GroupLine, Unchecked
from dwindle.audit.findings import Paste as Pasted
from dwindle.decay.evidence.peers import Among
from dwindle.decay.run import Run
from dwindle.plain import Plain
from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table, as_text
from dwindle.wording import count, counted, half_life, number, percent

# What moved in a change: first among findings of one severity.
_CHANGES = codes_of(["DW03"])
# The data's clocks first: on them a half-life carries over to another batch size.
CLOCKS = ("epochs", "tokens", "examples", "steps")
# As linters color them.
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}
_USUAL_DTYPE = "float32"
# Columns of the table that hold no numbers.
_TEXT_COLUMNS = {"group", "decay is", "dtype"}


@dataclass(frozen=True, kw_only=True)
class Audit(Plain):
    """The result of an audit; it draws itself in a terminal and in a notebook.

    Args:
        target: What was audited, as it was named.
        optimizer: Class, knob or option that steps; None where it is not known.
        findings: All that was found; shown worst first. A line that would hit other
            groups once those before it have run is replaced by a remedy.
        table: The param groups.
        facts: The run as it was read: a text by the name of each fact.
        unchecked: Sentences on what could not be checked, and what is missing.
        in_both: Of a change: codes found before it and after it, which are left out.
        among: Where the decay lies among published recipes of its kind.

    Example:
        >>> found = Finding(code="DW022", where="group 0")
        >>> audit = Audit(target="train:make", optimizer="SGD", findings=(found,))
        >>> audit.exit_code, audit.selected(ignore=["DW02"]).exit_code
        (1, 0)

    """

    _RESULTS = ("findings", "unchecked", "in_both", "counts", "exit_code")
    IN_JSON = ("target", "optimizer", "facts", "groups=table", "among", *_RESULTS)

    target: str
    optimizer: str | None = None
    findings: tuple[Finding, ...] = ()
    table: tuple[GroupLine, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    unchecked: tuple[str, ...] = ()
    in_both: tuple[str, ...] = ()
    among: Among | None = None
    # Each with the line that fits if no other line is run.
    _alone: tuple[Finding, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        def rank(found: Finding) -> tuple[int, bool, str]:
            # A change is audited for what it moved: that comes first.
            is_change = found.code in _CHANGES
            return SEVERITIES.index(found.severity), not is_change, found.code

        worst_first = tuple(sorted(self.findings, key=rank))
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

    def __str__(self) -> str:
        return as_text(self.sheet()).strip("\n")

    def __rich__(self) -> Sheet:
        return self.sheet(whole_lines=False)

    def _repr_html_(self) -> str:
        return self.sheet().html()

    def sheet(self, *, whole_lines: bool = True) -> Sheet:
        """Return what is drawn: facts, groups, findings, and what is missing.

        Args:
            whole_lines: Whether lines to copy may run over the edge, where nothing is
                cropped, instead of being folded.

        """
        title = Styled(" · ".join(filter(None, (self.target, self.optimizer))), "bold")
        parts: list[Drawable | str] = ["", Line(text=title, indent=2)]
        if self.facts:
            facts = " · ".join(f"{name} {text}" for name, text in self.facts.items())
            parts.append(Line(text=facts, style="dim", indent=2))
        if self.table:
            parts += ["", table_of(self.table)]
        if self.among:
            text = f"recipes  {self.among.text}"
            parts += ["", Line(text=text, style="dim", indent=2)]
        first: dict[str, str] = {}  # a line is shown once, by the finding that has it
        for found in self.findings:
            code = first.setdefault(found.line, found.code) if found.line else ""
            again = code not in {"", found.code}
            shown = found.without_line("above", above=code) if again else found
            parts += ["", *_finding(shown, whole=whole_lines)]
        parts += ["", Line(text=summary(self), style="bold", indent=2)]
        closing = list(self.unchecked)
        if self.findings:
            code = self.findings[0].code
            closing.append(f"dwindle audit --explain {code} prints why it matters.")
        parts += [Line(text=text, style="dim", indent=2) for text in closing]
        return Sheet(parts=[*parts, ""])


def facts_of_run(run: Run) -> dict[str, str]:
    """Return scale and schedule of a run: a text by the name of each fact."""
    known = {
        name: f"{value:,.0f}" if value.is_integer() else number(value)
        for name, value in run.quantities().items()
    }
    shape = run.schedule.shape
    schedules = {} if shape == "constant" else {"schedule": shape}
    if not run.decay_schedule.is_constant:
        own = run.decay_schedule
        schedules["decay schedule"] = own.ends_of(own.peak) or str(own)
    return known | schedules


def _in_order(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings in their order, each with a line that fits those before it."""
    kept: dict[Pasted, str] = {}
    for found in findings:
        line = found.paste
        if line is None:
            yield found
        elif line in kept:
            # A second split by index would hit the groups that the first one made.
            again = line.splits
            yield found.without_line("above", above=kept[line]) if again else found
        elif clash := next((old for old in kept if old.undoes(line)), None):
            yield found.without_line("again", above=kept[clash])
        else:
            kept[line] = found.code
            yield found


def table_of(lines: Iterable[GroupLine]) -> Table:
    """Return the table of groups; a column that no group fills is left out."""
    rows = list(lines)
    # Where all number formats are the usual one there is no column for them.
    is_usual = {line.dtype for line in rows} <= {None, _USUAL_DTYPE}
    names = "group", "tensors", "numbers", "lr", "weight_decay", "decay is"
    return Table(
        columns=[
            Column(name, "name" if name in _TEXT_COLUMNS else "number")
            for name in (*names, "half-life", "run keeps", "dtype")
        ],
        rows=[_row(line, "" if is_usual else line.dtype or "") for line in rows],
        indent=2,
    )


def _row(line: GroupLine, dtype: str) -> list[str]:
    known = [clock for clock in CLOCKS if line.half_life.get(clock) is not None]
    cells = [
        line.group,
        _or_empty(line.parameters, count(line.parameters)),
        _or_empty(line.numbers, count(line.numbers)),
        _or_empty(line.lr, number(line.lr, digits=6)),
        _decay(line),
        "held" if line.is_held else line.family or line.walk or "",
        half_life({clock: line.half_life[clock] for clock in known[:1]}),
        _or_empty(line.kept, percent(line.kept)),
        dtype,
    ]
    decays = line.weight_decay or any(line.half_life.values())
    return cells if decays else [Styled(cell, "dim") for cell in cells]


def _decay(line: GroupLine) -> str:
    """Return what is typed; where it has a schedule, its shape and both ends."""
    own = None if line.run is None else line.run.decay_schedule
    if line.weight_decay and own is not None:
        ends = own.ends_of(own.peak or line.weight_decay)
        if ends:
            return ends
    return _or_empty(line.weight_decay, number(line.weight_decay, digits=6))


def _or_empty(value: float | None, text: str) -> str:
    return "" if value is None else text


def summary(audit: Audit) -> str:
    """Return how many findings there are: ``1 error, 2 warnings``.

    Of a change it names what is left out, for it was there before as well.
    """
    counts = [counted(n, severity) for severity, n in audit.counts.items() if n]
    found = f"{', '.join(counts)}." if counts else ""
    if not audit.in_both:
        return found or "Nothing was found."
    both = ", ".join(audit.in_both)
    return f"{found or 'Nothing new was found.'} Left out, for both have it: {both}."


def _finding(found: Finding, *, whole: bool) -> Iterator[Line]:
    head = f"{found.code} {found.severity}  {found.title}"
    yield Line(text=head, style=_STYLES[found.severity], indent=2)
    if found.where:
        yield Line(text=found.where, style="cyan", indent=8)
    for text in filter(None, (found.evidence, found.remedy)):
        yield Line(text=text, indent=8)
    if found.line:
        yield Line(text=found.line, style="bold green", indent=12, whole=whole)
