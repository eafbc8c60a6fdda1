"""The two terms of the objective over scale: is the penalty what a reader fears?"""

import math
from collections.abc import Sequence

from dwindle.findings.model import AxisFindings
from dwindle.report import collapse, text, vega
from dwindle.report.themes import Theme
from dwindle.report.vega import Spec


def common_decay(axis: AxisFindings) -> float | None:
    """Return a λ that every cell was trained at: the one nearest the anchor's best."""
    tried = [
        {p.weight_decay for p in cell.curve if p.penalty is not None}
        for cell in axis.cells
    ]
    shared = set.intersection(*tried) - {0.0} if tried else set()
    if not shared:
        return None
    anchor = collapse.anchor_cell(axis)
    best = axis.cells[anchor].optimum if anchor is not None else None
    target = math.log(best) if best else sum(map(math.log, shared)) / len(shared)
    return min(sorted(shared), key=lambda each: abs(math.log(each) - target))


def terms_panel(axis: AxisFindings, theme: Theme, *, width: int = 204) -> Spec:
    """Return penalty and data term after training, at one λ for all cells."""
    rows: list[Spec] = [
        {"x": value, "term": term, "y": height}
        for value, data, penalty in terms_rows(axis)
        for term, height in (("data term", data), ("penalty", penalty))
        if height is not None and height > 0 and value > 0
    ]
    terms = ["data term", "penalty"]
    reach = _whole_decades([row["y"] for row in rows])
    base = {"field": "term", "type": "nominal"}
    legend = {"orient": "top", "symbolSize": 60, "offset": 6, "columnPadding": 24}
    values = [cell.value for cell in axis.cells if cell.value > 0]
    across = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {
            "values": values,
            "format": "~r",
            "grid": False,
            "title": text.quantity(axis.axis),
        },
    }
    up = {
        "field": "y",
        "type": "quantitative",
        "scale": {"type": "log", "domain": list(reach), "nice": False},
        "axis": {"title": None, "format": "~g", "values": vega.decades(*reach)},
    }
    parts = {
        "width": width,
        "height": 140,
        **vega.layer(
            rows,
            {"type": "line", "strokeWidth": 2, "point": {"size": 55}},
            {
                "x": across,
                "y": up,
                "color": {
                    **base,
                    "scale": {"domain": terms, "range": [theme.accent, theme.bad]},
                    "legend": legend,
                },
                "shape": {
                    **base,
                    "scale": {"domain": terms, "range": ["circle", "square"]},
                },
                "strokeDash": {
                    **base,
                    "scale": {"domain": terms, "range": [[1, 0], [5, 3]]},
                },
            },
        ),
    }
    return vega.figure(parts, theme)


def _whole_decades(heights: Sequence[float]) -> tuple[float, float]:
    if not heights:
        return 0.1, 1.0
    low, high = math.log10(min(heights)), math.log10(max(heights))
    return 10.0 ** math.floor(low), 10.0 ** max(math.ceil(high), math.floor(low) + 1)


def terms_rows(
    axis: AxisFindings,
) -> tuple[tuple[float, float | None, float | None], ...]:
    """Return (value, data term, penalty) per cell at the λ that all cells share."""
    shared = common_decay(axis)
    return tuple(
        (cell.value, point.train_loss, point.penalty)
        for cell in axis.cells
        for point in cell.curve
        if point.weight_decay == shared
    )
