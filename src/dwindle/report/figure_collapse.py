"""The collapse plot: do the loss curves of all scales line up after a correction?"""

from dataclasses import dataclass

from dwindle.findings.model import AxisFindings, CellFindings
from dwindle.report import collapse, tables, text, vega
from dwindle.report.collapse import Correction
from dwindle.report.themes import Theme
from dwindle.report.vega import Spec

PANEL_WIDTH = 204
CURVES_HEIGHT = 124
# A panel shows at least this factor on both sides of every corrected optimum.
_MARGIN = 8.0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: the curves of an axis after one correction, in one theme and size."""

    axis: AxisFindings
    correction: Correction
    theme: Theme
    width: int = PANEL_WIDTH
    height: int = CURVES_HEIGHT
    lettering: int = 11

    @property
    def names(self) -> list[str]:
        """The cells as series, in the order of the axis."""
        return [text.number(cell.value, digits=4) for cell in self.axis.cells]

    @property
    def cells(self) -> list[tuple[str, CellFindings, float | None]]:
        """Every cell with its name and its factor."""
        factors = self.correction.factors
        return list(zip(self.names, self.axis.cells, factors, strict=True))


def collapse_panel(panel: Panel) -> Spec:
    """Return one panel of a collapse plot.

    Above, the loss of every scale over the corrected λ, measured from the lowest loss
    of its own curve; below, on the same λ, the best λ of every scale with its interval.
    The rule holds where the curves, and so the symbols below, stand on top of each
    other.
    """
    return vega.figure(collapse_parts(panel), panel.theme, lettering=panel.lettering)


def collapse_parts(panel: Panel) -> Spec:
    """Return a collapse panel without its frame, to be set beside others."""
    domain = shared_domain(panel.axis)
    return {
        "spacing": panel.lettering + 7,
        "vconcat": [_curves(panel, domain), _optima(panel, domain)],
    }


def shared_domain(axis: AxisFindings) -> tuple[float, float]:
    """Return the range of λ that all panels of an axis share: wide enough for each."""
    tried = [p.weight_decay for c in axis.cells for p in c.curve if p.weight_decay > 0]
    optima = [
        cell.optimum * factor
        for correction in collapse.corrections(axis)
        for cell, factor in zip(axis.cells, correction.factors, strict=True)
        if cell.optimum and factor
    ]
    if optima:
        return min(optima) / _MARGIN, max(optima) * _MARGIN
    return (min(tried) / 1.5, max(tried) * 1.5) if tried else (1e-5, 1e-1)


def _curves(panel: Panel, domain: tuple[float, float]) -> Spec:
    ceiling = collapse.loss_ceiling(panel.axis)
    height = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [-0.04 * ceiling, ceiling], "nice": False},
        "axis": {**vega.title_above("loss above its lowest, nats"), "tickCount": 4},
    }
    dash = {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": ["matters", "flat"], "range": [[1, 0], [2, 3]]},
        "legend": None,
    }
    encoding = {
        "x": vega.decay_axis(domain, title=None),
        "y": height,
        "color": vega.series_color(panel.names, panel.theme),
        "strokeDash": dash,
    }
    mark = {"type": "line", "clip": True, "strokeWidth": 2, "strokeJoin": "round"}
    rows = [row for name, cell, f in panel.cells for row in _curve_rows(name, cell, f)]
    size = {"width": panel.width, "height": panel.height}
    return {**size, **vega.layer(rows, mark, encoding)}


def _curve_rows(name: str, cell: CellFindings, factor: float | None) -> list[Spec]:
    lowest = collapse.lowest_loss(cell)
    if factor is None or lowest is None:
        return []
    kind = "matters" if cell.matters == "yes" else "flat"
    return [
        {
            "cell": name,
            "kind": kind,
            "x": point.weight_decay * factor,
            "y": point.mean - lowest,
        }
        for point in cell.curve
        if point.mean is not None and point.weight_decay > 0
    ]


def _optima(panel: Panel, domain: tuple[float, float]) -> Spec:
    rows = [_optimum_row(name, cell, f, domain) for name, cell, f in panel.cells]
    names = panel.names
    quiet = {"grid": False, "ticks": False, "domain": False}
    row_of = {
        "field": "cell",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": names},
        "axis": {**vega.title_above(text.quantity(panel.axis.axis)), **quiet},
    }
    across = vega.decay_axis(domain, title=_decay_title(panel.axis, panel.correction))
    return {
        "width": panel.width,
        "height": (panel.lettering + 2) * max(len(names), 1),
        "layer": _optimum_layers(rows, {"x": across, "y": row_of}, panel),
    }


def _optimum_layers(rows: list[Spec], base: Spec, panel: Panel) -> list[Spec]:
    color = vega.series_color(panel.names, panel.theme)
    seen = [row for row in rows if row["kind"] != "none"]
    told = [row for row in rows if row["kind"] == "none"]
    hollow = {"test": "datum.kind === 'flat'", "value": "transparent"}
    ends = {"x": {**base["x"], "field": "low"}, "x2": {"field": "high"}}
    return [
        vega.layer(
            seen,
            {"type": "rule", "strokeWidth": 2, "opacity": 0.45, "clip": True},
            {**base, **ends, "color": color},
        ),
        vega.layer(
            seen,
            {"type": "point", "size": 52, "strokeWidth": 1.6, "opacity": 1},
            {
                **base,
                "color": color,
                "fill": {**color, "condition": hollow},
                "shape": vega.series_shape(panel.names),
            },
        ),
        vega.layer(
            told,
            {
                "type": "text",
                "fontSize": 10,
                "align": "left",
                "color": panel.theme.muted,
            },
            {**base, "text": {"field": "why"}},
        ),
    ]


def _optimum_row(
    name: str, cell: CellFindings, factor: float | None, domain: tuple[float, float]
) -> Spec:
    if factor is None or cell.optimum is None:
        why = _why_none(cell, factor)
        return {"cell": name, "kind": "none", "x": domain[0] * 1.15, "why": why}
    low = cell.low * factor if cell.low else domain[0]
    high = cell.high * factor if cell.high else domain[1]
    return {
        "cell": name,
        "kind": "matters" if cell.matters == "yes" else "flat",
        "x": cell.optimum * factor,
        "low": max(low, domain[0]),
        "high": min(high, domain[1]),
    }


def _why_none(cell: CellFindings, factor: float | None) -> str:
    if factor is None:
        return "the rule says nothing here"
    if cell.at_edge is not None:
        return f"best λ {tables.optimum_text(cell)}: edge of the grid"
    if cell.matters == "no":
        return "decay does not matter here"
    return "no optimum"


def _decay_title(axis: AxisFindings, correction: Correction) -> str:
    anchor = collapse.anchor_cell(axis)
    if correction.changes_nothing or anchor is None:
        return "λ"
    value = text.number(axis.cells[anchor].value, digits=4)
    return f"λ, brought to {text.quantity(axis.axis)} {value}"
