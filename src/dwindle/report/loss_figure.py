"""The large figure of a page: validation loss over λ at every scale, best λ marked."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dwindle.findings.conclusion import base_cell
from dwindle.findings.model import AxisFindings, CellFindings, Findings
from dwindle.findings.names import decay, quantity
from dwindle.report import collapse, vega
from dwindle.report.themes import Theme
from dwindle.report.vega import Kind, Size, Spec
from dwindle.wording import counted, fixed, interval, number, raised

# Share of the height that stays free below the lowest curve: no symbol is cut there.
_AIR = 0.08

# Paper shrinks the wide one by a fifth, a large screen stretches it by as much; a phone
# takes the narrow one as it is. So letters have 11 to 17 pixels everywhere.
WIDE = Size(width=720, height=270, lettering=13)
NARROW = Size(width=290, height=270, lettering=13)


@dataclass(frozen=True, kw_only=True)
class ShownAxis:
    """The axis in the large figure, the study that it is of, and the λ to type."""

    study: Findings
    axis: AxisFindings
    typed: float | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The axes that the losses can have: not all of them are above zero."""
        return (
            ("linear", "log") if _heights(self.axis, "linear")[0] > 0 else ("linear",)
        )

    @property
    def has_flat(self) -> bool:
        """Whether decay does not measurably matter at some scale."""
        return any(cell.matters != "yes" for cell in self.axis.cells)

    @property
    def alt(self) -> str:
        """The figure in words, with the best λ of every scale."""
        name = quantity(self.axis.axis)
        best = (f"{number(c.value)}: {decay(c.optimum)}" for c in self.axis.cells)
        return f"Validation loss over λ. Best λ by {name}: {', '.join(best)}."


def shown_first(studies: Sequence[Findings]) -> ShownAxis | None:
    """Return what the large figure shows; None where no training has a loss.

    It is the axis on which the best λ moves most against its own uncertainty; where
    none has an exponent, the one with the most optima.
    """
    axes = tuple(axis for study in studies for axis in study.axes)
    drawn = [axis for axis in axes if any(map(collapse.lowest_loss, axis.cells))]
    if not drawn:
        return None
    axis = collapse.clearest_axis(axes) or max(
        drawn, key=lambda each: sum(cell.optimum is not None for cell in each.cells)
    )
    study = next(each for each in studies if axis in each.axes)
    base = base_cell(study)
    # The same cell on another axis has another value, so scales are compared.
    is_here = any(base is not None and cell.scale == base.scale for cell in axis.cells)
    typed = base.best_decay if base and is_here and study.is_plain else None
    return ShownAxis(study=study, axis=axis, typed=typed)


def loss_figure(
    shown: ShownAxis, theme: Theme, size: Size, kind: Kind = "linear"
) -> Spec:
    """Return the figure: one curve per scale, a symbol with its interval at its best λ.

    Curves leave through the top where λ is far too large. Dotted curves and hollow
    symbols are scales at which decay does not measurably matter; the dashed line is
    the λ to type.
    """
    axis = shown.axis
    names = series_names(axis)
    cells = list(zip(names, axis.cells, strict=True))
    tried = [p.weight_decay for c in axis.cells for p in c.curve if p.weight_decay > 0]
    domain = (min(tried), max(tried))
    x = vega.decay_axis(domain, title="λ")
    low, high = _heights(axis, kind)
    y = vega.numeric(
        "y",
        scale={"type": kind, "domain": [low, high], "nice": False},
        axis={**vega.title_above("validation loss, nats"), "tickCount": 5},
    )
    legend = {"legend": _legend(axis, theme, size)}
    color = vega.series_color(names, theme) | legend
    shape = vega.series_shape(names) | legend
    trained = [row for each in cells for row in curve_rows(axis, *each)]
    optima = [
        row | {"y": cell.loss_at_optimum}
        for name, cell in cells
        if (row := optimum_row(name, cell, domain))
    ]
    place = {"x": x, "y": y, "color": color}
    layers = [
        *_typed_layers(shown, x, theme, size),
        *curve_layers(trained, place, width=2.2),
        *optimum_layers(optima, place | {"shape": shape}, theme.paper, scale=2),
    ]
    return vega.figure(vega.plot(layers, size), theme, size)


def _legend(axis: AxisFindings, theme: Theme, size: Size) -> Spec:
    return {
        "orient": "top",
        "title": quantity(axis.axis),
        "titleOrient": "left",
        "titleColor": theme.muted,
        "titleFontWeight": "normal",
        "titleFontSize": size.lettering,
        "labelFontSize": size.lettering,
        "symbolSize": 70,
        "symbolOpacity": 1,
        # About 70 units hold a symbol and its number.
        "columns": max(1, size.width // 70),
        "offset": 30,
    }


def _heights(axis: AxisFindings, kind: Kind) -> list[float]:
    """Return the losses that are shown: every optimum, and what decay buys there."""
    lowest = [loss for c in axis.cells if (loss := collapse.lowest_loss(c)) is not None]
    # An optimum lies on a smoothed curve, which may run below all that was trained.
    lowest += [c.loss_at_optimum for c in axis.cells if c.loss_at_optimum is not None]
    low, high = min(lowest), max(lowest) + collapse.loss_ceiling(axis)
    air = low * (1 - (low / high) ** _AIR) if kind == "log" else _AIR * (high - low)
    return [low - air, high]


def curve_rows(
    axis: AxisFindings,
    name: str,
    cell: CellFindings,
    *,
    by: float = 1,
    above: float = 0,
) -> Iterator[Spec]:
    """Yield the points of a cell's curve: λ times a factor, and the loss above one."""
    for point in cell.curve:
        if point.mean is not None and point.weight_decay > 0:
            at = (
                f"{quantity(axis.axis)} {name}, λ = {raised(decay(point.weight_decay))}"
            )
            loss = f"loss {fixed(point.mean, 3)}, {counted(point.n, 'seed')}"
            yield {
                "cell": name,
                "kind": kind_of(cell),
                "x": point.weight_decay * by,
                "y": point.mean - above,
                "tooltip": f"{at}: {loss}",
            }


def kind_of(cell: CellFindings) -> str:
    """Return how a cell is drawn: dotted and hollow where decay makes no difference."""
    return "matters" if cell.matters == "yes" else "flat"


def optimum_row(
    name: str, cell: CellFindings, domain: tuple[float, float], *, by: float | None = 1
) -> Spec | None:
    """Return the best λ of a cell times a factor; None without either."""
    if by is None or cell.optimum is None:
        return None
    low, high = (None if end is None else end * by for end in (cell.low, cell.high))
    return {
        "cell": name,
        "kind": kind_of(cell),
        "x": cell.optimum * by,
        # An open limit is drawn to the frame: it is not known.
        "low": max(low or domain[0], domain[0]),
        "high": min(high or domain[1], domain[1]),
        "tooltip": f"best λ at {name}: {raised(decay(cell.optimum * by))}, "
        f"90 % {raised(interval(low, high))}",
    }


def curve_layers(rows: Sequence[Spec], place: Spec, *, width: float) -> list[Spec]:
    """Return curves as lines, and the λ that were trained as dots with tooltips."""
    line = {"type": "line", "clip": True, "strokeWidth": width, "strokeJoin": "round"}
    scale = vega.mapped(["matters", "flat"], [[1, 0], [2, 3]])
    dashed = vega.nominal("kind", scale=scale, legend=None)
    frame = [(name, *place[name]["scale"]["domain"]) for name in ("x", "y")]
    # A point outside of the frame is a number of the table only.
    seen = [row for row in rows if all(a <= row[name] <= b for name, a, b in frame)]
    dots = {"x": place["x"], "y": place["y"], "fill": place["color"]}
    return [
        vega.layer(rows, line, {**place, "strokeDash": dashed}),
        vega.layer(seen, *vega.with_tooltip(vega.DOT, dots)),
    ]


def optimum_layers(
    rows: Sequence[Spec], place: Spec, ground: str, *, scale: float = 1
) -> list[Spec]:
    """Return the interval of every best λ as a line and the best λ as a symbol.

    It is hollow, of the color of the ``ground``, where decay makes no difference: the
    best λ is then mostly noise.
    """
    unshaped = {name: each for name, each in place.items() if name != "shape"}
    rule = {"type": "rule", "strokeWidth": 1 + scale, "opacity": 0.5, "clip": True}
    point = {"type": "point", "size": 55 * scale, "strokeWidth": 1.2 + 0.4 * scale}
    hollow = {"test": "datum.kind === 'flat'", "value": ground}
    fill = {**place["color"], "condition": hollow}
    return [
        vega.layer(rows, rule, vega.between(unshaped, "x")),
        vega.layer(
            rows, *vega.with_tooltip(point | {"opacity": 1}, {**place, "fill": fill})
        ),
    ]


def series_names(axis: AxisFindings) -> list[str]:
    """Return the cells of an axis as series; four digits: 1024 is not 1020."""
    return [number(cell.value, digits=4) for cell in axis.cells]


def _typed_layers(shown: ShownAxis, x: Spec, theme: Theme, size: Size) -> list[Spec]:
    if shown.typed is None:
        return []
    rows = [{"x": shown.typed, "text": f"λ = {decay(shown.typed)}"}]
    line = {"type": "rule", "color": theme.accent, "strokeDash": [6, 4]}
    left, right = x["scale"]["domain"]
    # Inside of the frame, on the side that has more room.
    align, dx = ("left", 6) if shown.typed < math.sqrt(left * right) else ("right", -6)
    label = {"type": "text", "y": 8, "color": theme.accent, "align": align, "dx": dx}
    label |= {"fontSize": size.lettering, "fontWeight": "bold"}
    text = {"field": "text", "type": "nominal"}
    return [
        vega.layer(rows, {**line, "strokeWidth": 1.6}, {"x": x}),
        vega.layer(rows, label, {"x": x, "text": text}),
    ]
