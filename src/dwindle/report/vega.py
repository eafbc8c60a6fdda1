"""Small pieces of Vega-Lite that several figures share."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dwindle.report.themes import SHAPES, Theme, series_positions
from dwindle.wording import power_of_ten

Spec = dict[str, Any]  # JSON: what Vega-Lite reads


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of a figure and of its letters, in units of the drawing."""

    width: int
    height: int
    lettering: int


# Two or three beside each other on a screen, two on paper, one on a phone: letters have
# 11 to 18 pixels.
PANEL = Size(width=236, height=140, lettering=12)
Kind = Literal["linear", "log"]  # of an axis

# Where was trained; its unseen border is where a pointer finds it.
DOT = {"type": "circle", "size": 18, "opacity": 1, "clip": True}
DOT |= {"stroke": "black", "strokeOpacity": 0, "strokeWidth": 12}

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name, never fetched
# Fonts of one width on all systems: labels are measured here and drawn elsewhere.
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
_LARGEST_POWER = 30  # far beyond any λ, batch or number of weights
# Below this a plain decimal has too many zeros for a tick label.
_PLAIN_DECIMALS_FROM = 1e-3


def figure(parts: Spec, theme: Theme, size: Size = PANEL) -> Spec:
    """Return a whole specification: the parts, the schema, and the style of all."""
    lettering = size.lettering
    axis = {
        "domainColor": theme.grid,
        "gridColor": theme.grid,
        "tickColor": theme.grid,
        "labelColor": theme.muted,
        "titleColor": theme.muted,
        "titleFontWeight": "normal",
        "titleFontSize": lettering,
        "labelFontSize": lettering,
        "titlePadding": 6,
        "tickSize": 3,
    }
    config = {
        "background": None,
        "font": FONT,
        "padding": 4,
        "aria": False,  # the page describes each figure once, in words
        "view": {"stroke": None},
        "axis": axis,
        "legend": {
            "labelColor": theme.muted,
            "labelFontSize": lettering,
            "title": None,
        },
        "title": {"color": theme.ink, "subtitleColor": theme.muted},
    }
    return {"$schema": SCHEMA, "config": config, **parts}


def title_above(title: str) -> Spec:
    """Return the title of an upright axis, written level above its left end.

    Turned by a quarter, it would be longer than a small panel is high.
    """
    level = {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom"}
    return {"title": title, **level, "titleX": 0, "titleY": -5}


def decades(low: float, high: float) -> list[float]:
    """Return the powers of ten inside a range; more than seven are thinned out.

    Example:
        >>> decades(3e-4, 0.2)
        [0.001, 0.01, 0.1]

    """
    # A power of ten may come out of log10 a rounding beside itself.
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = 1 + (last - first) // 7
    return [float(f"1e{power}") for power in range(first, last + 1, step)]


def tick_labels(ticks: Sequence[float]) -> Spec:
    """Return the labels of powers of ten: decimals, or 10 raised where one is long."""
    if ticks and min(ticks) >= _PLAIN_DECIMALS_FROM:
        return {"format": "~g"}
    powers = range(-_LARGEST_POWER, _LARGEST_POWER + 1)
    raised = [power_of_ten(power) for power in powers]
    place = f"round(log(datum.value) / LN10) + {_LARGEST_POWER}"
    return {"labelExpr": f"{json.dumps(raised, ensure_ascii=False)}[{place}]"}


def decay_axis(domain: tuple[float, float], *, title: str | None) -> Spec:
    """Return the x encoding of a logarithmic λ over a fixed domain."""
    ticks = decades(*domain)
    axis: Spec = {"values": ticks, "title": title, "grid": True, "labelFlush": True}
    axis |= tick_labels(ticks)
    if title is None:
        axis = {**axis, "labels": False, "ticks": False, "domain": False}
    scale = {"type": "log", "domain": list(domain), "nice": False}
    return numeric("x", scale=scale, axis=axis)


def quantity_axis(values: Iterable[float], title: str) -> Spec:
    """Return the x encoding of a quantity of scale, with a tick at each of its values.

    The padding is more than half a symbol: none is cut at an end.
    """
    ticks = sorted(set(values))
    axis = {"values": ticks, "format": "~r", "grid": False, "title": title}
    scale = {"type": "log", "nice": False, "padding": 14}
    return numeric("x", scale=scale, axis=axis)


def series_color(names: Sequence[str], theme: Theme) -> Spec:
    """Return the color encoding of ordered series, without a legend."""
    colors = [theme.series[i] for i in series_positions(len(names))]
    return nominal("cell", scale=mapped(names, colors), legend=None)


def series_shape(names: Sequence[str]) -> Spec:
    """Return the shape encoding of ordered series, which differ without color."""
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(names))]
    return nominal("cell", scale=mapped(names, shapes), legend=None)


def with_tooltip(mark: Spec, encoding: Spec) -> tuple[Spec, Spec]:
    """Return a mark and its encoding with the ``tooltip`` of each row.

    The page shows it under the pointer, without a script.
    """
    text = {"description": {"field": "tooltip", "type": "nominal"}}
    return {**mark, "aria": True}, {**encoding, **text}


def nominal(field: str, **more: Spec | Sequence[str] | None) -> Spec:
    """Return the encoding of names: ``sort`` and ``legend`` as Vega-Lite reads them."""
    return {"field": field, "type": "nominal", **more}


def numeric(field: str, *, scale: Spec, axis: Spec) -> Spec:
    """Return the encoding of numbers on an axis."""
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def mapped(domain: Sequence[str], values: Sequence[object]) -> Spec:
    """Return a scale that gives each name its own value."""
    return {"domain": list(domain), "range": list(values)}


def layer(rows: Iterable[Spec], mark: Spec, encoding: Spec) -> Spec:
    """Return one layer with its own rows."""
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": encoding}


def plot(layers: Sequence[Spec], size: Size = PANEL) -> Spec:
    """Return layers over each other, to be framed alone or set beside others."""
    return {"width": size.width, "height": size.height, "layer": layers}


def between(encoding: Spec, channel: Literal["x", "y"]) -> Spec:
    """Return an encoding that reaches from ``low`` to ``high`` along one channel."""
    low = {**encoding[channel], "field": "low"}
    return encoding | {channel: low, f"{channel}2": {"field": "high"}}


def measured_layers(
    x: Spec, theme: Theme, value: float | None, low: float | None, high: float | None
) -> list[Spec]:
    """Return the band of an interval and the line at its value, where they are known.

    Drawn first, so that symbols lie on top of what was measured.
    """
    layers = []
    if low is not None and high is not None:
        band = {"type": "rect", "color": theme.band}
        layers.append(layer([{"low": low, "high": high}], band, between({"x": x}, "x")))
    if value is not None:
        line = {"type": "rule", "color": theme.accent, "strokeWidth": 2}
        layers.append(layer([{"x": value}], line, {"x": x}))
    return layers
