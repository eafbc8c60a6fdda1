"""The first screen of a page: what to type and for what, and what is open."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from dwindle.findings.conclusion import base_cell, nothing_to_set, scale_text
from dwindle.findings.model import Findings
from dwindle.findings.names import decay, optimizer_name, quantity
from dwindle.report import loss_figure, render
from dwindle.report.loss_figure import NARROW, WIDE
from dwindle.report.themes import PAGE, Theme
from dwindle.report.vega import Kind, Size, Spec
from dwindle.wording import clean, interval, raised

# What a reader can have as the axis of losses.
_AXES: dict[Kind, str] = {"linear": "linear", "log": "logarithmic"}


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
class Card:
    """A box of the first screen: the line to type and for what, or what is open.

    Below it stand texts, each behind its name, if it has one.
    """

    typed: str = ""
    heading: str = ""
    entries: tuple[tuple[str, str], ...]


class View(NamedTuple):
    """A large figure with one kind of axis, for wide and for narrow screens."""

    name: str
    wide: str
    narrow: str


class Drawn(NamedTuple):
    """The large figure with each axis that it can have, and what it is of."""

    views: tuple[View, ...]
    shown: loss_figure.ShownAxis


def value_card(typed: str, limits: str, scope: str) -> Card:
    """Return what to type, with its interval, and for what."""
    within = f"90 %: {limits}. " if limits else ""
    return Card(typed=typed, entries=(("", f"{within}For {scope}."),))


def cards(studies: Sequence[Findings]) -> Iterator[Card]:
    """Yield the λ to type of each study whose λ an optimizer takes; what is open."""
    for study in studies:
        cell = base_cell(study)
        if not study.is_plain or cell is None:
            continue
        on = f"{clean(study.problem)} at {scale_text(cell.scale)}"
        scope = f"{optimizer_name(study.optimizer)} on {on}"
        if cell.best_decay is not None:
            limits = raised(interval(cell.low, cell.high))
            yield value_card(f"weight_decay = {decay(cell.best_decay)}", limits, scope)
        else:
            why = ("", f"{scope}: {nothing_to_set(cell)}.")
            yield Card(heading="No value to type", entries=(why,))
    questions = tuple(open_questions(studies))
    if questions:
        yield Card(heading="Open, and what would decide it", entries=questions)


def open_questions(studies: Sequence[Findings]) -> Iterator[tuple[str, str]]:
    """Yield (quantities, what would decide it) for every axis that is undecided."""
    found: dict[str, list[str]] = {}
    for study in studies:
        of = f" ({clean(study.study, limit=60)})" if len(studies) > 1 else ""
        for axis in study.axes:
            if axis.would_tell:
                name = f"{quantity(axis.axis)}{of}"
                found.setdefault(clean(axis.would_tell), []).append(name)
    for would, names in found.items():
        yield ", ".join(names), f"{would}."


def large_figure(studies: Sequence[Findings]) -> Drawn | None:
    """Return the large figure; None where no training has a loss."""
    shown = loss_figure.shown_first(studies)
    if shown is None:
        return None
    figure = partial(loss_figure.loss_figure, shown)
    return Drawn(drawn_views(figure, shown.kinds, shown.alt), shown)


def drawn_views(
    figure: Callable[[Theme, Size, Kind], Spec],
    kinds: Sequence[Kind],
    alt: str,
    *,
    key: str = "large",
) -> tuple[View, ...]:
    """Return a figure with each axis of losses, for wide and for narrow screens.

    ``key`` is unique in the page, as the names inside of a drawing are made from it.
    """

    def drawn(kind: Kind, size: Size) -> str:
        name = f"{key}-{kind}-{size.width}"
        return render.svg(figure(PAGE, size, kind), name=name, alt=alt)

    return tuple(
        View(_AXES[kind], drawn(kind, WIDE), drawn(kind, NARROW)) for kind in kinds
    )
