"""The collapse plot: do the loss curves of all scales line up after a correction?"""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.findings.model import AxisFindings, CellFindings, Findings
from dwindle.findings.names import decay, exponent, quantity
from dwindle.findings.verdict import course_of
from dwindle.report import collapse, tables, vega
from dwindle.report.collapse import Correction
from dwindle.report.loss_figure import DASHED, curve_rows, kind_of
from dwindle.report.themes import LIGHT, Theme
from dwindle.report.vega import Size, Spec
from dwindle.wording import clean, counted, interval, number, raised

# A panel shows at least this factor on both sides of every corrected optimum.
_MARGIN = 8.0
_PICTURE = Size(width=400, height=230, lettering=13)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel: the curves of an axis after one correction, in one theme and size."""

    axis: AxisFindings
    correction: Correction
    theme: Theme
    size: Size = vega.PANEL

    @property
    def names(self) -> list[str]:
        """The cells as series, in the order of the axis."""
        return [number(cell.value, digits=4) for cell in self.axis.cells]

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
    return vega.figure(collapse_parts(panel), panel.theme, panel.size)


def collapse_parts(panel: Panel) -> Spec:
    """Return a collapse panel without its frame, to be set beside others."""
    domain = shared_domain(panel.axis)
    return {
        "spacing": panel.size.lettering + 7,
        "vconcat": [_curves(panel, domain), _optima(panel, domain)],
    }


def shared_domain(axis: AxisFindings) -> tuple[float, float]:
    """Return the range of λ that all panels of an axis share: wide enough for each."""
    # One range for all panels: only then does it mean something that curves line up.
    tried = [p.weight_decay for c in axis.cells for p in c.curve if p.weight_decay > 0]
    optima = [
        cell.optimum * factor
        for correction in collapse.corrections(axis)
        for cell, factor in zip(axis.cells, correction.factors, strict=True)
        if cell.optimum and factor
    ]
    if optima:
        return min(optima) / _MARGIN, max(optima) * _MARGIN
    # Without any optimum: what was tried, and a little air.
    return (min(tried) / 1.5, max(tried) * 1.5) if tried else (1e-5, 1e-1)


def _curves(panel: Panel, domain: tuple[float, float]) -> Spec:
    ceiling = collapse.loss_ceiling(panel.axis)
    encoding = {
        "x": vega.decay_axis(domain, title=None),
        "y": vega.numeric(
            "y",
            # A little below 0, or the frame halves the line where a curve is lowest.
            scale={"domain": [-0.04 * ceiling, ceiling], "nice": False},
            axis={**vega.title_above("loss above its lowest, nats"), "tickCount": 4},
        ),
        "color": vega.series_color(panel.names, panel.theme),
        "strokeDash": DASHED,
    }
    mark = {"type": "line", "clip": True, "strokeWidth": 2, "strokeJoin": "round"}
    rows = [
        row
        for name, cell, by in panel.cells
        if by is not None and (lowest := collapse.lowest_loss(cell)) is not None
        for row in curve_rows(panel.axis, name, cell, by=by, above=lowest)
    ]
    # A point outside of the frame is a number of the table only.
    (left, right), size = domain, panel.size
    seen = [r for r in rows if r["y"] <= ceiling and left <= r["x"] <= right]
    place = {"x": encoding["x"], "y": encoding["y"], "fill": encoding["color"]}
    layers = [
        vega.layer(rows, mark, encoding),
        vega.layer(seen, *vega.told(vega.DOT, place)),
    ]
    return {"width": size.width, "height": size.height, "layer": layers}


def _optima(panel: Panel, domain: tuple[float, float]) -> Spec:
    rows = [_optimum_row(name, cell, f, domain) for name, cell, f in panel.cells]
    names = panel.names
    quiet = {"grid": False, "ticks": False, "domain": False}
    row_of = vega.nominal(
        "cell",
        sort=None,
        scale={"domain": names},
        axis={**vega.title_above(quantity(panel.axis.axis)), **quiet},
    )
    anchor, title = collapse.anchor_cell(panel.axis), "λ"
    if anchor is not None and not panel.correction.changes_nothing:
        value = number(panel.axis.cells[anchor].value, digits=4)
        title = f"λ, brought to {quantity(panel.axis.axis)} {value}"
    across = vega.decay_axis(domain, title=title)
    return {
        "width": panel.size.width,
        "height": (panel.size.lettering + 2) * max(len(names), 1),
        "layer": _optimum_layers(rows, {"x": across, "y": row_of}, panel),
    }


def _optimum_layers(rows: list[Spec], base: Spec, panel: Panel) -> list[Spec]:
    color = vega.series_color(panel.names, panel.theme)
    seen = [row for row in rows if row["kind"] != "none"]
    unknown = [row for row in rows if row["kind"] == "none"]
    muted = panel.theme.muted
    why = {"type": "text", "fontSize": panel.size.lettering, "align": "left"}
    why |= {"color": muted}
    # Hollow where decay does not measurably matter: its best λ is mostly noise.
    hollow = {"test": "datum.kind === 'flat'", "value": "transparent"}
    ends = {"x": {**base["x"], "field": "low"}, "x2": {"field": "high"}}
    point = {"type": "point", "size": 52, "strokeWidth": 1.6, "opacity": 1}
    shape = vega.series_shape(panel.names)
    look = {"fill": {**color, "condition": hollow}, "shape": shape}
    return [
        vega.layer(
            seen,
            {"type": "rule", "strokeWidth": 2, "opacity": 0.45, "clip": True},
            {**base, **ends, "color": color},
        ),
        vega.layer(seen, *vega.told(point, {**base, "color": color, **look})),
        vega.layer(unknown, why, {**base, "text": {"field": "why"}}),
    ]


def _optimum_row(
    name: str, cell: CellFindings, factor: float | None, domain: tuple[float, float]
) -> Spec:
    if factor is None or cell.optimum is None:
        why = "no optimum"
        if factor is None:
            why = "the rule says nothing here"
        elif cell.at_edge is not None:
            why = f"best λ {raised(tables.optimum_text(cell))}: edge of the grid"
        elif cell.matters == "no":
            why = "decay does not matter here"
        # A little inside of the frame; the axis is logarithmic.
        return {"cell": name, "kind": "none", "x": domain[0] * 1.15, "why": why}
    # An open limit reaches to the frame: it lies beyond the grid, nobody knows where.
    low = cell.low * factor if cell.low else domain[0]
    high = cell.high * factor if cell.high else domain[1]
    within = raised(interval(low, high))
    return {
        "cell": name,
        "kind": kind_of(cell),
        "x": cell.optimum * factor,
        "told": f"{name}: λ {raised(decay(cell.optimum * factor))}, 90 % {within}",
        "low": max(low, domain[0]),
        "high": min(high, domain[1]),
    }


def main_figure(studies: Sequence[Findings]) -> Spec | None:
    """Return the one figure to show: curves as typed beside curves corrected.

    It takes the axis on which the best λ moves most against its own uncertainty, over
    all studies; there is none where no study has an exponent. Where the best λ surely
    moves, the curves are shown corrected, too: by the published rule, of those that
    agree, after which they line up best, else by the measured exponent.
    """
    axes = tuple(axis for study in studies for axis in study.axes)
    axis = collapse.clearest_axis(axes)
    if axis is None:
        return None
    moves = course_of(axis) in ("up", "down")
    best = collapse.best_correction(axis) if moves else None
    typed = collapse.corrections(axis)[0]
    study = next(each for each in studies if axis in each.axes)
    title = {
        "text": _message(axis, best),
        # No ∝ here: where a font lacks it, a converter sets the line in another one.
        "subtitle": f"{clean(study.study, limit=60)}, {counted(study.seeds, 'seed')}. "
        f"Exponent of the best λ over {quantity(axis.axis)}: {exponent(axis)}",
        "fontSize": 17,
        "subtitleFontSize": 13,
        "subtitlePadding": 5,
        "anchor": "start",
        "offset": 18,
    }
    shown = (typed, best) if best else (typed,)
    panels = [_titled(axis, each) for each in shown]
    parts = {"title": title, "spacing": 34, "hconcat": panels, "padding": 18}
    # Real colors: a picture has no variables of a page.
    parts["background"] = LIGHT.paper
    return vega.figure(parts, LIGHT, _PICTURE)


def _titled(axis: AxisFindings, correction: Correction) -> Spec:
    panel = Panel(axis=axis, correction=correction, theme=LIGHT, size=_PICTURE)
    # More names than three would run into the panel beside it.
    names = ", ".join((correction.title, *correction.also)[:3])
    title = f"λ {names}" if correction.changes_nothing else f"λ corrected: {names}"
    heading = {
        "text": "λ corrected by the measured exponent"
        if correction.is_measured
        else title,
        "subtitle": spread_text(axis, correction),
        "fontSize": 14,
        "subtitleFontSize": 12,
        "anchor": "start",
        "frame": "group",
        "offset": 16,
    }
    return {"title": heading, **collapse_parts(panel)}


def _message(axis: AxisFindings, best: Correction | None) -> str:
    """Title the picture with the course that the verdict sentence goes by."""
    name, course = quantity(axis.axis), course_of(axis)
    if best is None:
        still = f"The best weight decay does not move with {name}"
        doubt = f"Whether the best weight decay moves with {name} is open"
        return still if course == "still" else doubt
    finding = (
        f"The best weight decay {'falls' if course == 'down' else 'rises'} with {name}"
    )
    typed = collapse.spread(axis, collapse.corrections(axis)[0].factors)
    corrected = collapse.spread(axis, best.factors)
    if typed is None or corrected is None:
        return finding
    before, after = (number(each, digits=2) for each in (typed, corrected))
    if not best.agrees:
        return f"{finding}: a factor {before} apart as typed; no published rule agrees"
    return f"{finding}: a factor {before} apart as typed, {after} corrected"


def spread_text(axis: AxisFindings, correction: Correction) -> str:
    """Return how far apart the best λ of all scales lie after a correction."""
    factor = collapse.spread(axis, correction.factors)
    if factor is None:
        return "too few optima to compare"
    return f"best λ within a factor {number(factor, digits=2)}"
