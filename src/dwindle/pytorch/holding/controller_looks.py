"""How a controller looks: in a terminal, as plain text, and in a notebook."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from dwindle.decay.half_life import HalfLife
from dwindle.pytorch.holding.hold import GroupPlan
from dwindle.pytorch.holding.target import Target

if TYPE_CHECKING:
    from rich.console import Group

Row = Mapping[str, str]
_NOT_YET = "from the next step"


def rows_of(
    plans: Sequence[GroupPlan],
    target: Target,
    numbers: Sequence[int],
    *,
    lr_seen: Sequence[float],
) -> list[Row]:
    """Return one row of texts per param group.

    Args:
        plans: What is done to each group; groups that were just added have none yet.
        target: What is held.
        numbers: How many weights each group has.
        lr_seen: The largest lr that each group had at a step; 0 before the first.

    """
    held = [
        {
            "group": str(at),
            "weights": f"{count:,}",
            "mechanism": plan.mechanism,
            **_what_is_held(plan, target, seen),
        }
        for at, (plan, count, seen) in enumerate(
            zip(plans, numbers, lr_seen, strict=False)
        )
    ]
    new = [
        {"group": str(at), "weights": f"{count:,}", "mechanism": _NOT_YET}
        for at, count in enumerate(numbers)
        if at >= len(plans)
    ]
    return [*held, *new]


def _what_is_held(plan: GroupPlan, target: Target, seen: float) -> Row:
    if plan.rate is None:
        penalty = f"{plan.knob:.6g}" if plan.mechanism == "penalty" else ""
        return {"penalty": penalty} if target.penalty is not None else {}
    steps = plan.rate.half_life_steps
    run, peak = target.run, plan.lr_peak
    in_epochs = None not in (run.batch_size, run.dataset_size)
    epochs = HalfLife.from_steps(steps, clock="epochs", run=run) if in_epochs else None
    return {
        "half-life": f"{steps:,.6g} steps",
        "in epochs": "" if epochs is None else f"{epochs.value:.4g}",
        "at lr": "every lr" if peak is None else f"{peak:.6g}",
        # A peak that the run never reaches shows here.
        "largest seen": f"{seen:.6g}" if peak is not None and seen else "",
    }


def as_text(title: str, rows: Sequence[Row]) -> str:
    """Return the table as plain text, without colors."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as captured:
        console.print(as_rich(title, rows))
    return "\n".join(line.rstrip() for line in captured.get().strip().splitlines())


def as_rich(title: str, rows: Sequence[Row]) -> "Group":
    """Return the table as rich draws it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim")
    for name in _columns(rows):
        table.add_column(name, justify="left" if name == "mechanism" else "right")
    for row in rows:
        table.add_row(*(Text(row.get(name, "")) for name in _columns(rows)))
    return Group(Text(title), table)


def as_html(title: str, rows: Sequence[Row]) -> str:
    """Return the table as HTML; every text is escaped."""
    names = _columns(rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(row.get(name, ''))}</td>" for name in names)
        + "</tr>"
        for row in rows
    )
    return f"<div><p>{escape(title)}</p><table><tr>{heads}</tr>{body}</table></div>"


def _columns(rows: Sequence[Row]) -> list[str]:
    """Columns that some row fills, in order."""
    found = dict.fromkeys(name for row in rows for name in row)
    return [name for name in found if any(row.get(name) for row in rows)]
