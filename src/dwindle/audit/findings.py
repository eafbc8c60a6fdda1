"""What an audit found: codes with values, lines to write, and a table of groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from dwindle.audit.codes import (
    CODES,
    REMEDIES,
    Severity,
    Values,
    codes_of,
    filled_in,
)
from dwindle.decay.run import Run
from dwindle.plain import INTERNAL, Plain
from dwindle.wording import number

# The name of the only optimizer, and of the list of several.
_ALL = frozenset({"optimizer", "optimizers"})


@dataclass(frozen=True, kw_only=True)
class Paste:
    """Lines to copy into a program, and what they do to its param groups.

    They are right for the groups that were audited. After one that splits groups or
    builds a new optimizer, indices count other groups; after one that sets an option,
    another number for it would undo the first. The remedy then is to audit again.
    """

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

    def then(self, other: "Paste") -> "Paste":
        """Return one line that does both."""
        does: dict[str, Any] = {  # names of sets and truth values
            each.name: getattr(self, each.name) | getattr(other, each.name)
            for each in fields(self)
            if each.name != "text"
        }
        return Paste(text=f"{self.text}\n{other.text}", **does)

    def undoes(self, later: "Paste") -> bool:
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


def number_line(key: str, value: float, was: float) -> Paste:
    """Return the line that types a number, with what was typed before."""
    return Paste(text=f"{key}={typed(value)}  # was {number(was, digits=6)}")


def typed(value: float) -> str:
    """Return a number as one types it into Python: three digits at most."""
    return repr(float(number(value)))


@dataclass(frozen=True, kw_only=True)
class Finding(Plain):
    """One finding: a code with values, from which all of its texts are made.

    Args:
        code: A key of :data:`dwindle.audit.codes.CODES`.
        where: The parameter, group, key of a file or option that it is about.
        values: What was seen, and what is advised: numbers, names, and tuples of them,
            by the names that the templates of the code have.
        case: Which of the code's templates it has; the usual ones where empty.
        advice: A key of :data:`dwindle.audit.codes.REMEDIES` instead of a remedy of
            the code.
        paste: The line to write; None where there is none.
        is_slight: Whether it is a note, although its code may be more severe.

    Example:
        >>> values = {"scheduler": "StepLR", "optimizer": "SGD"}
        >>> found = Finding(code="DW029", where="StepLR", values=values)
        >>> found.severity, found.title
        ('error', 'a scheduler of another optimizer')
        >>> found.remedy[-24:]
        ' StepLR(optimizer, ...).'

    """

    # Values first; the texts that are made from them last.
    _TEXTS = ("evidence", "remedy", "line")
    IN_JSON = ("code", "severity", "title", "where", "values", *_TEXTS)

    code: str
    where: str = ""
    values: Values = field(default_factory=dict, hash=False)
    case: str = ""
    advice: str = ""
    paste: Paste | None = None
    is_slight: bool = False

    def __post_init__(self) -> None:
        codes_of([self.code])

    @property
    def severity(self) -> Severity:
        """That of its code; ``note`` for one that is slight."""
        return "note" if self.is_slight else CODES[self.code].severity

    @property
    def title(self) -> str:
        """What was found in a few words: the title of its code."""
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
        found = self.having(above=above) if above else self
        return replace(found, advice=advice, paste=None)


class Unchecked(str):
    """A sentence on what was not checked, with the codes that it is about.

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
class GroupLine(Plain):
    """One row of the table: a param group, or one side of a change.

    Args:
        group: Number of the group, or its name.
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
    run: Run | None = field(default=None, repr=False, metadata=INTERNAL)
