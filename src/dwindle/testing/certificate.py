"""Certificate: what an optimizer should do, what was measured, how near it is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dwindle.plain import Plain, to_plain
from dwindle.show import Column, Drawable, Line, Sheet, Styled, Table, as_text
from dwindle.wording import NOTHING, count

_WIDTH = 110  # columns of a certificate as text
_CHECKS = (
    Column(""),
    Column("scenario"),
    Column("format", "name"),
    Column("quantity"),
    *(Column(name, "number") for name in ("measured", "expected", "off by", "allowed")),
)
# Up to where each format holds a half-life, and what is refused beyond.
_REACH = (
    Column("format", "name"),
    *(Column(name, "number") for name in ("half-life", "rounded", "measured")),
    Column("off by", "number"),
    Column("refused"),
)


@dataclass(frozen=True, kw_only=True)
class Check(Plain):
    """One expected number, beside the measured one.

    Args:
        scenario: What happened, such as "cosine, follow-lr".
        dtype: Number format of the weights.
        quantity: What was measured, with its unit.
        measured: Its value; of several weights, that of the worst.
        asked: What it had to be.
        error: How far off: relative, or absolute where ``asked`` is 0.
        tolerance: The largest error that passes.
        why: Reason of the tolerance.
        note: What was found besides, or the error that stopped the scenario.

    """

    scenario: str = ""
    dtype: str = ""
    quantity: str
    measured: float
    asked: float
    error: float
    tolerance: float
    why: str
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; one that is no number is not."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        if self.note and math.isnan(self.measured):
            return f"{self.scenario} ({self.dtype}): {self.note}"
        # Nine digits: two numbers that differ by 1e-7 must not print alike.
        values = f"{self.measured:.9g}, expected {self.asked:.9g}"
        return (
            f"{self.scenario} ({self.dtype}): {self.quantity} {values}, "
            f"off by {self.error:.1e} of {self.tolerance:.0e}"
        )

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the check as JSON has it; what is no number is null."""
        return super().as_dict() | {"passed": self.passed}


@dataclass(frozen=True, kw_only=True)
class LeftOut(Plain):
    """A scenario that the optimizer cannot play, with or without a controller."""

    scenario: str
    dtype: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Reach(Plain):
    """How near weights of one number format come to one half-life.

    Args:
        dtype: Number format of the weights.
        asked_steps: Half-life that was requested, in steps.
        rounded_steps: What rounding to the format makes of it, by a sum over mantissas;
            an optimizer that keeps wider copies of its weights does better.
        measured_steps: Half-life of the mean decay of many weights; None if refused.
        refused: Why the controller does not hold this one, else None.

    """

    dtype: str
    asked_steps: float
    rounded_steps: float | None = None
    measured_steps: float | None = None
    refused: str | None = None

    @property
    def error(self) -> float | None:
        """Relative error of the half-life; None if it was refused."""
        if self.measured_steps is None:
            return None
        return abs(self.measured_steps / self.asked_steps - 1)

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return it as JSON has it."""
        return super().as_dict() | {"error": to_plain(self.error)}


@dataclass(frozen=True, kw_only=True)
class Certificate(Plain):
    """What a controller can promise about one optimizer, with every number.

    Args:
        optimizer: Import path of its class.
        mechanism: How it is held: ``native`` (its knob is set before each step) or
            ``multiply`` (its knob is 0, the weights are multiplied after each step);
            None where it is refused.
        refused: Why no controller can hold it, else None.
        checks: Everything that was measured.
        left_out: Scenarios that the optimizer by itself cannot play.
        reach: What each number format allows.

    """

    _RESULTS = ("checks", "left_out", "reach")
    IN_JSON = ("optimizer", "certified", "mechanism", "refused", *_RESULTS)

    optimizer: str
    mechanism: str | None = None
    refused: str | None = None
    checks: tuple[Check, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    reach: tuple[Reach, ...] = ()

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def certified(self) -> bool:
        """Whether it is held, something was measured, and all of it passed."""
        return self.refused is None and bool(self.checks) and not self.failures

    @property
    def worst(self) -> Check | None:
        """The check that came nearest to its tolerance, or went furthest beyond."""
        inexact = [check for check in self.checks if check.tolerance > 0]
        # An error that is no number is further beyond than any.
        shares = [
            math.inf if math.isnan(each.error) else each.error / each.tolerance
            for each in inexact
        ]
        return inexact[shares.index(max(shares))] if shares else None

    def reachable(self, dtype: str, *, error: float) -> float | None:
        """Return the longest half-life tried that a number format holds this well.

        Args:
            dtype: ``bfloat16`` or ``float32``.
            error: Relative error of the half-life that is good enough.

        Returns:
            Half-life in steps, up to which every one that was tried held; None if
            not even the shortest did.

        """
        longest = None
        for each in sorted(self.reach, key=lambda each: each.asked_steps):
            if each.dtype == dtype:
                if each.error is None or not each.error <= error:
                    break
                longest = each.asked_steps
        return longest

    def __rich__(self) -> Sheet:
        return Sheet(parts=[*_parts(self)])

    def __str__(self) -> str:
        return as_text(self.__rich__(), width=_WIDTH)


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
