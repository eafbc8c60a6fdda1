"""Rules beside the measurement, and the two terms of the objective, as figures."""

import math
from collections.abc import Sequence

from dwindle.findings.model import AxisFindings, Findings, RuleFindings
from dwindle.findings.names import quantity, regret, regret_interval, rule_title
from dwindle.findings.verdict import all_rules, ranked_rules, regret_order
from dwindle.report import collapse, vega
from dwindle.report.themes import PAGE
from dwindle.report.vega import Spec, mapped, nominal
from dwindle.show import Styled
from dwindle.wording import fixed, number

# Nats; each class is about three times the one before.
REGRET_CLASSES = (0.003, 0.01, 0.03, 0.1, 0.3)


def agreement(rule: RuleFindings) -> Styled:
    """Return in words whether a rule agrees with the measured exponent."""
    if rule.agrees is None:
        return Styled("not excluded" if rule.not_excluded else "open", "dim")
    return Styled("yes", "green") if rule.agrees else Styled("no", "red")


def exponents_panel(axis: AxisFindings) -> Spec:
    """Return the measured exponent with its interval beside every rule's prediction."""
    rules = [rule for rule in ranked_rules(axis) if rule.exponent is not None]
    # From low to high: then those that agree stand together inside the band.
    rules.sort(key=lambda rule: (rule.exponent or 0.0, rule.rule))
    rows = [
        {
            "rule": rule_title(rule.rule),
            "x": rule.exponent,
            "agrees": agreement(rule),
            "tooltip": f"{rule_title(rule.rule)}: {fixed(rule.exponent)}",
        }
        for rule in rules
    ]
    label = {"labelLimit": 190, "labelColor": PAGE.ink, "grid": True, "ticks": False}
    row_of = nominal("rule", sort=None, axis={**label, "title": None, "domain": False})
    across = vega.numeric(
        "x",
        scale={"domain": exponent_domain(axis), "nice": False},
        axis={"title": "exponent of the best λ", "grid": False, "tickCount": 4},
    )
    answers = ["yes", "not excluded", "open", "no"]
    colors = [PAGE.good, PAGE.muted, PAGE.muted, PAGE.bad]
    shapes = ["circle", "diamond", "diamond", "M-.8,-.8L.8,.8M-.8,.8L.8,-.8"]
    point = {"type": "point", "size": 70, "strokeWidth": 2, "opacity": 1}
    place = {
        "x": across,
        "y": row_of,
        "color": nominal("agrees", legend=None, scale=mapped(answers, colors)),
        "shape": nominal("agrees", legend=None, scale=mapped(answers, shapes)),
    }
    points = vega.layer(rows, *vega.with_tooltip(point, place))
    zero = {"type": "rule", "color": PAGE.muted, "strokeDash": [2, 3]}
    at_zero = vega.layer([{"x": 0.0}], zero, {"x": across})
    found = (axis.exponent, axis.low, axis.high)
    parts = {
        # The names of rules stand beside it, and take room of it.
        "width": vega.PANEL.width - 60,
        "height": 19 * max(len(rows), 1),
        "layer": [at_zero, *vega.measured_layers(across, PAGE, *found), points],
    }
    return vega.figure(parts, PAGE)


def exponent_domain(axis: AxisFindings) -> list[float]:
    """Return the exponents that a panel shows: all of them, and zero."""
    shown = [rule.exponent for rule in axis.rules if rule.applies]
    found = [each for each in (*shown, axis.exponent, axis.low, axis.high, 0.0) if each]
    low, high = min((*found, 0.0)), max((*found, 0.0))
    # A little air, or the frame cuts the outermost symbol; 1 where all stand at 0.
    margin = 0.08 * (high - low) or 1.0
    return [low - margin, high + margin]


def regret_map(findings: Findings) -> Spec:
    """Return the regret of every rule on every axis as a heat map with its numbers."""
    rules = regret_order(findings)
    rows = [
        {
            "rule": rule_title(rule.rule),
            "axis": quantity(axis.axis),
            "regret": rule.regret,
            "label": regret(rule),
            "tooltip": f"{rule_title(rule.rule)}, {quantity(axis.axis)}: loses "
            f"{regret(rule)} nats (90 %: {regret_interval(rule)})",
        }
        for axis in findings.axes
        for rule in all_rules(axis)
        if rule.rule in rules and rule.applies and rule.regret is not None
    ]
    plain = {"title": None, "ticks": False, "domain": False, "labelColor": PAGE.ink}

    def names(field: str, domain: list[str], **axis: object) -> Spec:
        return nominal(field, sort=None, scale={"domain": domain}, axis=plain | axis)

    def classes(colors: Sequence[str]) -> Spec:
        scale = {
            "type": "threshold",
            "domain": list(REGRET_CLASSES),
            "range": list(colors),
        }
        base = {"field": "regret", "type": "quantitative"}
        return {**base, "scale": scale, "legend": None}

    places = {
        "x": names(
            "axis",
            [quantity(a.axis) for a in findings.axes],
            orient="top",
            labelAngle=0,
        ),
        "y": names("rule", [rule_title(name) for name in rules], labelLimit=210),
    }
    # Classes rather than shades: one rule that loses a lot would pale all others. The
    # numbers have classes as well, for ink that is readable on the darkest tiles.
    tile = {"type": "rect", "cornerRadius": 3, "stroke": PAGE.paper, "strokeWidth": 2}
    number = {**places, "text": {"field": "label"}, "color": classes(PAGE.heat_ink)}
    parts = {
        # The numbers take 82; fewer columns are wider, so that the map fills the page.
        "width": {"step": max(82, min(180, 720 // max(len(findings.axes), 1)))},
        "height": {"step": 25},
        "resolve": {"scale": {"color": "independent"}},
        "layer": [
            vega.layer(
                rows, *vega.with_tooltip(tile, {**places, "color": classes(PAGE.heat)})
            ),
            vega.layer(rows, {"type": "text", "fontSize": 12}, number),
        ],
    }
    return vega.figure(parts, PAGE)


def common_decay(axis: AxisFindings) -> float | None:
    """Return a λ that every cell was trained at: the one nearest the anchor's best."""
    tried = [
        {p.weight_decay for p in cell.curve if p.penalty is not None}
        for cell in axis.cells
    ]
    # At λ = 0 there is no penalty to show.
    shared = set.intersection(*tried) - {0.0} if tried else set()
    if not shared:
        return None
    anchor = collapse.anchor_cell(axis)
    best = axis.cells[anchor].optimum if anchor is not None else None
    # Without a best λ the middle of what was tried: somewhere decay acts.
    target = math.log(best) if best else sum(map(math.log, shared)) / len(shared)
    # Sorted: a set has no order, and a tie must fall the same way each time.
    return min(sorted(shared), key=lambda each: abs(math.log(each) - target))


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


def terms_panel(axis: AxisFindings) -> Spec:
    """Return penalty and data term after training, at one λ for all cells."""
    # Logarithmic, as penalty and data term are often decades apart; 0 has no place.
    rows: list[Spec] = [
        {
            "x": value,
            "term": term,
            "y": height,
            "tooltip": f"{quantity(axis.axis)} {number(value, digits=4)}: "
            f"{term} {number(height)}",
        }
        for value, data, penalty in terms_rows(axis)
        for term, height in (("data term", data), ("penalty", penalty))
        if height is not None and height > 0 and value > 0
    ]
    terms = ["data term", "penalty"]
    # Ticks are powers of ten, so the frame begins and ends at one.
    heights = [math.log10(row["y"]) for row in rows] or [-1.0]
    low = 10.0 ** math.floor(min(heights))
    high = max(10.0 ** math.ceil(max(heights)), 10 * low)
    reach = low, high
    values = [cell.value for cell in axis.cells if cell.value > 0]
    across = vega.quantity_axis(values, quantity(axis.axis))
    # 6 % of the height is more than half a symbol: none hangs below the axis.
    air = (high / low) ** 0.06
    up = vega.numeric(
        "y",
        scale={"type": "log", "domain": [low / air, high * air], "nice": False},
        axis={"title": None, "values": vega.decades(*reach)} | vega.tick_labels(reach),
    )

    def by_term(values: Sequence[object], **more: Spec) -> Spec:
        return nominal("term", scale=mapped(terms, values), **more)

    legend = {"orient": "top", "symbolSize": 60, "offset": 6, "columnPadding": 24}
    encoding = {
        "x": across,
        "y": up,
        "color": by_term([PAGE.accent, PAGE.bad], legend=legend),
        "shape": by_term(["circle", "square"]),
        "strokeDash": by_term([[1, 0], [5, 3]]),
    }
    line = {"type": "line", "strokeWidth": 2}
    point = vega.with_tooltip({"type": "point", "filled": True, "size": 55}, encoding)
    layers = [vega.layer(rows, line, encoding), vega.layer(rows, *point)]
    return vega.figure(vega.plot(layers), PAGE)
