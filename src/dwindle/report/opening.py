"""The first screen of a page: what to type and for what, and what is open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dwindle.findings.model import Findings
from dwindle.findings.names import decay, optimizer_name, quantity
from dwindle.findings.next_steps import base_cell, nothing_to_set, scale_text
from dwindle.report import loss_figure, render
from dwindle.report.loss_figure import NARROW, WIDE
from dwindle.report.themes import PAGE
from dwindle.wording import clean, interval


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a page comes from: the day, what made it, and the same command again.

    ``study_file`` is the file that the trainings are written down in, if there is one.
    """

    day: str
    version: str
    command: str
    study_file: str = ""


@dataclass(frozen=True, kw_only=True)
class Value:
    """The λ to type of one study and its interval, or why there is none; for what."""

    typed: str = ""
    interval: str = ""
    why: str = ""
    scope: str


class Drawn(NamedTuple):
    """The large figure for wide and for narrow screens, and what it is of."""

    wide: str
    narrow: str
    shown: loss_figure.Shown


def values_to_type(studies: Sequence[Findings]) -> Iterator[Value]:
    """Yield the λ to type of every study whose λ an optimizer takes."""
    for study in studies:
        cell = base_cell(study)
        if study.normalization != "none" or cell is None:
            continue
        name = optimizer_name(study.optimizer)
        problem = clean(study.conditions.get("problem", "the problem of this study"))
        scope = f"{name} on {problem} at {scale_text(cell.scale)}"
        if cell.matters != "yes" or cell.optimum is None:
            yield Value(why=nothing_to_set(cell), scope=scope)
        else:
            limits = interval(cell.low, cell.high)
            yield Value(typed=decay(cell.optimum), interval=limits, scope=scope)


def open_questions(studies: Sequence[Findings]) -> list[tuple[str, str]]:
    """Return (quantities, what would tell) for every axis that cannot tell."""
    found: dict[str, list[str]] = {}
    for study in studies:
        of = f" ({clean(study.study, limit=60)})" if len(studies) > 1 else ""
        for axis in study.axes:
            if axis.would_tell:
                name = f"{quantity(axis.axis)}{of}"
                found.setdefault(clean(axis.would_tell), []).append(name)
    return [(", ".join(names), would) for would, names in found.items()]


def large_figure(studies: Sequence[Findings]) -> Drawn | None:
    """Return the large figure; None where no training has a loss."""
    shown = loss_figure.shown_first(studies)
    if shown is None:
        return None
    wide, narrow = (
        render.svg(loss_figure.loss_figure(shown, PAGE, size), name=name, alt=shown.alt)
        for name, size in (("wide", WIDE), ("narrow", NARROW))
    )
    return Drawn(wide, narrow, shown)
