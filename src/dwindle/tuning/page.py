"""A prediction as one page: the law through the scales, and every rule."""

import math
from collections.abc import Iterable, Mapping
from functools import partial

from dwindle.finding.page import Page, Section, cards_of
from dwindle.report import vega
from dwindle.report.opening import drawn_views
from dwindle.report.themes import LIGHT, Theme
from dwindle.report.vega import Kind, Size, Spec
from dwindle.show import Table
from dwindle.tuning.tuned import LawLine, Tuned
from dwindle.wording import interval, number, quantity, raised

_AIR = 1.15  # above and below all intervals
# In the picture axes stand side by side.
_BESIDE = Size(width=300, height=220, lettering=13)


def page_of_tuned(tuned: Tuned) -> Page:
    """Return the page of a prediction, or of several scales.

    Raises:
        MissingLibraryError: If vl-convert is not installed.

    """
    sections = [_law(tuned)]
    if tuned.exponents:
        exponents = Section(
            name="exponents",
            heading="How it moves",
            lead="The value goes with the power of each quantity.",
            table=Table(
                columns=["what", "90 % interval"], rows=[*tuned.exponents_text.items()]
            ),
        )
        sections.append(exponents)
    if tuned.rules:
        rules = Section(
            name="rules",
            heading="What rules say there",
            lead="From the scale that is nearest to the target.",
            table=tuned.rules_table(),
        )
        sections.append(rules)
    return Page(
        name=tuned.name,
        headline=tuned.headline,
        says=(tuned.why,),
        cards=cards_of(tuned.line, (tuned.low, tuned.high), tuned.scope, tuned.notes),
        sections=tuple(sections),
        picture=law_figure(tuned, LIGHT),
    )


def _law(tuned: Tuned) -> Section:
    """Return the law, with a large figure over each axis."""
    target = " The diamond is the answer at the target." if tuned.value else ""
    drawn = (
        "Symbols are the scales that show a best value, with their 90 % intervals; the "
        "line is the law with all else as at most of them, in the band of what it "
        f"predicts.{target}"
    )
    return Section(
        name="law",
        heading="Best value over the scale",
        lead=drawn if tuned.lines else "Every scale, and why no law goes through them.",
        figures=tuple(
            drawn_views(
                partial(_figure, tuned, line),
                ("log", "linear"),
                _alt(tuned, line),
                key=f"law{count}",
            )
            for count, line in enumerate(tuned.lines)
        ),
        summary="Every scale",
        table=tuned.cells_table(),
    )


def law_figure(tuned: Tuned, theme: Theme) -> Spec:
    """Return the law over all axes, side by side, as a Vega-Lite specification."""
    panels = [_layers(tuned, line, theme, _BESIDE) for line in tuned.lines]
    return vega.figure({"hconcat": panels}, theme, _BESIDE)


def _alt(tuned: Tuned, line: LawLine) -> str:
    exponent = number(tuned.exponents[line.axis].value)
    over = f"Best {tuned.symbol} over {quantity(line.axis)}"
    return f"{over}: exponent {exponent}. {tuned.headline}."


def _figure(
    tuned: Tuned, line: LawLine, theme: Theme, size: Size, kind: Kind = "log"
) -> Spec:
    layers = _layers(tuned, line, theme, size, kind)
    return vega.figure(layers, theme, size)


def _layers(
    tuned: Tuned, line: LawLine, theme: Theme, size: Size, kind: Kind = "log"
) -> Spec:
    law = [{"x": x, "y": y, "low": a, "high": b} for x, y, a, b in line.points]
    cells = [
        _row(tuned, line, "best", cell.scale, cell.value, cell.low, cell.high)
        for cell in line.cells
    ]
    target = []
    if tuned.value is not None and line.axis in tuned.target:
        found = tuned.value, tuned.low, tuned.high
        target = [_row(tuned, line, "answer", tuned.target, *found)]
    x, y = _axes(tuned, line, (*law, *cells, *target), kind)
    bar = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    accent = {"color": theme.accent, "opacity": 1}
    point = {"type": "point", "filled": True, "size": 90, "opacity": 1}
    dots = vega.told({**point, "color": theme.ink}, {"x": x, "y": y})
    answer = vega.told({**point, "shape": "diamond", "size": 180, **accent}, dots[1])
    layers = [
        vega.layer(law, {"type": "area", "color": theme.band}, bar),
        vega.layer(law, {"type": "line", "color": theme.muted}, {"x": x, "y": y}),
        vega.layer(cells, {"type": "rule", "color": theme.ink}, bar),
        vega.layer(cells, *dots),
        vega.layer(target, {"type": "rule", "strokeWidth": 3, **accent}, bar),
        vega.layer(target, *answer),
    ]
    return {"width": size.width, "height": size.height, "layer": layers}


def _row(
    tuned: Tuned,
    line: LawLine,
    what: str,
    scale: Mapping[str, float],
    *ends: float | None,
) -> Spec:
    value, low, high = ends
    at = scale[line.axis]
    within = raised(interval(low, high, digits=3))
    told = (
        f"{quantity(line.axis)} {number(at)}: {what} {tuned.symbol} {number(value)}, "
        f"90 % {within}"
    )
    return {"x": at, "y": value, "low": low, "high": high, "told": told}


def _axes(
    tuned: Tuned, line: LawLine, rows: Iterable[Spec], kind: Kind
) -> tuple[Spec, Spec]:
    rows = list(rows)
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    values = [cell.scale[line.axis] for cell in line.cells]
    values += [tuned.target[line.axis]] if line.axis in tuned.target else []
    x = vega.numeric(
        "x",
        scale={"type": "log", "nice": False, "padding": 14},
        axis={
            "values": sorted(set(values)),
            "format": "~r",
            "grid": False,
            "title": quantity(line.axis),
        },
    )
    domain = [low / _AIR, high * _AIR] if kind == "log" else [0, high * _AIR]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    inside = [each for each in ticks if domain[0] <= each <= domain[1]]
    axis = {"values": inside} if kind == "log" else {"tickCount": 5}
    y = vega.numeric(
        "y",
        scale={"type": kind, "domain": domain, "nice": False},
        axis={**vega.title_above(f"best {tuned.symbol}"), "format": "~g", **axis},
    )
    return x, y
