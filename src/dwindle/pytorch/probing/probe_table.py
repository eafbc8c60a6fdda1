"""A probe as a table: what a step does to each group, and a sentence about it."""

from collections.abc import Sequence

from dwindle.pytorch.probing.group_probe import GroupProbe
from dwindle.show import Column, Line, Sheet, Table
from dwindle.wording import count, number

_COLUMNS = (
    Column("group", "number"),
    Column("lr", "number"),
    Column("knob", "number"),
    Column("decay"),
    Column("per step", "number"),
    Column("half-life, steps", "number"),
    Column("as stored"),
    Column("run leaves", "number"),
)


def sheet_of(optimizer: str, groups: Sequence[GroupProbe]) -> Sheet:
    """Return the table of groups, and below it the sentence on each.

    Example:
        >>> from dwindle.show import as_text
        >>> seen = GroupProbe(group=0, lr=0.1, number=0.01, family="none")
        >>> print(as_text(sheet_of("SGD", [seen])).splitlines()[2])
            0  0.1  0.01  none

    """
    heading = f"{optimizer}, stepped on a copy with zero gradients"
    sentences = [Line(text=f"{each.group}  {each.sentence}") for each in groups]
    table = Table(columns=_COLUMNS, rows=[_row(each) for each in groups])
    return Sheet(parts=[Line(text=heading, style="bold"), table, *sentences])


def _row(seen: GroupProbe) -> tuple[str, ...]:
    happens = seen.measured_shrink
    stored = seen.dtype if happens is None else f"{number(happens)} in {seen.dtype}"
    shown = (seen.lr, seen.number, seen.shrink_per_step, seen.kept)
    lr, knob, shrink, kept = ("" if each is None else number(each) for each in shown)
    half_life = "" if seen.half_life_steps is None else count(seen.half_life_steps)
    return str(seen.group), lr, knob, seen.family, shrink, half_life, stored, kept
