"""A prediction as one page: the law through the scales, and every rule."""

import math
from collections.abc import Iterable, Iterator

from dwindle.finding.page import JSON_HAS_ALL, Page, Section
from dwindle.report import render, vega
from dwindle.report.themes import LIGHT, PAGE, Theme
from dwindle.report.vega import Spec
from dwindle.show import Table
from dwindle.tuning.tuned import LawLine, Tuned
from dwindle.wording import first_notes, number, quantity

_HEIGHT, _WIDTH = 230, 330


def page_of_tuned(tuned: Tuned) -> Page:
    """Return the page of a prediction, or of several scales.

    Raises:
        MissingLibraryError: If vl-convert is not installed.

    """
    sections = [
        Section(
            name="law",
            heading="Best value over the scale",
            lead="Symbols are the scales that show a best value, with their 90 % "
            "intervals; the line is the law through them with all else as in the "
            "first of them, in the band of what it predicts. The bar beside is the "
            "answer at the target.",
            panels=tuple(_panels(tuned)),
            summary="Every scale",
            table=tuned.cells_table(),
        ),
        Section(
            name="exponents",
            heading="How it moves",
            lead="The value goes with the power of each quantity.",
            table=Table(
                columns=["what", "90 % interval"], rows=[*tuned.exponents_text.items()]
            ),
        ),
    ]
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
        says=(tuned.range_text, tuned.why, *first_notes(tuned.notes, JSON_HAS_ALL)),
        sections=tuple(sections),
        picture=law_figure(tuned, LIGHT),
    )


def law_figure(tuned: Tuned, theme: Theme) -> Spec:
    """Return the law over all axes, side by side, as a Vega-Lite specification."""
    panels = [_layers(tuned, line, theme) for line in tuned.lines]
    return vega.figure({"hconcat": panels}, theme)


def _panels(tuned: Tuned) -> Iterator[str]:
    for count, line in enumerate(tuned.lines):
        each = tuned.exponents[line.axis]
        alt = (
            f"Best {tuned.symbol} over {quantity(line.axis)}: "
            f"exponent {number(each.value)}. {tuned.headline}."
        )
        spec = vega.figure(_layers(tuned, line, PAGE), PAGE)
        yield render.svg(spec, name=f"law{count}", alt=alt)


def _layers(tuned: Tuned, line: LawLine, theme: Theme) -> Spec:
    law = [{"x": x, "y": y, "low": a, "high": b} for x, y, a, b in line.points]
    cells = [
        {
            "x": cell.scale[line.axis],
            "y": cell.value,
            "low": cell.low,
            "high": cell.high,
        }
        for cell in line.cells
    ]
    target = []
    if tuned.value is not None and line.axis in tuned.target:
        at = {"x": tuned.target[line.axis], "y": tuned.value}
        target = [{**at, "low": tuned.low, "high": tuned.high}]
    x, y = _axes(tuned, line, (*law, *cells, *target))
    bar = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    accent = {"color": theme.accent, "opacity": 1}
    point = {"type": "point", "filled": True, "size": 60, "opacity": 1}
    layers = [
        vega.layer(law, {"type": "area", "color": theme.band}, bar),
        vega.layer(law, {"type": "line", "color": theme.muted}, {"x": x, "y": y}),
        vega.layer(cells, {"type": "rule", "color": theme.ink}, bar),
        vega.layer(cells, {**point, "color": theme.ink}, {"x": x, "y": y}),
        vega.layer(target, {"type": "rule", "strokeWidth": 3, **accent}, bar),
        vega.layer(target, {**point, "shape": "diamond", **accent}, {"x": x, "y": y}),
    ]
    return {"width": _WIDTH, "height": _HEIGHT, "layer": layers}


def _axes(tuned: Tuned, line: LawLine, rows: Iterable[Spec]) -> tuple[Spec, Spec]:
    rows = list(rows)
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [cell.scale[line.axis] for cell in line.cells]
    values += [tuned.target[line.axis]] if line.axis in tuned.target else []
    x = vega.numeric(
        "x",
        scale={"type": "log", "nice": False, "padding": 14},
        axis={
            "values": sorted(set(values)),
            "format": "~s",
            "grid": False,
            "title": quantity(line.axis),
        },
    )
    domain = [10.0**first, 10.0**last]
    ticks = {"values": vega.decades(*domain), "format": "~g"}
    y = vega.numeric(
        "y",
        scale={"type": "log", "domain": domain, "nice": False},
        axis={**vega.title_above(f"best {tuned.symbol}"), **ticks},
    )
    return x, y
