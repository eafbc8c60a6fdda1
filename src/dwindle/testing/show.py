"""A certificate as a sheet: verdict, checks, and what number formats allow."""

from collections.abc import Iterator

from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table
from dwindle.testing.certificate import Certificate, Check, Reach
from dwindle.wording import NOTHING, count

_CHECKS = (
    Column(""),
    Column("scenario"),
    Column("format", "name"),
    Column("quantity"),
    *(Column(name, "number") for name in ("measured", "asked", "off by", "allowed")),
)
_REACH = (
    Column("format", "name"),
    *(Column(name, "number") for name in ("half-life asked", "rounded", "measured")),
    Column("off by", "number"),
    Column("refused"),
)


def sheet_of(certificate: Certificate) -> Sheet:
    """Return the certificate for a terminal, a file or a notebook."""
    return Sheet(parts=[*_parts(certificate)])


def _parts(certificate: Certificate) -> Iterator[Drawable | str]:
    yield _verdict(certificate)
    if certificate.checks:
        yield ""
        yield Table(columns=_CHECKS, rows=[_check(each) for each in certificate.checks])
    notes = [
        f"{each.scenario}: {each.note}" for each in certificate.checks if each.note
    ]
    left_out = [
        f"left out: {each.scenario} ({each.dtype}): {each.why}"
        for each in certificate.left_out
    ]
    for remark in (*dict.fromkeys(notes), *left_out):
        yield Line(text=remark, style="dim")
    if certificate.reach:
        title, rows = "What number formats allow", map(_reach, certificate.reach)
        yield ""
        yield Table(title=title, columns=_REACH, rows=[*rows])


def _verdict(certificate: Certificate) -> Line:
    name, checks = certificate.optimizer, len(certificate.checks)
    if certificate.refused is not None:
        return Line(text=f"{name}: refused. {certificate.refused}", style="yellow")
    if certificate.certified:
        held = f"held by {certificate.mechanism}, {checks} checks"
        return Line(text=f"{name}: certified, {held}", style="green")
    failed = len(certificate.failures)
    return Line(text=f"{name}: {failed} of {checks} checks failed", style="red")


def _check(check: Check) -> list[str]:
    cells = (
        "✓" if check.passed else "✗",
        check.scenario,
        check.dtype,
        check.quantity,
        # Eight digits: a check passes where the two agree to six or seven.
        f"{check.measured:.{8 if check.asked else 2}g}",
        f"{check.asked:.8g}",
        f"{check.error:.1e}",
        f"{check.tolerance:.0e}",
    )
    return [Styled(each, "" if check.passed else "red") for each in cells]


def _reach(reach: Reach) -> tuple[str, ...]:
    return (
        reach.dtype,
        f"{count(reach.asked_steps)} steps",
        count(reach.rounded_steps),
        count(reach.measured_steps),
        NOTHING if reach.error is None else f"{reach.error:.1e}",
        reach.refused or "",
    )
