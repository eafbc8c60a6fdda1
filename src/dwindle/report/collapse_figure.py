"""The collapse plot: do the loss curves of all scales line up after a correction?"""

from collections.abc import Sequence
from dataclasses import dataclass

from dwindle.findings.conclusion import COURSES
from dwindle.findings.model import AxisFindings, CellFindings, Findings
from dwindle.findings.names import exponent, quantity
from dwindle.findings.verdict import course_of
from dwindle.report import collapse, tables, vega
from dwindle.report.collapse import Correction
from dwindle.report.loss_figure import (
    curve_layers,
    curve_rows,
    optimum_layers,
    optimum_row,
    series_names,
)
from dwindle.report.themes import LIGHT, Theme
from dwindle.report.vega import Size, Spec
from dwindle.wording import clean, counted, number, raised

# A panel shows at least this factor on both sides of every corrected optimum.
_MARGIN = 8.0
_PICTURE = Size(width=400, height=230, lettering=13)


@dataclass(frozen=True, kw_only=True)
class CollapsePanel:
    """One panel: the curves of an axis after one correction, in one theme and size."""

    axis: AxisFindings
    correction: Correction
    theme: Theme
    size: Size = vega.PANEL

    @property
    def cells(self) -> list[tuple[str, CellFindings, float | None]]:
        """Every cell with its name and its factor."""
        names, factors = series_names(self.axis), self.correction.factors
        return list(zip(names, self.axis.cells, factors, strict=True))

    @property
    def color(self) -> Spec:
        """The color of every cell."""
        return vega.series_color(series_names(self.axis), self.theme)


def collapse_panel(panel: CollapsePanel) -> Spec:
    """Return one panel of a collapse plot.

    Above, the loss of every scale over the corrected λ, measured from the lowest of its
    curve; below, on the same λ, the best λ of every scale with its interval.
    The rule holds where the curves, and so the symbols below, stand on top of each
    other.
    """
    return vega.figure(collapse_parts(panel), panel.theme, panel.size)


def collapse_parts(panel: CollapsePanel) -> Spec:
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


def _curves(panel: CollapsePanel, domain: tuple[float, float]) -> Spec:
    ceiling = collapse.loss_ceiling(panel.axis)
    encoding = {
        "x": vega.decay_axis(domain, title=None),
        "y": vega.numeric(
            "y",
            # A little below 0, or the frame halves the line where a curve is lowest.
            scale={"domain": [-0.04 * ceiling, ceiling], "nice": False},
            axis={**vega.title_above("loss above its lowest, nats"), "tickCount": 4},
        ),
        "color": panel.color,
    }
    rows = [
        row
        for name, cell, by in panel.cells
        if by is not None and (lowest := collapse.lowest_loss(cell)) is not None
        for row in curve_rows(panel.axis, name, cell, by=by, above=lowest)
    ]
    return vega.plot(curve_layers(rows, encoding, width=2), panel.size)


def _optima(panel: CollapsePanel, domain: tuple[float, float]) -> Spec:
    names = series_names(panel.axis)
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
    place = {"x": vega.decay_axis(domain, title=title), "y": row_of}
    seen: list[Spec] = []
    unknown: list[Spec] = []
    for name, cell, by in panel.cells:
        row = optimum_row(name, cell, domain, by=by)
        # A reason stands a little inside of the frame; the axis is logarithmic.
        why = {"cell": name, "x": domain[0] * 1.15, "why": _why_no_optimum(cell, by)}
        (seen if row else unknown).append(row or why)
    text = {"type": "text", "fontSize": panel.size.lettering, "align": "left"}
    shape = vega.series_shape(names)
    encoding = {**place, "color": panel.color, "shape": shape}
    return {
        "width": panel.size.width,
        "height": (panel.size.lettering + 2) * max(len(names), 1),
        "layer": [
            *optimum_layers(seen, encoding, "transparent"),
            vega.layer(
                unknown,
                text | {"color": panel.theme.muted},
                {**place, "text": {"field": "why"}},
            ),
        ],
    }


def _why_no_optimum(cell: CellFindings, factor: float | None) -> str:
    if factor is None:
        return "the rule does not apply here"
    if cell.at_edge is not None:
        return f"best λ {raised(tables.optimum_text(cell))}: edge of the grid"
    return "decay does not matter here" if cell.matters == "no" else "no optimum"


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
    panels = [
        {
            "title": _heading(axis, each),
            **collapse_parts(
                CollapsePanel(axis=axis, correction=each, theme=LIGHT, size=_PICTURE)
            ),
        }
        for each in shown
    ]
    parts = {"title": title, "spacing": 34, "hconcat": panels, "padding": 18}
    # Real colors: a picture has no variables of a page.
    parts["background"] = LIGHT.paper
    return vega.figure(parts, LIGHT, _PICTURE)


def _heading(axis: AxisFindings, correction: Correction) -> Spec:
    # More names than three would run into the panel beside it.
    names = ", ".join((correction.title, *correction.also)[:3])
    title = f"λ {names}" if correction.changes_nothing else f"λ corrected: {names}"
    if correction.is_measured:
        title = "λ corrected by the measured exponent"
    return {
        "text": title,
        "subtitle": spread_text(axis, correction),
        "fontSize": 14,
        "subtitleFontSize": 12,
        "anchor": "start",
        "frame": "group",
        "offset": 16,
    }


def _message(axis: AxisFindings, best: Correction | None) -> str:
    """Title the picture with the course that the verdict sentence goes by."""
    name, course = quantity(axis.axis), course_of(axis)
    if course not in COURSES:
        return f"Whether the best weight decay moves with {name} is open"
    finding = f"The best weight decay {COURSES[course].format(name)}"
    if best is None:
        return finding
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
