"""How a certificate looks: a table of what was asked and measured."""

from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from dwindle.testing.certificate import Certificate, Check, Reach

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 110
_NUMBERS = ("measured", "asked", "off by", "allowed")


def as_rich(certificate: Certificate) -> "RenderableType":
    """Return the certificate for a terminal: verdict, checks, what formats allow."""
    parts: list[RenderableType] = [_verdict(certificate)]
    if certificate.checks:
        parts.append(_checks(certificate.checks))
    parts += [Text(each, style="dim") for each in _remarks(certificate)]
    if certificate.reach:
        parts.append(_reach(certificate.reach))
    return Group(*parts)


def as_text(certificate: Certificate) -> str:
    """Return the certificate as plain text of 110 columns."""
    page = StringIO()
    Console(file=page, width=_WIDTH, color_system=None).print(as_rich(certificate))
    return page.getvalue()


def _remarks(certificate: Certificate) -> list[str]:
    """Return what was found beside the numbers, each once."""
    notes = [
        f"{each.scenario}: {each.note}" for each in certificate.checks if each.note
    ]
    left_out = [
        f"left out: {each.scenario} ({each.dtype}): {each.why}"
        for each in certificate.left_out
    ]
    return [*dict.fromkeys(notes), *left_out]


def _verdict(certificate: Certificate) -> Text:
    name = certificate.optimizer
    if certificate.refused is not None:
        return Text(f"{name}: refused. {certificate.refused}", style="yellow")
    if certificate.certified:
        held = f"held by {certificate.mechanism}, {len(certificate.checks)} checks"
        return Text(f"{name}: certified, {held}", style="green")
    failed, all_of_them = len(certificate.failures), len(certificate.checks)
    return Text(f"{name}: {failed} of {all_of_them} checks failed", style="red")


def _checks(checks: tuple[Check, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "scenario", "format", "quantity"):
        table.add_column(column, no_wrap=True)
    for column in _NUMBERS:
        table.add_column(column, justify="right", no_wrap=True)
    for check in checks:
        table.add_row(
            "✓" if check.passed else "✗",
            check.scenario,
            check.dtype,
            check.quantity,
            f"{check.measured:.{8 if check.asked else 2}g}",
            f"{check.asked:.8g}",
            f"{check.error:.1e}",
            f"{check.tolerance:.0e}",
            style=None if check.passed else "red",
        )
    return table


def _reach(reach: tuple[Reach, ...]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title="What number formats allow", pad_edge=False
    )
    for column in ("format", "half-life asked", "rounded", "measured", "off by"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("refused")
    for each in reach:
        measured, error = each.measured_steps, each.error
        table.add_row(
            each.dtype,
            f"{each.asked_steps:g} steps",
            "–" if each.rounded_steps is None else f"{each.rounded_steps:.4g}",
            "–" if measured is None else f"{measured:.6g}",
            "–" if error is None else f"{error:.1e}",
            each.refused or "",
        )
    return table
